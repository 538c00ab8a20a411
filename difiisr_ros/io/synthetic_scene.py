"""A moving thermal street scene whose x4 truth is known, as a 16-bit radiometric camera gives it.

Counts are those of a FLIR Lepton in its linear mode: 1 count = 0.01 K, so 20 Celsius is 29315.
The truth is rendered at ``scale`` times the camera's resolution and has no noise. The camera's
frame is the truth, reduced by antialiased bicubic (Pillow's, in float), plus temporal noise of
``netd`` counts and a weak fixed pattern. Both are functions of (seed, frame index) alone.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image

from difiisr_ros.errors import OptionError
from difiisr_ros.io.synthetic_actors import actors
from difiisr_ros.io.synthetic_background import Background, foreground
from difiisr_ros.io.synthetic_canvas import Camera

KELVIN_AT_ZERO_CELSIUS = 273.15
COUNTS_PER_KELVIN = 100.0


class SyntheticScene:
    """A street at an evening: walking people, cars with hot wheels, houses, trees, cold sky.

    Args:
        width, height: Size of the camera's frame, pixels, at least 8.
        scale: Truth pixels per camera pixel along each axis.
        seed: Chooses textures and noise; the same seed gives the same frames, bit for bit.
        period: Frames after which the motion repeats without a jump (300: 10 s at 30 Hz). The
            noise does not repeat.
        netd: Standard deviation of the temporal noise, counts.

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
        clean = Image.fromarray(truth.astype(np.float32)).resize(
            (self.width, self.height), Image.Resampling.BICUBIC
        )
        rng = np.random.default_rng([self.seed, 1, index])
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
