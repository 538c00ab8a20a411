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

"""The shipped models' quality, on twenty frames that are part of the repository.

Thresholds are what was measured when the weights were made, less a tenth of a dB: weights that
lose a part of their strength, or are told their camera wrongly, fail here.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core.camera_simulation import simulate_camera
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.io.images import list_files, read_image
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.scores.metrics import Ssim, psnr
from support.paths import DRONE_FRAMES

pytestmark = pytest.mark.needs("torch")

BLUR = 0.4
#: Model -> what it is told -> dB over bicubic on reduced frames, and on a camera's with noise of
#: 0, 1 and 3 % of the range.
LEAST = {
    "lite": {"told": (2.39, 3.84, 3.1, 2.19), "auto": (2.02, 2.91, 2.47, 1.83)},
    "nano": {"told": (2.13, 3.56, 2.84, 2.03), "auto": (1.65, 2.61, 2.27, 1.71)},
}
COLUMNS = ("reduced", 0.0, 0.01, 0.03)


@pytest.fixture(scope="module", params=list(LEAST))
def resolver(request):
    loaded = SuperResolver.load(request.param, backend="torch", strict_backend=True)
    yield loaded
    loaded.close()


def frames(column) -> list[tuple[np.ndarray, np.ndarray, CameraProfile]]:
    """HR, LR, and the camera as it is."""
    found = []
    for index, path in enumerate(list_files(DRONE_FRAMES)):
        hr = read_image(path)
        if column == "reduced":
            found.append((hr, degrade_bicubic(hr), CameraProfile(source="reduced")))
            continue
        low, high = measure_range(hr)
        noise = column * (high - low)
        rng = np.random.default_rng(index)
        lr = simulate_camera(hr, blur=BLUR, noise=noise, pattern=0.002 * (high - low), rng=rng)
        lr = np.clip(np.rint(lr), 0, 255).astype(np.uint8)
        found.append((hr, lr, CameraProfile(noise=noise, blur=BLUR)))
    return found


@pytest.mark.parametrize("told", ["told", "auto"])
@pytest.mark.parametrize("column", COLUMNS)
def test_gain_over_bicubic(resolver, told, column):
    gains, structure = [], []
    for hr, lr, camera in frames(column):
        known = camera if told == "told" else CameraProfile(source="auto")
        result = resolver.upscale(lr, camera=known)
        plain = cv2.resize(lr, hr.shape[::-1], interpolation=cv2.INTER_CUBIC)
        gains.append(psnr(hr, result, 255.0) - psnr(hr, plain, 255.0))
        ssim = Ssim(hr, 255.0)
        structure.append(ssim(result) - ssim(plain))
    least = LEAST[resolver.info.model][told][COLUMNS.index(column)]
    assert np.mean(gains) > least
    assert np.mean(structure) > 0
