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

"""What a demo run shows: figures, side-by-side pictures, and PSNR where the truth is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.commands.demo_picture import Box, Panel, compose
from difiisr_ros.core.crop import NO_CROP, Crop
from difiisr_ros.errors import DifiisrError
from difiisr_ros.io.bags import BagReader
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation.methods import bicubic_upscale
from difiisr_ros.lab.frames.degrade import SCALE, truth_at
from difiisr_ros.lab.scores.metrics import data_range, psnr
from difiisr_ros.messages.cdr import stamp_of
from difiisr_ros.stream import diagnostic_keys as keys
from difiisr_ros.stream.matching import percentiles

INPUT, OUTPUT = "/image_raw", "/sr/image_raw"
PICTURES = 5  # of 600 frames, five different moments of the scene's loop of 300
#: Frames whose PSNR is averaged; each costs the rendering of its truth.
COMPARED = 40
_REASONS = 3  # that the summary names

Alone = Callable[[np.ndarray], np.ndarray]
"""Makes the result of a camera's frame by itself."""
PSNR_NOTE = "mean over frames; the peak is the truth frame's range, the baseline OpenCV's bicubic"


@dataclass(frozen=True)
class Pair:
    """A camera frame and its result, from the bag."""

    stamp: int
    lr: np.ndarray
    sr: np.ndarray

    @property
    def scale(self) -> int:
        """How many times larger the result is."""
        return max(1, len(self.sr) // len(self.lr))

    @property
    def bicubic(self) -> np.ndarray:
        """The frame at the result's scale by OpenCV's bicubic."""
        return bicubic_upscale(self.lr, self.scale)

    def truth(self, truth_of: Callable[[int], np.ndarray | None]) -> np.ndarray | None:
        """The x4 truth of its stamp at the result's scale; None where there is none of its kind."""
        truth = truth_of(self.stamp)
        if truth is None or truth.dtype != self.sr.dtype:
            return None
        if any(SCALE * a != b for a, b in zip(self.lr.shape, truth.shape)):
            return None
        truth = truth_at(truth, self.scale)
        return truth if truth.shape == self.sr.shape else None


def stream_figures(played: dict[str, Any], measured: dict[str, Any]) -> dict[str, Any]:
    """Frames, rate and latency, from what the player sent and the monitor saw.

    Args:
        played: The player's report.
        measured: The monitor's result.

    Returns:
        frames_in, frames_out, dropped, unmatched_outputs, fps, latency_ms. Latency is the time
        from a frame's stamp to its result's arrival at the monitor.
    """
    sent = set(played["stamps_ns"])
    arrived = [
        (stamp, latency)
        for stamp, latency in zip(measured["output_stamps_ns"], measured["latencies_ms"])
        if stamp in sent
    ]
    times = sorted(stamp + latency * 1e6 for stamp, latency in arrived)
    fps = (len(times) - 1) / ((times[-1] - times[0]) / 1e9) if len(times) > 1 else 0.0
    return {
        "frames_in": len(sent),
        "frames_out": len(arrived),
        "dropped": len(sent) - len(arrived),
        "unmatched_outputs": len(measured["output_stamps_ns"]) - len(arrived),
        "fps": round(fps, 2),
        "latency_ms": percentiles(np.array([latency for _, latency in arrived])),
    }


def node_figures(diagnostics: dict[str, dict[str, str]]) -> dict[str, Any]:
    """What the node said of itself in its last diagnostics."""
    inference = diagnostics.get(keys.INFERENCE, {})
    backend = diagnostics.get(keys.BACKEND, {})
    noise = inference.get(keys.NOISE_COUNTS)

    def number(key: str) -> float | None:
        text = inference.get(key, "")
        return float(text) if text else None

    return {
        "backend": backend.get("backend"),
        "model": backend.get("model"),
        "device": backend.get("device"),
        "precision": backend.get("precision"),
        "num_steps": int(backend["num_steps"]) if backend.get("num_steps") else None,
        "camera": backend.get("camera"),
        "noise_counts": float(noise) if noise else None,
        "fallback": backend.get("fallback") or None,
        "node_latency_ms": {p: number(keys.duration("latency", p)) for p in ("p50", "p95", "p99")},
        "upscale_ms": {p: number(keys.duration("upscale", p)) for p in ("p50", "p95", "p99")},
    }


def read_pairs(bag: Path, wanted: int, crop: Crop = NO_CROP) -> list[Pair]:
    """Evenly spaced frames of a recorded bag for which both input and output are there.

    Args:
        bag: Recorded by the monitor.
        wanted: How many.
        crop: What the node left out of its input.

    Raises:
        DataError: The bag cannot be read.
    """
    with BagReader(bag) as reader:
        stamps: dict[str, set[int]] = {INPUT: set(), OUTPUT: set()}
        for connection, _, data in reader.read_raw([INPUT, OUTPUT]):
            stamps[connection.topic].add(stamp_of(data))
        both = sorted(stamps[INPUT] & stamps[OUTPUT])
        chosen = {both[i] for i in spaced(len(both), wanted)}
        found: dict[str, dict[int, np.ndarray]] = {INPUT: {}, OUTPUT: {}}
        for connection, _, data in reader.read_raw([INPUT, OUTPUT]):
            stamp = stamp_of(data)
            if stamp in chosen:
                record = reader.read_image(connection, 0, data)
                found[connection.topic][stamp] = np.array(record.frame)
    return [Pair(s, crop.of(found[INPUT][s]), found[OUTPUT][s]) for s in sorted(chosen)]


def spaced(length: int, wanted: int) -> list[int]:
    """Indices of ``wanted`` items evenly spaced over ``length``, from the middle of each part."""
    wanted = min(length, wanted)
    return [(2 * i + 1) * length // (2 * wanted) for i in range(wanted)]


def compare(
    pairs: Sequence[Pair],
    truth_of: Callable[[int], np.ndarray | None],
    alone: Alone | None = None,
) -> dict[str, Any]:
    """PSNR of ours and of bicubic against the truth, averaged over the frames that have one.

    And of what ``alone`` makes of each frame by itself, where results use those before, too.
    """
    ours: list[float] = []
    bicubic: list[float] = []
    single: list[float] = []
    for pair in pairs:
        truth = pair.truth(truth_of)
        if truth is None:
            continue
        peak = data_range(truth)
        ours.append(psnr(truth, pair.sr, peak))
        bicubic.append(psnr(truth, pair.bicubic, peak))
        if alone is not None:
            single.append(psnr(truth, alone(pair.lr), peak))
    if not ours:
        return {"psnr_gain_db": None, "psnr_db": None, "frames_compared": 0}
    gain = float(np.mean(ours) - np.mean(bicubic))
    return {
        "psnr_gain_db": round(gain, 3),
        "psnr_db": {
            "ours": round(float(np.mean(ours)), 3),
            "bicubic": round(float(np.mean(bicubic)), 3),
            **({"single_frame": round(float(np.mean(single)), 3)} if single else {}),
            "note": PSNR_NOTE,
        },
        "frames_compared": len(ours),
    }


def draw(
    pairs: Sequence[Pair],
    truth_of: Callable[[int], np.ndarray | None],
    title: str,
    folder: Path,
    find: Callable[[np.ndarray], Sequence[Box]] = lambda pixels: (),
    alone: Alone | None = None,
) -> list[str]:
    """Write a side-by-side picture for each pair; returns the file names.

    Args:
        pairs: frames and results.
        truth_of: the truth of a stamp, where it is known.
        title: of the result's panel.
        folder: to write into.
        find: what a detector finds in bicubic, the result and the truth.
        alone: makes the result of a frame by itself, to be shown beside.
    """
    names = []
    for i, pair in enumerate(pairs):
        bicubic, truth = pair.bicubic, pair.truth(truth_of)

        def caption(name: str, pixels: np.ndarray, truth: np.ndarray | None = truth) -> str:
            if truth is None:
                return name
            return f"{name}   {psnr(truth, pixels, data_range(truth)):.1f} dB"

        height, width = pair.lr.shape
        panels = [
            Panel(f"camera {width}x{height}", pair.lr),
            Panel(caption(_baseline(pair.scale), bicubic), bicubic, find(bicubic)),
            Panel(caption(title, pair.sr), pair.sr, find(pair.sr)),
        ]
        if alone is not None:
            single = alone(pair.lr)
            panels.insert(2, Panel(caption("each frame by itself", single), single))
        if truth is not None:
            name = f"truth {truth.shape[1]}x{truth.shape[0]}"
            panels.append(Panel(name, truth, find(truth)))
        names.append(f"frame_{i + 1}.png")
        write_image(folder / names[-1], compose(panels))
    return names


def _baseline(scale: int) -> str:
    """What a result is put beside."""
    return f"bicubic x{scale}" if scale > 1 else "the frame as it is"


def finder(detector: Any, min_score: float = 0.3) -> Callable[[np.ndarray], list[Box]]:
    """What a detector finds, as boxes of a picture."""

    def find(pixels: np.ndarray) -> list[Box]:
        found = detector.detect(pixels, min_score=min_score)
        names = [detector.classes[label] for label in found.labels]
        return [
            Box((left, top, right, bottom), f"{name} {score:.2f}")
            for (left, top, right, bottom), name, score in zip(
                found.boxes.tolist(), names, found.scores
            )
        ]

    return find


def count_found(
    pairs: Sequence[Pair], find: Callable[[np.ndarray], Sequence[Box]]
) -> dict[str, int]:
    """How many objects a detector finds in bicubic's and in our frames."""
    bicubic = sum(len(find(pair.bicubic)) for pair in pairs)
    return {"bicubic": bicubic, "ours": sum(len(find(pair.sr)) for pair in pairs)}


def pictures_and_quality(
    bag: Path,
    truth_of: Callable[[int], np.ndarray | None],
    title: str,
    folder: Path,
    crop: Crop = NO_CROP,
    detector: Any = None,
    alone: Alone | None = None,
) -> dict[str, Any]:
    """Everything that is made of the recorded frames; a bag without any gives no pictures.

    Args:
        bag: recorded frames and results.
        truth_of: the truth of a stamp, where it is known.
        title: of our panels.
        folder: for the pictures.
        crop: what the node left out of its input.
        detector: whose boxes are drawn and counted; None: nobody's.
        alone: see :func:`compare`.
    """
    result: dict[str, Any] = {"psnr_gain_db": None, "psnr_db": None, "frames_compared": 0}
    result["pictures"] = []
    try:
        pairs = read_pairs(bag, COMPARED, crop)
        result.update(compare(pairs, truth_of, alone))
        shown = [pairs[i] for i in spaced(len(pairs), PICTURES)]
        if detector is None:
            result["pictures"] = draw(shown, truth_of, title, folder, alone=alone)
        else:
            find = finder(detector)
            result["found"] = {"frames": len(pairs), **count_found(pairs, find)}
            result["pictures"] = draw(shown, truth_of, title, folder, find, alone)
    except DifiisrError as error:
        result["pictures_error"] = str(error)
    return result


def summary_text(summary: dict[str, Any]) -> str:
    """The summary as a person reads it."""
    s, latency, node = summary, summary["latency_ms"], summary["node_latency_ms"]

    def three(values: dict[str, Any]) -> str:
        known = {k: v for k, v in values.items() if v is not None}
        return "  ".join(f"{k} {v:.1f}" for k, v in known.items()) or "unknown"

    steps = f"{s['num_steps']} step{'' if s['num_steps'] == 1 else 's'}"
    lines = [
        f"frames    {s['frames_in']} in, {s['frames_out']} out, {s['dropped']} dropped, "
        f"{s['fps']:.1f} fps",
        f"latency   {three(latency)} ms from the camera's stamp to the subscriber",
        f"          {three(node)} ms in the node",
        f"engine    {s['model']}, {s['backend']} on {s['device']} ({s['precision']}), {steps}",
    ]
    if s["camera"]:
        lines.append(f"told      {s['camera']}")
    if s["fallback"]:
        lines.append(f"          not what was asked for: {s['fallback']}")
    if s["psnr_gain_db"] is not None:
        lines.append(
            f"quality   {s['psnr_gain_db']:+.2f} dB PSNR over bicubic "
            f"({s['psnr_db']['bicubic']:.2f} -> {s['psnr_db']['ours']:.2f}, "
            f"{s['frames_compared']} frames)"
        )
        if (single := s["psnr_db"].get("single_frame")) is not None:
            gain = s["psnr_db"]["ours"] - single
            lines.append(
                f"stream    {gain:+.2f} dB of that by the frames before ({single:.2f} without)"
            )
    if found := s.get("found"):
        lines.append(
            f"found     {found['ours']} boxes in our {found['frames']} frames, "
            f"{found['bicubic']} in bicubic's, right and wrong ones"
        )
    written = ["summary.json", *s["pictures"]]
    if s["bag"]:
        written.append(f"bag/ ({s['bag']['megabytes']:.0f} MB)")
    lines.append(f"written   {s['out']}: {', '.join(written)}, *.log")
    if s["left_out"]:
        reasons = list(dict.fromkeys(s["left_out"].values()))
        more = f"; {len(reasons) - _REASONS} more in player.json" if len(reasons) > _REASONS else ""
        lines.append(f"left out  {len(s['left_out'])}: {'; '.join(reasons[:_REASONS])}{more}")
    for note in s["notes"]:
        lines.append(f"note      {note}")
    return "\n".join(lines)
