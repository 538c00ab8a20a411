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

"""A moving thermal street scene whose x4 truth is known, as a 16-bit radiometric camera gives it.

Counts are those of a FLIR Lepton in its linear mode: 1 count = 0.01 K, so 20 Celsius is 29315.
The truth is rendered at ``scale`` times the camera's resolution and has no noise. What the camera
gives of it is one of two, both functions of (seed, frame index) alone:

- by default the truth reduced by antialiased bicubic (Pillow's, in float), plus temporal noise of
  ``netd`` counts and a weak fixed pattern;
- with ``real_camera`` what real cameras have: a blurred image, detector elements with an area, rows
  and columns with offsets of their own that stay, and more noise. :attr:`SyntheticScene.profile`
  says how much of it.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from difiisr_ros.core import camera_simulation
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.errors import OptionError
from difiisr_ros.scene.actors import actors
from difiisr_ros.scene.background import Background, foreground
from difiisr_ros.scene.canvas import Camera

KELVIN_AT_ZERO_CELSIUS = 273.15
COUNTS_PER_KELVIN = 100.0

#: Of the real camera: Gaussian sigma of its optics in camera pixels; and its white noise and the
#: offsets of its rows and columns, shares of the first frame's range. All are the camera's own and
#: stay as they are whatever it looks at.
BLUR, NOISE, PATTERN = 0.45, 0.01, 0.005


class SyntheticScene:
    """A street at an evening: walking people, cars with hot wheels, houses, trees, cold sky.

    Args:
        width, height: Size of the camera's frame, pixels, at least 8.
        scale: Truth pixels per camera pixel along each axis.
        seed: Chooses textures and noise; the same seed gives the same frames, bit for bit.
        period: Frames after which the motion repeats without a jump (300: 10 s at 30 Hz). The
            noise does not repeat.
        netd: Standard deviation of the temporal noise, counts, without ``real_camera``.
        real_camera: The camera blurs, and has the noise and pattern of real ones. For scale 4.

    Raises:
        OptionError: A size, scale or period that cannot be rendered.
    """

    def __init__(
        self,
        width: int = 160,
        height: int = 120,
        scale: int = 4,
        seed: int = 0,
        period: int = 300,
        netd: float = 3.0,
        real_camera: bool = False,
    ) -> None:
        for name, value, least in (
            ("width", width, 8),
            ("height", height, 8),
            ("scale", scale, 1),
            ("period", period, 1),
            ("seed", seed, 0),
        ):
            if not least <= value:
                raise OptionError(
                    f"synthetic scene: {name} is {value}, accepted are {least} and up"
                )
        self.width, self.height, self.scale = width, height, scale
        self.seed, self.period, self.netd = seed, period, netd
        self._camera = Camera(width * scale, height * scale)
        rng = np.random.default_rng([seed, 0])
        self._background = Background(self._camera, rng).picture
        self._foreground = foreground(self._camera)
        self._actors = actors()
        self._fixed_pattern = rng.normal(0.0, 0.8, (1, width)) + rng.normal(0.0, 0.4, (height, 1))
        #: The real camera, sizes in counts; None for the simple one.
        self.real_camera = self._real_camera() if real_camera else None

    def _real_camera(self) -> camera_simulation.SimulatedCamera:
        if self.scale != camera_simulation.SCALE:
            raise OptionError(
                f"synthetic scene: scale is {self.scale}, accepted with real_camera is "
                f"{camera_simulation.SCALE}"
            )
        low, high = measure_range(self.truth(0))
        return camera_simulation.SimulatedCamera(BLUR, NOISE * (high - low), PATTERN * (high - low))

    @property
    def profile(self) -> CameraProfile | None:
        """What ``difiisr calibrate`` would say of the real camera; None of the simple one."""
        camera = self.real_camera
        return None if camera is None else CameraProfile(noise=camera.noise, blur=camera.blur)

    @property
    def intrinsics(self) -> tuple[float, float, float, float]:
        """(fx, fy, cx, cy) of the camera, pixels; (0, 0) is the centre of the first pixel."""
        focal = self._camera.focal / self.scale
        cx, cy = self._camera.centre / self.scale, self._camera.horizon / self.scale
        return focal, focal, cx - 0.5, cy - 0.5

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Frame ``index``: what the camera gives, and the truth.

        Returns:
            ``(lr, truth)``, uint16 counts, height x width and scale times that.
        """
        truth = self.truth(index)
        rng = np.random.default_rng([self.seed, 1, index])
        if self.real_camera is not None:
            fixed = np.random.default_rng([self.seed, 2])
            return _to_counts(self.real_camera.look(truth, rng, fixed)), truth
        clean = Image.fromarray(truth.astype(np.float32)).resize(
            (self.width, self.height),
            Image.BICUBIC,  # type: ignore[attr-defined]
        )
        noise = self.netd * rng.standard_normal((self.height, self.width), np.float32)
        return _to_counts(np.asarray(clean) + noise + self._fixed_pattern), truth

    def truth(self, index: int) -> np.ndarray:
        """The noiseless scene at ``scale`` times the camera's resolution, uint16 counts."""
        phase = (index % self.period) / self.period
        moving = [p for a in self._actors if (p := a.patch(self._camera, phase)) is not None]
        picture = self._background.copy()
        for patch in sorted(moving + self._foreground, key=lambda p: -p.depth):
            patch.composite(picture)
        # what a good lens does to a point, at the truth's resolution
        picture = cv2.GaussianBlur(picture, (0, 0), 0.55)
        return _to_counts((picture + KELVIN_AT_ZERO_CELSIUS) * COUNTS_PER_KELVIN)


def _to_counts(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 65535).astype(np.uint16)
