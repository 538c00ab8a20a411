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

"""What the embedded models make of two small frames: goldens, and the script that writes them.

``make goldens`` runs it, when weights or the way of a frame have changed on purpose. Look at the
figures that it prints before its file is committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.io.images import read_image
from difiisr_ros.options import UpscaleOptions

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
GOLDENS = FIXTURES / "model_goldens.npz"
COMMAND = "make goldens"
#: Crops of 24 x 32 pixels: file and upper left corner, row and column.
CROPS = {"people": ("0_120_90_0_05536.jpg", 24, 256), "cars": ("0_100_40_0_03342.jpg", 80, 136)}
GRID = 5
"""Every fifth pixel both ways is kept: of each of the 16 phases as many."""
DTYPES = {"uint8": (1.0, 0.0), "uint16": (16.0, 28_000.0), "float32": (0.25, -10.0)}
"""Gain and offset that make a frame of each type of the crops' counts."""
CAMERAS = {
    "auto": CameraProfile(),
    "told": CameraProfile(noise=3.0, blur=0.4),
    "reduced": CameraProfile(source="reduced"),
}


@dataclass(frozen=True)
class Case:
    """One result."""

    model: str
    crop: str
    dtype: str
    camera: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As ``lite people float32 told num_steps=4``."""
        options = [f"{key}={value}" for key, value in self.options.items()]
        return " ".join([self.model, self.crop, self.dtype, self.camera, *options])

    @property
    def count(self) -> float:
        """One count of the crop, in the unit of the frame."""
        return DTYPES[self.dtype][0]


def cases() -> Iterator[Case]:
    """Every camera in 1, 2 and 4 steps, every type, and both kinds of guidance."""
    for model in ("lite", "nano"):
        for steps in (1, 2, 4):
            for camera in CAMERAS:
                yield Case(model, "people", "float32", camera, {"num_steps": steps})
        for dtype in DTYPES:
            yield Case(model, "cars", dtype, "auto")
        for gradient in ("closed_form", "exact"):
            guided = {"visual_scale": 0.5, "perceptual_scale": 0.2, "guidance_gradient": gradient}
            yield Case(model, "cars", "float32", "auto", guided)


def results(
    model: str, crops: dict[str, np.ndarray], wanted: list[Case]
) -> Iterator[tuple[Case, np.ndarray]]:
    """What a model makes of the crops: fp32, on the CPU, in PyTorch, all else as by default."""
    resolver = SuperResolver.load(
        model, backend="torch", device="cpu", precision="fp32", strict_backend=True
    )
    for case in wanted:
        gain, offset = DTYPES[case.dtype]
        frame = (crops[case.crop] * gain + offset).astype(case.dtype)
        resolver.configure(**{**asdict(UpscaleOptions()), **case.options})
        yield case, resolver.upscale(frame, camera=CAMERAS[case.camera])
    resolver.close()


def summary(result: np.ndarray, count: float) -> np.ndarray:
    """What is kept of a result: a coarse grid, then mean and standard deviation; float32.

    The grid's values are rounded to 1/64 of a count, which makes a small file.
    """
    values = result.astype(np.float64)
    grid = np.round(values[::GRID, ::GRID] / count * 64) / 64 * count
    kept = [grid.ravel(), [values.mean(), values.std()]]
    return np.concatenate(kept).astype(np.float32)


def main() -> None:
    """Write the file, and say how far the results are from those that it had."""
    before = dict(np.load(GOLDENS)) if GOLDENS.is_file() else {}
    crops = {}
    for name, (file, row, column) in CROPS.items():
        crops[name] = read_image(FIXTURES / "hit_uav" / file)[row : row + 24, column : column + 32]
    kept = {f"crop {name}": crop for name, crop in crops.items()}
    for model in ("lite", "nano"):
        wanted = [case for case in cases() if case.model == model]
        for case, result in results(model, crops, wanted):
            kept[case.name] = summary(result, case.count)
            said = f"mean {result.mean():.2f}, standard deviation {result.std():.2f}"
            if case.name in before:
                change = np.abs(kept[case.name] - before[case.name]).max() / case.count
                said += f", up to {change:.2f} counts from before"
            print(f"{case.name}: {said}")
    np.savez_compressed(GOLDENS, **kept)
    print(f"wrote {GOLDENS}, {GOLDENS.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
