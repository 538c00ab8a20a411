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

"""Calibrations, and what results may show of a camera's image."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from difiisr_ros.core.crop import NO_CROP, Crop
from difiisr_ros.core.output_geometry import OutputGeometry, plan
from difiisr_ros.core.region import Region

IMAGE = (64, 48)
SIZES: dict[str, dict[str, Any]] = {
    "x4": {"scale": 4},
    "x2": {"scale": 2},
    "x1": {"scale": 1},
    "stretch": {"scale": 4, "output_size": (100, 33)},
    "letterbox": {"scale": 4, "output_size": (130, 131), "fit": "letterbox"},
    "crop": {"scale": 4, "output_size": (90, 200), "fit": "crop"},
    "width": {"scale": 4, "output_size": (101, 0)},
}
REGIONS = {"whole": None, "region": Region(7, 11, 31, 17)}
CROPS = (NO_CROP, Crop(top=3, bottom=2, left=5, right=1))
CAMERAS: dict[str, dict[str, Any]] = {
    "plain": {},
    "roi": {"roi": (40, 20, 64, 48)},
    "binning": {"binning": (2, 3)},
    "roi and binning": {"roi": (10, 8, 128, 144), "binning": (2, 3)},
}


def camera(
    roi: tuple[int, ...] = (0, 0, 0, 0), binning: tuple[int, int] = (0, 0), **changes: Any
) -> SimpleNamespace:
    """A calibration whose image has 64x48 pixels; the right camera of a stereo pair, with skew."""
    bins = max(binning[0], 1), max(binning[1], 1)
    fields = {
        "width": IMAGE[0] * bins[0] + 3 * roi[0],
        "height": IMAGE[1] * bins[1] + 3 * roi[1],
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 0.001, 0.002, 0.0],
        "k": [80.0, 0.7, 31.2, 0.0, 82.0, 23.9, 0.0, 0.0, 1.0],
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [81.0, 0.0, 30.2, -9.6, 0.0, 83.0, 22.9, 4.1, 0.0, 0.0, 1.0, 0.0],
        "binning_x": binning[0],
        "binning_y": binning[1],
        "roi": SimpleNamespace(
            x_offset=roi[0], y_offset=roi[1], width=roi[2], height=roi[3], do_rectify=False
        ),
    }
    return SimpleNamespace(**{**fields, **changes})


def shown(size: str, part: str, crop: Crop) -> tuple[OutputGeometry, Region]:
    """The geometry of a result of the image, and the region of what the crop leaves."""
    frame = IMAGE[0] - crop.left - crop.right, IMAGE[1] - crop.top - crop.bottom
    region = REGIONS[part] or Region(0, 0, *frame)
    return plan((region.width, region.height), **SIZES[size]), region
