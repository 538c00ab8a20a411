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

"""Distance to the truth in the features of networks that others trained, on others' frames.

What a model was trained by says little about it: these networks were in no loss of the shipped
models. Nothing is downloaded; :func:`why_missing` says what brings the weights.
"""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

#: Metric -> the network of :data:`difiisr_ros.models.features.load.FEATURES` that it looks through.
NETWORKS = {
    "efficientnet_distance": "efficientnet_lite0",
    "vgg_distance": "vgg16",
    "lpips_vgg": "vgg16",
}
GROUP = "features"
"""What asks for all of them."""


def why_missing(metric: str) -> str | None:
    """Why a metric of :data:`NETWORKS` cannot be measured here; None where it can."""
    if importlib.util.find_spec("torch") is None:
        return "needs PyTorch: pip install difiisr_ros[features]"
    from difiisr_ros.models.features import known_weights

    if metric != "lpips_vgg":
        return known_weights.why_missing(NETWORKS[metric])
    for source in (known_weights.TORCHVISION_VGG16, known_weights.LPIPS_VGG):
        if source.path() is None:
            # HED's channels are not torchvision's, so weights for the one say nothing of the other.
            return f"needs {source.how}"
    return None


class FeatureDistance:
    """The distance of results to one truth.

    ``lpips_vgg`` is LPIPS (Zhang et al. 2018) with its heads on VGG-16's layers; the others the
    root mean square difference of the maps, in units of their spread over the truth, mean over
    layers.

    Args:
        metric: of :data:`NETWORKS`.
        hr: the truth, H x W.
        value_range: the data range.

    Raises:
        ModelError: the weights are not here.
    """

    def __init__(self, metric: str, hr: np.ndarray, value_range: float) -> None:
        self._low = 0.0 if hr.dtype == np.uint8 else float(hr.min())
        self._range = value_range
        self._network = _network(metric)
        self._heads = _heads() if metric == "lpips_vgg" else None
        self._truth = self._maps(hr)

    def __call__(self, sr: np.ndarray) -> float:
        """Of a result of the truth's shape and dtype; 0 at best."""
        import torch

        with torch.inference_mode():
            ours = self._maps(sr)
            if self._heads is None:
                return float(np.mean([_relative(a, b) for a, b in zip(ours, self._truth)]))
            parts = zip(self._heads, ours, self._truth)
            return float(sum(_weighted(head, a, b) for head, a, b in parts))

    def _maps(self, frame: np.ndarray) -> list[Tensor]:
        import torch

        unit = (frame.astype(np.float64) - self._low) / self._range
        with torch.inference_mode():
            found: list[Tensor] = self._network.maps(
                torch.from_numpy(unit.clip(0, 1).astype(np.float32))[None, None]
            )
        return found


def _relative(ours: Tensor, truth: Tensor) -> float:
    spread = truth.var(dim=(0, 2, 3), correction=0).mean()
    return float(((ours - truth).square().mean() / spread.clamp_min(1e-12)).sqrt())


def _weighted(head: Tensor, ours: Tensor, truth: Tensor) -> float:
    """One layer's part of LPIPS: differences of unit vectors of channels, weighted and added."""
    a, b = (m / (m.square().sum(dim=1, keepdim=True).sqrt() + 1e-10) for m in (ours, truth))
    return float(((a - b).square() * head).sum(dim=1).mean())


@lru_cache(maxsize=3)
def _network(metric: str) -> Any:
    from difiisr_ros.models.features.known_weights import TORCHVISION_VGG16, checked
    from difiisr_ros.models.features.load import load_features

    if metric == "lpips_vgg":
        return load_features(f"vgg16:{checked(TORCHVISION_VGG16)}")
    return load_features(NETWORKS[metric])


@lru_cache(maxsize=1)
def _heads() -> list[Tensor]:
    """Of every layer a weight for each channel, 1 x C x 1 x 1."""
    from difiisr_ros.models.features.known_weights import LPIPS_VGG, checked
    from difiisr_ros.models.features.state_files import read_state

    state = read_state(checked(LPIPS_VGG))
    return [state[f"lin{layer}.model.1.weight"] for layer in range(len(state))]
