# Copyright 2026 difiisr_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Runs an evaluation from the frames to the results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.backends.detectors import JUDGE
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.lab.evaluation import parallel
from difiisr_ros.lab.evaluation.aggregate import Aggregate, aggregate
from difiisr_ros.lab.evaluation.box_scores import BoxJudge
from difiisr_ros.lab.evaluation.limits import Limit
from difiisr_ros.lab.evaluation.methods import BICUBIC, DIFIISR, Method, MethodPlan, make_methods
from difiisr_ros.lab.evaluation.results import Evaluation, FramePictures, Source
from difiisr_ros.lab.evaluation.resume import RunState, run_identity
from difiisr_ros.lab.evaluation.score_stream import StreamJob, make_columns, replay
from difiisr_ros.lab.evaluation.scoring import INPUT, TRUTH, ScoreOptions, choose_metrics
from difiisr_ros.lab.evaluation.stream_scores import Batch, StreamScores
from difiisr_ros.lab.evaluation.versions import versions
from difiisr_ros.lab.frames.folder_stream import file_state
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.streams import (
    SELF_REFERENCED,
    Sample,
    Stream,
    StreamOptions,
    first_samples,
    has_truth,
)
from difiisr_ros.lab.scores.metric_table import BOX_METRICS, COUNTS, KELVIN
from difiisr_ros.lab.scores.metrics import SSIM_SIGMA, has_opencv_quality
from difiisr_ros.lab.scores.spectrum import COMMON_FREQUENCIES, lr_nyquist
from difiisr_ros.lab.scores.statistics import CONFIDENCE, RESAMPLES


@dataclass(frozen=True)
class Request:
    """What to evaluate, and how."""

    paths: tuple[Path, ...]
    """Folders and bags."""
    frames: StreamOptions = field(default_factory=StreamOptions)
    methods: MethodPlan = field(default_factory=MethodPlan)
    metrics: tuple[str, ...] = ()
    """Optional metrics to measure too; ``all``."""
    value_range: float | None = None
    """Data range of 16-bit and float frames; None: each truth's max - min."""
    kelvin_per_count: float | None = None
    """Makes radiometric values kelvin."""
    still_threshold: float | None = None
    """Largest change of the mean of 5x5 pixels that stand still, in the frames' units."""
    confidence: float = CONFIDENCE
    boxes: Path | None = None
    """The frames' boxes in COCO's format: measure what a detector finds, too."""
    detector: str = JUDGE
    """Which detector."""
    detector_config: Path | None = None
    """What is said of a user's ONNX detector."""
    limits: tuple[Limit, ...] = ()
    """Checked for being measurable before the work begins."""
    workers: int | None = None
    """Processes; None: as many as help, where Ray is installed."""
    ray_address: str | None = None
    state: Path | None = None
    """File that lets an interrupted run continue."""
    command: str = ""
    """Command line, for the report."""

    def __post_init__(self) -> None:
        for name in ("value_range", "kelvin_per_count"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise OptionError(f"{name} must be a number above 0, got {value}")
        if self.still_threshold is not None and not self.still_threshold >= 0:
            raise OptionError(f"still_threshold must be 0 or more, got {self.still_threshold}")
        if not 0.5 <= self.confidence < 1:
            raise OptionError(f"confidence must be in 0.5..1, without 1, got {self.confidence}")
        if not self.paths:
            raise OptionError("nothing to evaluate was named")


@contextlib.contextmanager
def evaluate(request: Request) -> Iterator[Evaluation]:
    """Upscale every frame by every method and score the results.

    A context manager, because the results can make the pictures of a frame again
    (:attr:`Evaluation.frame`), for which the models stay loaded. Frames are read, upscaled and
    scored one at a time; memory holds two of them, and some hundred bytes of numbers per frame.

    Raises:
        DataError, FrameError, ModelError, OptionError: Input or options that cannot be used; see
            :mod:`difiisr_ros.errors`.
    """
    streams = open_streams(request.paths, request.frames)
    if request.methods.results and not (len(streams) == 1 and streams[0].topic):
        raise OptionError("recorded results belong to one camera of one bag (--topic chooses it)")
    mode = streams[0].mode
    names = request.methods.names()
    scale = request.methods.scale
    metrics, missing = choose_metrics(
        mode, any(stream.in_time for stream in streams), request.metrics, scale
    )
    for limit in request.limits:
        limit.check(names, metrics if request.boxes is None else (*metrics, *BOX_METRICS))
    judge: BoxJudge | None = None
    if request.boxes:
        judge = BoxJudge(request.boxes, request.detector, streams, request.detector_config)
    workers = parallel.choose_workers(request.workers, len(streams), request.ray_address)
    if request.methods.results and workers > 1:
        raise OptionError("recorded results are read in order, by one worker")
    examples = [sample.at_scale(scale) for sample in first_samples(streams)]
    options = ScoreOptions(
        metrics, request.value_range, request.kelvin_per_count, request.still_threshold, scale
    )
    columns = make_columns(mode, names, metrics)
    jobs = [StreamJob(i, stream, options, columns) for i, stream in enumerate(streams)]
    scores = [StreamScores(columns) for _ in jobs]
    with make_methods(request.methods, examples[0]) as methods:
        run = _Run(request, jobs, scores, methods, examples[0], workers)
        run.score()
        run.check_complete()
        found = aggregate(
            scores,
            [stream.in_time for stream in streams],
            names,
            {method.name: method.details for method in methods},
            BICUBIC,
            count_size=_count_size(request, examples[0]),
            confidence=request.confidence,
        )
        evaluation = _assemble(run, found, missing, mode)
        yield evaluation if judge is None else judge.score(evaluation, request.confidence)


def _count_size(request: Request, example: Sample) -> float:
    """One whole count in the unit of radiometric values; 0 where the camera has none."""
    return 0.0 if example.lr.dtype == np.float32 else request.kelvin_per_count or 1.0


class _Run:
    """The work of one evaluation, and what there is to say about how it went."""

    def __init__(
        self,
        request: Request,
        jobs: Sequence[StreamJob],
        scores: Sequence[StreamScores],
        methods: Sequence[Method],
        example: Sample,
        workers: int,
    ) -> None:
        self.request, self.jobs, self.scores = request, jobs, list(scores)
        self.methods, self.example, self.workers = methods, example, workers
        self.notes: list[str] = []

    def score(self) -> None:
        """Score all frames that the state file does not have yet."""
        from tqdm import tqdm

        state = RunState(self.request.state, self._identity())
        done = state.load(self.scores)
        if state.replaced:
            self._say(f"{state.path} is of another run (other data or options); starting anew")
        if done:
            self._say(f"continuing after {done} frames of an interrupted run")
            self.notes.append("the run was interrupted and continued; times are of both parts")
        total = max(done, sum(len(job.stream) for job in self.jobs))
        finished = False
        # disable=None: no bar where stderr is not a terminal (CI, a log file).
        bar = tqdm(total=total, initial=done, unit="frame", disable=None, file=sys.stderr)
        try:
            for batch in self._batches():
                self.scores[batch.stream].add(batch)
                state.add(batch)
                bar.update(len(batch.rows))
                bar.set_postfix_str(self._gain())
            finished = True
        except BaseException:
            known = sum(map(len, self.scores))
            if state.path is not None and known:
                bar.close()
                self._say(f"stopped after {known} frames; the same command continues there")
            raise
        finally:
            bar.close()
            state.close(finished)

    def _batches(self) -> Iterator[Batch]:
        jobs = [job for job in self.jobs if not self.scores[job.number].done]
        if self.workers == 1 and self.request.ray_address is None:
            yield from parallel.score_here(jobs, self.methods, self.scores)
            return
        self.notes.append(
            f"times were measured with {self.workers} workers side by side, which slow each other "
            "down"
        )
        yield from parallel.score_on_ray(
            jobs,
            self.request.methods,
            self.example,
            self.scores,
            self.workers,
            self.request.ray_address,
        )

    def check_complete(self) -> None:
        """Check that every stream has given something.

        Raises:
            DataError: One has not.
        """
        for job, scores in zip(self.jobs, self.scores):
            if not len(scores):
                raise DataError(f"{job.stream.label}: has no frame to evaluate")

    def _identity(self) -> str:
        request = self.request
        models = [Path(str(m.details["model"])) for m in self.methods if "model" in m.details]
        return run_identity(
            {
                "data": [job.stream.fingerprint() for job in self.jobs],
                "frames": asdict(request.frames),
                "methods": [(m.name, m.details) for m in self.methods],
                "models": [file_state(path) for path in models if path.is_file()],
                "engine": request.methods.engine,
                "memory": asdict(request.methods.memory),
                "options": asdict(self.jobs[0].options),
            }
        )

    def _gain(self) -> str:
        columns = self.jobs[0].columns
        if (DIFIISR, "psnr") not in columns:
            return ""
        ours, reference = columns.index((DIFIISR, "psnr")), columns.index((BICUBIC, "psnr"))
        count = sum(map(len, self.scores))
        mine, theirs = np.sum([s.totals((ours, reference)) for s in self.scores], axis=0)
        return f"PSNR {(mine - theirs) / count:+.2f} dB" if count else ""

    @staticmethod
    def _say(sentence: str) -> None:
        print(f"difiisr: {sentence}", file=sys.stderr)


def _assemble(run: _Run, found: Aggregate, missing: dict[str, str], mode: str) -> Evaluation:
    request, scores = run.request, run.scores
    streams = [job.stream for job in run.jobs]
    kelvin = request.kelvin_per_count is not None
    sources = tuple(
        Source(
            stream.label,
            str(stream.path),
            stream.topic,
            len(numbers),
            ", ".join(numbers.facts["lr_sizes"]),
            numbers.facts["dtype"],
            tuple(numbers.notices),
        )
        for stream, numbers in zip(streams, scores)
    )
    notes = [notice for source in sources for notice in source.notices]
    notes += [*found.notes(), *run.notes, *_time_notes(mode, sources)]
    if "flicker" in run.jobs[0].options.metrics and not found.has("flicker"):
        notes.append(
            "no flicker: less than a fifth of the picture stands still between any two frames"
        )
    return Evaluation(
        mode=mode,
        frames=found.frames,
        sources=sources,
        methods=found.methods,
        reference=BICUBIC,
        metrics=run.jobs[0].options.metrics,
        given=found.given,
        missing=missing,
        unit=KELVIN if kelvin else COUNTS,
        settings=_settings(run, found, streams, sources, mode),
        versions=_versions(run),
        notes=tuple(dict.fromkeys(notes)),
        command=request.command,
        frequencies=COMMON_FREQUENCIES,
        truth_spectrum=found.spectra.get(TRUTH),
        input_spectrum=found.spectra.get(INPUT),
        frame=_Pictures(streams, scores, run.methods, request.methods.scale),
        scale=request.methods.scale,
    )


def _time_notes(mode: str, sources: Sequence[Source]) -> list[str]:
    if mode != SELF_REFERENCED:
        return []
    sizes = ", ".join(sorted({source.lr_size for source in sources}))
    return [
        f"times are of the degraded frames ({sizes}); --no-reference times the camera's own size"
    ]


def _versions(run: _Run) -> dict[str, str]:
    details = [method.details for method in run.methods]
    optional = []
    if any(job.stream.topic for job in run.jobs):
        optional.append("rosbags")
    if any(d.get("backend") == "onnxruntime" for d in details):
        optional.append("onnxruntime")
    if {"ms_ssim", "lpips"} & set(run.jobs[0].options.metrics):
        optional.append("torchmetrics")
    if run.workers > 1:
        optional.append("ray")
    return versions([str(d.get("device", "")) for d in details], optional)


def _settings(
    run: _Run, found: Aggregate, streams: Sequence[Stream], sources: Sequence[Source], mode: str
) -> dict[str, Any]:
    request = run.request
    ours = next(m for m in run.methods if m.name == DIFIISR)
    engine = {key: value for key, value in ours.details.items() if key != "num_steps"}
    options, scale = dict(request.methods.engine), request.methods.scale
    settings: dict[str, Any] = {
        **streams[0].settings,
        "path": ", ".join(map(str, request.paths)),
        "dtype": sources[0].dtype,
        "lr_sizes": sorted({size for s in sources for size in s.lr_size.split(", ")}),
        "every": request.frames.every,
        "limit": request.frames.limit,
        "methods": {m.name: m.details for m in run.methods},
        "engine": engine,
        "options": {
            k: options[k] for k in ("seed", "consistency", "range_mode", "camera") if k in options
        },
        "scale": scale,
        "consistency": "mean |SR - LR|"
        if scale == 1
        else "mean |antialiased bicubic downsample(SR) - LR|",
        "spectrum": "radial mean log amplitude (dB, Hann window)",
        "kelvin_per_count": request.kelvin_per_count,
        "statistics": {
            "intervals": "circular block bootstrap over frames, percentiles",
            "confidence": request.confidence,
            "resamples": RESAMPLES,
            "blocks": sum(group.units for group in found.groups),
            "independent_frames": round(sum(group.independent for group in found.groups), 1),
        },
        "workers": run.workers,
    }
    if has_truth(mode):
        dtype = sources[0].dtype
        peak: str | float = 255.0
        if dtype != "uint8":
            peak = request.value_range or "max - min of each HR frame"
        library = "OpenCV quality" if has_opencv_quality() else "OpenCV blurs"
        settings |= {
            "data_range": peak,
            "ssim": {
                "library": library,
                "gaussian_weights": True,
                "sigma": SSIM_SIGMA,
                "use_sample_covariance": False,
            },
        }
        if scale > 1:
            settings["spectrum_distance"] = (
                f"mean |difference| of the spectra above {lr_nyquist(scale)} cycles per pixel"
            )
        if scale != SCALE:
            side = SCALE // scale
            settings["truth"] = f"means of {side}x{side} pixels of the HR frame"
    return settings


class _Pictures:
    """Makes the pictures of single frames again: :attr:`Evaluation.frame`."""

    def __init__(
        self,
        streams: Sequence[Stream],
        scores: Sequence[StreamScores],
        methods: Sequence[Method],
        scale: int,
    ) -> None:
        self._streams, self._scores, self._methods = streams, scores, methods
        self._scale = scale
        self._starts = np.cumsum([0, *(len(s) for s in scores)])

    def __call__(self, row: int) -> FramePictures:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        scores, within = self._scores[number], row - int(self._starts[number])
        stream = self._streams[number]
        replay(stream, self._methods, scores.index[within])
        sample = stream.frame(scores.index[within], scores.log_time_ns[within])
        sample = sample.at_scale(self._scale)
        pictures = {method.name: method.run(sample)[0] for method in self._methods}
        return FramePictures(sample.name, sample.lr, sample.hr, pictures)
