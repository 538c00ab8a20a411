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

"""What has nothing in it gets nothing, in reduced precision too: a smooth frame without noise."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver

pytestmark = pytest.mark.needs("torch")

LEVEL, RANGE = 20_000.0, 400.0
CAMERAS = (CameraProfile(), CameraProfile(noise=0.0, blur=0.4))


def slopes(scale: int) -> np.ndarray:
    """A scene of slopes so slow that bicubic has none of its own ripple, at 1/scale pixels."""
    y, x = (np.mgrid[: 96 * scale, : 128 * scale] + 0.5) / scale
    return LEVEL + RANGE * (0.5 + 0.25 * np.sin(y / 150) + 0.25 * np.cos(x / 180 + y / 240))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", ["lite", "nano"])
def test_a_smooth_frame_gets_no_texture(model, precision):
    resolver = SuperResolver.load(model, backend="torch", precision=precision)
    for camera in CAMERAS:
        frame = slopes(1).astype(np.float32)
        result = resolver.upscale(frame, (LEVEL, LEVEL + RANGE), camera)
        added = (result - slopes(4))[32:-32, 32:-32] / RANGE
        blocks = added.reshape(10, 32, 14, 32)
        assert blocks.std(axis=(1, 3)).max() < 2e-4, camera
    resolver.close()
