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

"""The interface that every backend has, and what it says about itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.guidance import NO_GUIDANCE, Guidance
from difiisr_ros.core.scale import SCALE
from difiisr_ros.options import UpscaleOptions


class Backend(Protocol):
    """Runs the whole sampler, noise passed in, so that any two backends can be compared.

    Arrays are float32 in normalised intensity and may lie outside 0..1.
    """

    name: str
    """``torch``, ``bicubic``, ..."""
    model: str
    """Name or path of the model that is loaded; ``none`` for interpolation."""
    device: str
    """``cpu``, ``cuda:0``, ..."""
    precision: str
    """``fp32``, ``bf16``, ``fp16``, ``int8``."""
    max_steps: int
    """Length of the model's schedule; 1 for one-pass models."""

    guidance_terms: tuple[str, ...]
    """Which of ``visual`` and ``perceptual`` guidance it can do with this model."""
    guidance_gradients: tuple[str, ...]
    """Which of ``closed_form`` and ``exact`` gradients it can take."""
    fixed_options: Mapping[str, int]
    """Options of ``UpscaleOptions`` that the model itself fixes, with their values."""
    # Published models have asked_range_is_seen, too: their networks see the range of
    # ``range_mode``, where others see most of the scene.

    def load(self) -> None:
        """Load weights; slow. Raises BackendUnavailable or ModelError with the reason."""

    def check_camera(self, camera: CameraProfile) -> None:
        """Raise OptionError where the model was made for frames of another kind of camera."""

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """Raise BackendUnavailable where what they need, beyond the model, is not to be had here.

        Called with options that the model can do, before the first frame and at each change.
        """

    def warmup(self, height: int, width: int, num_steps: int = 1) -> None:
        """Run once at this frame size, so that the first real frame is not the slow one."""

    def noise_count(self, num_steps: int) -> int:
        """How many noise images ``run`` reads for this number of steps."""

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
        """Super-resolve a batch.

        Args:
            lr: N x 1 x H x W.
            noise: noise_count(num_steps) x 4H x 4W, standard normal, shared by the batch: the
                same frame gives the same result in any batch.
            num_steps: timesteps to take.
            consistency: how often results are pulled to ``lr``.
            guidance: of the terms in ``guidance_terms``, by the gradients in
                ``guidance_gradients``.
            camera: what is known of the camera, for each frame or for all; models that are not
                told read of it whether frames are projected exactly, and the overshoot.
            scale: s, one of :data:`difiisr_ros.core.scale.SCALES`.

        Returns:
            N x 1 x sH x sW; the caller may overwrite it.
        """

    def close(self) -> None:
        """Free everything; may be called twice."""
