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

"""Features of the embedded thermal detector: the default, with nothing to fetch."""

from __future__ import annotations

from torch import Tensor

from difiisr_ros.models.detector.checkpoint import PRIOR, load_detector
from difiisr_ros.models.detector.model import ThermalDetector
from difiisr_ros.models.features.base import FeatureNetwork, check_frames, crop_to_frame


class ThermalFeatures(FeatureNetwork):
    """The first stages of the detector's backbone.

    A person in thermal frames covers three to five cells of stride 4: what is deeper than stride 8
    sees the scene rather than objects, and costs more.
    """

    name = "thermal"
    layers = ("stride2", "stride4", "stride8")
    strides = (2, 4, 8)

    def __init__(self, detector: ThermalDetector) -> None:
        super().__init__()
        self.detector = detector

    def maps(self, x: Tensor) -> list[Tensor]:
        """See :class:`FeatureNetwork`."""
        check_frames(x)
        found = self.detector.features(x, self.layers)
        return [crop_to_frame(m, s, *x.shape[-2:]) for m, s in zip(found, self.strides)]


def load_thermal(weights: str | None = None) -> ThermalFeatures:
    """From the embedded ``detector``, or a file of 'difiisr train-detector'. Raises ModelError."""
    network, _ = load_detector(weights or PRIOR)
    return ThermalFeatures(network)
