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

"""The simulated camera: blur, detector area, pattern and noise as they were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.core.camera_simulation import SimulatedCamera, simulate_camera
from difiisr_ros.lab.frames.degrade import camera_frame

QUIET = {"blur": 0.0, "noise": 0.0, "pattern": 0.0}


def _rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_detector_element_integrates_over_its_area():
    hr = _rng().random((16, 24)).astype(np.float32)
    lr = simulate_camera(hr, **QUIET, rng=_rng())
    np.testing.assert_allclose(lr, hr.reshape(4, 4, 6, 4).mean((1, 3)), atol=1e-6)
    assert lr.dtype == np.float32


@pytest.mark.parametrize("blur", [0.3, 0.6, 1.1])
def test_a_wave_is_attenuated_by_optics_and_area(blur):
    cycles = 0.25  # per camera pixel
    wave = np.cos(2 * np.pi * cycles * (np.arange(640) + 0.5) / 4)
    hr = np.broadcast_to(1000 * wave, (64, 640)).astype(np.float32)
    lr = simulate_camera(hr, **{**QUIET, "blur": blur}, rng=_rng())[:, 20:-20]
    optics = np.exp(-2 * (np.pi * blur * cycles) ** 2)
    area = np.sin(np.pi * cycles) / (4 * np.sin(np.pi * cycles / 4))
    assert lr.std() == pytest.approx(1000 * optics * area / 2**0.5, rel=0.02)


def test_noise_and_pattern_have_the_sizes_asked_for():
    hr = np.full((1200, 1600), 30000, np.uint16)
    white = simulate_camera(hr, **{**QUIET, "noise": 7.0}, rng=_rng()) - 30000.0
    assert white.std() == pytest.approx(7.0, rel=0.02) and abs(white.mean()) < 0.1
    lines = simulate_camera(hr, **{**QUIET, "pattern": 5.0}, rng=_rng(1)) - 30000.0
    assert lines.std() == pytest.approx(5.0, rel=0.1)
    rows, columns = lines.mean(1, keepdims=True), lines.mean(0, keepdims=True)
    np.testing.assert_allclose(lines, rows + columns - lines.mean(), atol=0.01)


def test_the_same_seed_is_the_same_camera_whatever_its_noise():
    hr = (_rng().random((64, 80)) * 200).astype(np.uint8)
    (quiet, a), (loud, b) = camera_frame(hr, 5, 0.0), camera_frame(hr, 5, 3.0)
    assert (a.blur, a.pattern) == (b.blur, b.pattern) and (quiet != loud).any()
    span = np.subtract(*np.percentile(hr, (99, 1)))
    assert a.noise == 0 and b.noise == pytest.approx(0.03 * span)
    np.testing.assert_array_equal(camera_frame(hr, 5, 3.0)[0], loud)
    assert (camera_frame(hr, 6, 3.0)[0] != loud).any()


def test_blur_and_pattern_are_drawn_from_their_ranges():
    hr = (_rng().random((16, 16)) * 200).astype(np.uint8)
    cameras = [SimulatedCamera.draw(hr, 0.01, _rng(seed)) for seed in range(200)]
    blur = np.array([camera.blur for camera in cameras])
    share = np.array([camera.pattern / camera.noise for camera in cameras])
    assert 0.2 <= blur.min() < 0.22 and 0.58 < blur.max() <= 0.6
    assert 0 <= share.min() < 0.03 and 0.97 < share.max() <= 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_frames_keep_their_type_and_its_limits(dtype):
    hr = np.zeros((64, 64), dtype)
    hr[:, 32:] = 255 if dtype == np.uint8 else 60000
    lr = camera_frame(hr, 0, 5.0)[0]
    assert lr.dtype == dtype and lr.shape == (16, 16)
    if dtype != np.float32:  # nothing wraps
        assert lr[:, :6].max() < hr.max() / 3 and lr[:, -6:].min() > hr.max() / 2


def test_it_needs_no_torch():
    import subprocess
    import sys

    code = (
        "import sys; sys.modules['torch'] = None\nimport numpy as np\n"
        "from difiisr_ros.lab.frames.degrade import degrade\n"
        "assert degrade(np.zeros((32, 32), np.uint8), 'camera', 0).shape == (8, 8)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
