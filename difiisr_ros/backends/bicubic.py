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

"""Plain bicubic interpolation: no weights, no torch. The honest baseline, and a last resort."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.guidance import NO_GUIDANCE, Guidance
from difiisr_ros.core.scale import SCALE
from difiisr_ros.options import UpscaleOptions


class BicubicBackend:
    """OpenCV's INTER_CUBIC (pixel centres aligned, a = -0.75); noise and steps do nothing."""

    name = "bicubic"
    model = "none"
    device = "cpu"
    precision = "fp32"
    max_steps = 1
    guidance_terms: tuple[str, ...] = ()
    guidance_gradients: tuple[str, ...] = ()
    fixed_options: Mapping[str, int] = {}

    def load(self) -> None:
        """Nothing to load."""

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """All that the model can do runs here."""

    def check_camera(self, camera: CameraProfile) -> None:
        """Every camera."""

    def warmup(self, height: int, width: int, num_steps: int = 1) -> None:
        """Nothing to warm up."""

    def noise_count(self, num_steps: int) -> int:
        """0: interpolation reads no noise."""
        return 0

    def run(
        self,
        lr: np.ndarray,
        noise: np.ndarray,
        num_steps: int,
        consistency: int,
        guidance: Guidance = NO_GUIDANCE,
        camera: Conditions = NOTHING_KNOWN,
        scale: int = SCALE,
    ) -> np.ndarray:
        """See :class:`difiisr_ros.backends.base.Backend`; consistency is not applied."""
        height, width = lr.shape[-2:]
        size = (width * scale, height * scale)
        frames = [cv2.resize(frame[0], size, interpolation=cv2.INTER_CUBIC) for frame in lr]
        return np.stack(frames)[:, None]

    def close(self) -> None:
        """Nothing to free."""
