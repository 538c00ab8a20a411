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

"""MS-SSIM and LPIPS, by torchmetrics: measured when asked for, as each takes a second per frame.

Nothing is downloaded: LPIPS needs AlexNet's ImageNet weights where torchvision keeps them, and
:func:`why_missing` says what is not there.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

#: MS-SSIM halves a frame four times, and its 11x11 window must fit what is left.
MS_SSIM_MIN_SIDE = 161
_INSTALL = "pip install difiisr_ros[metrics]"


def why_not_installed(metric: str) -> str | None:
    """Which library ``ms_ssim`` or ``lpips`` lacks here; None where all are there. Quick."""
    if importlib.util.find_spec("torchmetrics") is None:
        return f"needs torchmetrics: {_INSTALL}"
    if metric == "lpips" and importlib.util.find_spec("torchvision") is None:
        return "needs torchvision, for AlexNet: pip install torchvision"
    return None


@lru_cache(maxsize=2)
def why_missing(metric: str) -> str | None:
    """Why ``ms_ssim`` or ``lpips`` cannot be measured here; None where it can. Takes seconds."""
    reason = why_not_installed(metric)
    if reason is not None:
        return reason
    try:
        import torchmetrics.image  # noqa: F401

        if metric == "ms_ssim":
            return None
        from torchvision.models import AlexNet_Weights
    except Exception as error:  # noqa: BLE001  a torchvision for another PyTorch fails in many ways
        return f"needs libraries of which one cannot be imported here: {error}"
    weights = _weights_file(AlexNet_Weights.DEFAULT.url)
    if not weights.is_file():
        return (
            f"needs AlexNet's weights in {weights}; they are never downloaded by this command. "
            f"Fetch them once from {AlexNet_Weights.DEFAULT.url}"
        )
    return None


def _weights_file(url: str) -> Path:
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def measure(metric: str, hr: np.ndarray, sr: np.ndarray, value_range: float) -> float:
    """``ms_ssim`` or ``lpips`` of a result.

    Args:
        metric: which.
        hr, sr: of one shape and dtype.
        value_range: the data range.

    Returns:
        The value; NaN for a frame that is too small for MS-SSIM.
    """
    return _MEASURES[metric](hr, sr, value_range)


def _ms_ssim(hr: np.ndarray, sr: np.ndarray, value_range: float) -> float:
    if min(hr.shape) < MS_SSIM_MIN_SIDE:
        return float("nan")
    import torch
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as ms_ssim,
    )

    with torch.inference_mode():
        value = ms_ssim(_tensor(sr), _tensor(hr), data_range=value_range)
    return float(value)


def _lpips(hr: np.ndarray, sr: np.ndarray, value_range: float) -> float:
    import torch

    low = 0.0 if hr.dtype == np.uint8 else float(hr.min())

    def colour(frame: np.ndarray) -> Any:
        unit = ((_tensor(frame) - low) / value_range).clamp(0, 1)
        return unit.float().expand(-1, 3, -1, -1)

    with torch.inference_mode():
        return float(_lpips_network()(colour(sr), colour(hr)))


@lru_cache(maxsize=1)
def _lpips_network() -> Any:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity(net_type="alex", normalize=True)


def _tensor(frame: np.ndarray) -> Any:
    """1 x 1 x H x W in float64: variances of 16-bit counts need the digits."""
    import torch

    return torch.from_numpy(frame.astype(np.float64))[None, None]


_MEASURES: dict[str, Callable[[np.ndarray, np.ndarray, float], float]] = {
    "ms_ssim": _ms_ssim,
    "lpips": _lpips,
}
