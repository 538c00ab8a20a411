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

"""What can be measured: name, unit, direction and need of every metric, in one table.

The command line takes its choices from here, tables and reports their titles and digits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

HIGHER, LOWER, ZERO = "higher", "lower", "zero"
"""Which values of a metric are good."""

COUNTS = "counts"
KELVIN = "K"


@dataclass(frozen=True)
class Metric:
    """What a metric is called and how its values are read."""

    title: str
    unit: str
    """``dB``, ``ms``, ``px``, :data:`COUNTS`, or empty."""
    digits: int
    """Decimals to show."""
    better: str | None
    """:data:`HIGHER`, :data:`LOWER`, :data:`ZERO`; None: it describes, and neither end is good."""
    meaning: str
    """One line for a reader who does not know it."""
    needs_truth: bool = False
    optional: bool = False
    """Measured only when asked for: slow, or in need of libraries that are not always there."""

    negligible: float = 0.0
    """Mean differences smaller than this many counts are neither better nor worse, however sure:
    a bias of a hundredth of a count is nobody's concern. For cameras with whole counts."""

    def in_unit(self, unit: str) -> Metric:
        """The metric with radiometric values in counts or kelvin."""
        if self.unit != COUNTS or unit == COUNTS:
            return self
        return replace(self, unit=unit, digits=self.digits + 1)

    def goodness(self, values: np.ndarray) -> np.ndarray | None:
        """Values turned so that more is better; None for a metric without a good direction."""
        if self.better == HIGHER:
            return values
        if self.better == LOWER:
            return -values
        if self.better == ZERO:
            return -np.abs(values)
        return None


#: Metric -> what it is, in the order in which tables show them.
METRICS: dict[str, Metric] = {
    "psnr": Metric(
        "PSNR", "dB", 2, HIGHER, "peak signal-to-noise ratio against the truth", needs_truth=True
    ),
    "ssim": Metric(
        "SSIM", "", 4, HIGHER, "structural similarity to the truth (Wang et al. 2004), 1 at best",
        needs_truth=True,
    ),
    "ms_ssim": Metric(
        "MS-SSIM", "", 4, HIGHER, "SSIM over five scales (Wang et al. 2003), 1 at best",
        needs_truth=True, optional=True,
    ),
    "gmsd": Metric(
        "GMSD", "", 4, LOWER,
        "gradient magnitude similarity deviation from the truth (Xue et al. 2014), 0 at best",
        needs_truth=True,
    ),
    "lpips": Metric(
        "LPIPS", "", 4, LOWER,
        "learned perceptual distance to the truth (Zhang et al. 2018), 0 at best",
        needs_truth=True, optional=True,
    ),
    "efficientnet_distance": Metric(
        "EfficientNet distance", "", 4, LOWER,
        "root mean square difference to the truth in features of EfficientNet-Lite0, of its spread",
        needs_truth=True, optional=True,
    ),
    "vgg_distance": Metric(
        "VGG distance", "", 4, LOWER,
        "root mean square difference to the truth in features of VGG-16, of its spread",
        needs_truth=True, optional=True,
    ),
    "lpips_vgg": Metric(
        "LPIPS, VGG", "", 4, LOWER,
        "learned perceptual distance to the truth (Zhang et al. 2018) on VGG-16's layers",
        needs_truth=True, optional=True,
    ),
    "spectrum_distance": Metric(
        "spectrum distance", "dB", 2, LOWER,
        "how far the fine structure is from the truth's: mean difference of the radially averaged "
        "log spectra above the LR Nyquist frequency",
        needs_truth=True,
    ),
    "mae": Metric(
        "radiometric MAE", COUNTS, 3, LOWER, "mean absolute error of a pixel", needs_truth=True
    ),
    "bias": Metric(
        "radiometric bias", COUNTS, 3, ZERO, "mean error, result minus truth", needs_truth=True,
        negligible=0.05,
    ),
    "consistency": Metric(
        "consistency", COUNTS, 3, LOWER,
        "how far the result is from what the camera measured: mean |downsample(SR) - LR|",
    ),
    "consistency_bias": Metric(
        "consistency bias", COUNTS, 3, ZERO, "mean of downsample(SR) - LR", negligible=0.05
    ),
    "flicker": Metric(
        "flicker", COUNTS, 3, LOWER,
        "mean |change since the frame before| where the camera's picture stands still",
    ),
    "wake": Metric(
        "wake", COUNTS, 3, LOWER,
        "mean |error| of means over 5x5 camera pixels where the camera's picture has changed "
        "within the last 8 frames and stands still again: what stays behind of the past",
        needs_truth=True,
    ),
    "detail": Metric(
        "detail level", "dB", 2, None,
        "mean level of the spectrum above the LR Nyquist frequency: more is more structure, true "
        "or not",
    ),
    "blur": Metric(
        "blur effect", "", 4, None, "no-reference blur (Crete et al. 2007): 0 sharp, 1 blurred",
        optional=True,
    ),
    "noise_gain": Metric(
        "noise gain", "", 3, LOWER,
        "noise in flat places, over that of OpenCV's bicubic of the same frame",
        optional=True,
    ),
    "noise_above_nyquist": Metric(
        "noise beyond Nyquist", "", 3, LOWER,
        "the same of its part above the LR Nyquist frequency, where the camera's frame has nothing",
        optional=True,
    ),
    "lattice": Metric(
        "lattice", "", 3, LOWER,
        "pattern that repeats every one or two camera pixels in flat places: peak to peak, share "
        "of the camera's noise; about 0 without one, and what bicubic has of it is the camera's",
        optional=True,
    ),
    "edge_width": Metric(
        "edge width", "px", 3, LOWER,
        "10 to 90 % distance of the sharpest edges (15th percentile), in camera pixels",
        optional=True,
    ),
    "hot_spots_created": Metric(
        "hot spots created", "", 3, LOWER,
        "hot spots of the result, on the camera's grid, that the camera's frame does not have",
        optional=True,
    ),
    "hot_spots_removed": Metric(
        "hot spots removed", "", 3, LOWER,
        "hot spots of the camera's frame that the result, on the camera's grid, does not have",
        optional=True,
    ),
    "hot_spot_error": Metric(
        "hot spot error", COUNTS, 3, LOWER,
        "largest |difference| of a hot spot's peak, on the camera's grid, to the camera's frame",
        optional=True,
    ),
}  # fmt: skip

#: What a detector sees in the results, where the frames' boxes are given. Measured on all frames
#: together: a single one has no such value. Keys of :data:`difiisr_ros.lab.detection.coco.METRICS`.
BOX_METRICS: dict[str, Metric] = {
    "map50": Metric(
        "mAP50",
        "",
        3,
        HIGHER,
        "the detector's average precision at IoU 0.5, mean over classes, of all frames together",
        needs_truth=True,
    ),
    "map50_95": Metric(
        "mAP50-95", "", 3, HIGHER, "the same, mean over IoU 0.5, 0.55 ... 0.95", needs_truth=True
    ),
    "recall50_small": Metric(
        "recall, small",
        "",
        3,
        HIGHER,
        "the share of objects below 32x32 pixels that the detector finds, at IoU 0.5",
        needs_truth=True,
    ),
}


def metric_of(key: str) -> Metric:
    """The entry of :data:`METRICS` or :data:`BOX_METRICS`."""
    return METRICS[key] if key in METRICS else BOX_METRICS[key]
