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

"""``difiisr evaluate``: does super-resolution help on the user's own camera?"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any

from difiisr_ros.commands.degradation_arguments import add_degradation_arguments
from difiisr_ros.commands.detector_arguments import add_detector_arguments
from difiisr_ros.commands.earlier_output import (
    refuse_other_json,
    refuse_other_page,
    refuse_other_text,
)
from difiisr_ros.commands.engine_arguments import add_engine_arguments, engine_arguments
from difiisr_ros.commands.numbers import SEEDS, real, whole
from difiisr_ros.commands.outcome import add_strict_argument
from difiisr_ros.commands.own_results import OwnResults, refuse_inputs
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.commands.stream_arguments import add_stream_argument, memory_options
from difiisr_ros.errors import OptionError
from difiisr_ros.io.write_stack import check_target
from difiisr_ros.lab.evaluation.export import write_csv, write_json
from difiisr_ros.lab.evaluation.limits import parse_limit
from difiisr_ros.lab.evaluation.methods import DIFIISR, MethodPlan
from difiisr_ros.lab.evaluation.results import Evaluation
from difiisr_ros.lab.evaluation.run import Request, evaluate
from difiisr_ros.lab.frames.degrade import known_camera
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.lab.report.text_table import text_report
from difiisr_ros.lab.scores.metric_table import METRICS

HELP = "Measure the gain over bicubic on your own bags and frames: PSNR, SSIM, flicker, time."

_OUT_FILES = {"json": "results.json", "csv": "frames.csv", "report": "report.html"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "data",
        type=Path,
        nargs="+",
        metavar="DATA",
        help="bags, folders or files of frames (degraded x4, themselves the truth), or folders "
        "with HR/ and LR/ paired by file name",
    )
    _add_frame_arguments(parser)
    _add_method_arguments(parser)
    _add_metric_arguments(parser)
    _add_output_arguments(parser)
    add_pixel_arguments(parser)
    add_engine_arguments(parser)
    # None: not given, so that the degradation decides.
    parser.set_defaults(evaluate_parser=parser, camera=None)


def _add_frame_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("frames")
    add_degradation_arguments(group)
    group.add_argument(
        "--degradation-seed",
        type=whole(*SEEDS),
        default=0,
        metavar="N",
        help="of the simulated camera: its blur, pattern and noise",
    )
    group.add_argument(
        "--no-reference",
        action="store_true",
        help="upscale the recorded frames as they are; there is no truth then: consistency, "
        "sharpness, flicker, time",
    )
    group.add_argument(
        "--topic",
        action="append",
        default=[],
        metavar="TOPIC",
        help="camera of a bag; may be repeated (all that are found by type)",
    )
    group.add_argument(
        "--reference-topic",
        metavar="TOPIC",
        help="topic with the truth, four times the size of the one --topic",
    )
    group.add_argument(
        "--match-tolerance",
        type=real(),
        default=0.005,
        metavar="SECONDS",
        help="how far stamps of --topic and --reference-topic may be apart",
    )
    group.add_argument(
        "--start", type=real(), default=0.0, metavar="SECONDS", help="leave out a bag's beginning"
    )
    group.add_argument(
        "--duration", type=real(), metavar="SECONDS", help="take this much of a bag (all)"
    )
    group.add_argument(
        "--sequence",
        action="store_true",
        help="the frames of a folder are consecutive frames of one camera, as those of a bag are: "
        "measures flicker, and lets intervals know that neighbours are alike",
    )
    add_stream_argument(group)
    group.add_argument("--every", type=int, default=1, metavar="N", help="take every n-th frame")
    group.add_argument("--limit", type=int, metavar="N", help="take at most N frames of a camera")
    add_strict_argument(group)


def _add_method_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("methods")
    group.add_argument(
        "--num-steps",
        "--steps",
        type=_steps,
        metavar="N[,N...]",
        help="sampler steps; several are compared, the first one is 'difiisr' in the JSON (1)",
    )
    group.add_argument(
        "--compare",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="another model to put beside it: a model file of this package or, at x4, one in ONNX; "
        "may be repeated",
    )
    group.add_argument(
        "--results",
        action="append",
        default=[],
        metavar="NAME=BAG[:TOPIC]",
        help="super-resolved images that were recorded, matched by stamp; may be repeated",
    )


def _add_metric_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("metrics")
    optional = ", ".join(key for key, metric in METRICS.items() if metric.optional)
    group.add_argument(
        "--metrics",
        type=_names,
        default=[],
        metavar="NAME[,NAME...]",
        help=f"measure these too: {optional}; features (those that look through other people's "
        "networks), or all",
    )
    group.add_argument(
        "--data-range",
        type=real(),
        metavar="COUNTS",
        help="peak for PSNR and SSIM of 16-bit and float frames (each HR frame's max - min)",
    )
    group.add_argument(
        "--kelvin-per-count",
        type=real(),
        metavar="K",
        help="of a radiometric camera, such as 0.01: radiometric values in kelvin (what the "
        "camera's profile says)",
    )
    group.add_argument(
        "--still-threshold",
        type=real(),
        metavar="COUNTS",
        help="largest change of the mean of 5x5 pixels that count as still, for flicker (1 %% of "
        "the range)",
    )
    group.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE",
        help="the objects in a folder's frames, in COCO's format: measure what a detector finds in "
        "the results, and show it in the report",
    )
    add_detector_arguments(group)
    group.add_argument(
        "--confidence", type=real(), default=0.95, metavar="SHARE", help="of the intervals"
    )
    for side, example in (("below", "psnr_gain_db=1.0"), ("above", "time_ms_p99=33")):
        group.add_argument(
            f"--fail-{side}",
            action="append",
            default=[],
            metavar="[METHOD:]NAME=VALUE",
            help=f"exit with 1 where a mean is {side} this, such as {example}; may be repeated",
        )


def _add_output_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output and running")
    names = ", ".join(_OUT_FILES.values())
    group.add_argument("--out", type=Path, metavar="FOLDER", help=f"write {names} into it")
    group.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    group.add_argument("--csv", type=Path, metavar="FILE", help="write every frame's numbers here")
    group.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report to look at here (HTML)"
    )
    group.add_argument(
        "--write-lr",
        type=Path,
        metavar="BAG",
        help="score nothing: write the frames that would be upscaled as a bag, to play into a node "
        "whose recorded results --results then scores",
    )
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="cameras and bags to score at the same time, by Ray (half of the processors where "
        "Ray is installed, else 1)",
    )
    group.add_argument(
        "--ray-address", metavar="ADDRESS", help="run on this Ray cluster (auto, ray://HOST:PORT)"
    )


def _steps(text: str) -> list[int]:
    steps = [int(part) for part in text.split(",")]
    if len(set(steps)) != len(steps):
        raise argparse.ArgumentTypeError(f"{text!r} names a number twice")
    return steps


_steps.__name__ = "list of whole numbers"  # argparse names the type when a value does not parse


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code: 1 where a limit is broken.

    Raises:
        DifiisrError: input or an option that cannot be used.
    """
    if args.write_lr is not None:
        from difiisr_ros.lab.frames.replay_input import write_lr

        options = _frame_options(args)
        print(write_lr(open_streams(args.data, options), args.write_lr, options.pixels))
        return 0
    if args.data_range is not None and not args.data_range > 0:
        raise OptionError(f"--data-range must be above 0, got {args.data_range}")
    outputs = _outputs(args)
    own = None if args.out is None else OwnResults(args.out, "evaluate")
    _check_outputs(args, outputs, own)
    request = _request(args, outputs)
    with evaluate(request) as evaluation:
        print(text_report(evaluation))
        for kind, path in outputs.items():
            _write(evaluation, kind, path)
            if own is not None and path.parent == args.out:
                own.note([path.name])  # at once: the next one may fail
    broken = [limit.broken(evaluation) for limit in request.limits]
    for sentence in filter(None, broken):
        print(f"difiisr: failed: {sentence}", file=sys.stderr)
    return 1 if any(broken) else 0


def _request(args: argparse.Namespace, outputs: dict[str, Path]) -> Request:
    limits = [
        parse_limit(text, DIFIISR, is_lower)
        for texts, is_lower in ((args.fail_below, True), (args.fail_above, False))
        for text in texts
    ]
    first = next(iter(outputs.values()), None)
    engine = {
        **engine_arguments(args),
        "camera": known_camera(args.camera, None if args.no_reference else args.degradation),
    }
    frames = _frame_options(args)
    kelvin = args.kelvin_per_count
    num_steps = args.num_steps or [engine.pop("num_steps", 1)]
    return Request(
        paths=tuple(args.data),
        frames=frames,
        methods=MethodPlan(
            num_steps=tuple(num_steps),
            engine=tuple(sorted(engine.items())),
            compare=tuple(args.compare),
            results=tuple(map(_recorded, args.results)),
            memory=memory_options(args),
        ),
        metrics=tuple(args.metrics),
        value_range=args.data_range,
        kelvin_per_count=frames.pixels.kelvin_per_count if kelvin is None else kelvin,
        still_threshold=args.still_threshold,
        confidence=args.confidence,
        boxes=args.boxes,
        detector=args.detector,
        detector_config=args.detector_config,
        limits=tuple(limits),
        workers=args.workers,
        ray_address=args.ray_address,
        state=None if first is None else first.with_name(f"{first.name}.state"),
        command=_command(args),
    )


def _frame_options(args: argparse.Namespace) -> StreamOptions:
    return StreamOptions(
        degradation=args.degradation,
        noise_percent=args.noise,
        seed=args.degradation_seed,
        no_reference=args.no_reference,
        sequence=args.sequence or bool(args.stream),
        topics=tuple(dict.fromkeys(args.topic)),
        reference_topic=args.reference_topic,
        match_tolerance_s=args.match_tolerance,
        start_s=args.start,
        duration_s=args.duration,
        every=args.every,
        limit=args.limit,
        pixels=camera_of(args),
        strict=args.strict,
    )


def _recorded(text: str) -> tuple[str, Path, str | None]:
    name, equals, rest = text.partition("=")
    if not (name and equals and rest):
        raise OptionError(f"--results takes NAME=BAG or NAME=BAG:TOPIC, got {text!r}")
    # A topic starts with a slash, so a colon in a path does not end it.
    path, colon, topic = rest.rpartition(":/")
    return (name, Path(path), f"/{topic}") if colon else (name, Path(rest), None)


def _outputs(args: argparse.Namespace) -> dict[str, Path]:
    """What to write, by kind."""
    found = {} if args.out is None else {kind: args.out / f for kind, f in _OUT_FILES.items()}
    return found | {k: getattr(args, k) for k in _OUT_FILES if getattr(args, k) is not None}


def _check_outputs(
    args: argparse.Namespace, outputs: dict[str, Path], own: OwnResults | None
) -> None:
    """Raise DataError where results cannot be written, or would replace what is no result."""
    named = [outputs[kind] for kind in outputs if getattr(args, kind) is not None]
    inputs = [*args.data, *args.compare, *filter(None, [args.boxes, args.detector_config])]
    if own is not None:
        own.check([p.name for p in outputs.values() if p not in named], inputs)
    check_target(*outputs.values())
    for path in named:
        refuse_inputs(path, inputs)
    refuse_other_json(args.json, ("frames", "methods", "settings"))
    refuse_other_page(args.report, "Super-resolution evaluation")
    refuse_other_text(args.csv, "table that this command writes", "source,topic,frame,index,")
    if len({path.resolve() for path in outputs.values()}) < len(outputs):
        raise OptionError("two outputs have one name")


def _write(evaluation: Evaluation, kind: str, path: Path) -> None:
    if kind == "json":
        write_json(evaluation, path)
    elif kind == "csv":
        write_csv(evaluation, path)
    else:
        from difiisr_ros.lab.report.page import write_html

        write_html(evaluation, path)
    print(f"wrote {path}")


def _command(args: argparse.Namespace) -> str:
    """The command line that does the same again: what differs from the defaults."""
    words = ["difiisr", "evaluate", *map(str, args.data)]
    parser: argparse.ArgumentParser = args.evaluate_parser
    for action in parser._actions:
        value = getattr(args, action.dest, action.default)
        if not action.option_strings or value == parser.get_default(action.dest):
            continue
        option = next(o for o in action.option_strings if o.startswith("--"))
        words += _as_words(option, action, value)
    return shlex.join(words)


def _as_words(option: str, action: argparse.Action, value: Any) -> list[str]:
    if action.nargs == 0:
        return [option]
    if isinstance(value, list) and isinstance(action, argparse._AppendAction):
        return [word for item in value for word in (option, str(item))]
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return [option, text]
