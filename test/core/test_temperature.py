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

"""Counts as temperatures, and what a profile may say of them."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros import CameraProfile
from difiisr_ros.core.temperature import TemperatureScale
from difiisr_ros.errors import OptionError


def test_a_lepton_in_tlinear_mode():
    counts = np.array([[0, 29315, 65535]], np.uint16)
    scale = TemperatureScale(0.01)
    np.testing.assert_allclose(scale.convert(counts, "kelvin"), [[0, 293.15, 655.35]], rtol=1e-7)
    celsius = scale.convert(counts, "celsius", counts == 65535)
    assert celsius.dtype == np.float32
    np.testing.assert_allclose(celsius, [[-273.15, 20.0, np.nan]], atol=1e-4)


def test_the_zero_counts_too():
    scale = CameraProfile(kelvin_per_count=0.04, kelvin_offset=253.15).temperatures
    np.testing.assert_allclose(
        scale.convert(np.array([[-100, 500]], np.int16), "celsius"), [[-24, 0]], atol=1e-4
    )


def test_a_profile_keeps_it(tmp_path):
    profile = CameraProfile(kelvin_per_count=0.01, kelvin_offset=-3.5)
    profile.write(tmp_path / "camera.yaml")
    read = CameraProfile.read(tmp_path / "camera.yaml")
    assert read.temperatures == TemperatureScale(0.01, -3.5)
    assert "0.01 K a count" in read.describe()
    assert CameraProfile().temperatures is None


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"kelvin_per_count": 0}, "kelvin_per_count must be a number in 1e-09..10000, got 0"),
        ({"kelvin_per_count": float("nan")}, "kelvin_per_count must be"),
        ({"kelvin_per_count": 0.01, "kelvin_offset": "x"}, "kelvin_offset must be a number in -1"),
        ({"kelvin_offset": 3.0}, "kelvin_offset is of no use without kelvin_per_count"),
    ],
)
def test_what_cannot_be_is_named(keys, words):
    with pytest.raises(OptionError, match=words):
        CameraProfile(**keys)
