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

"""Numbers of NumPy's types serve wherever Python's own do, and are kept as these."""

from __future__ import annotations

import json
from dataclasses import asdict
from fractions import Fraction

import numpy as np
import pytest

from difiisr_ros import CameraProfile
from difiisr_ros.core.crop import Crop
from difiisr_ros.core.plain_numbers import plain_int, plain_ints, plain_real
from difiisr_ros.errors import OptionError
from difiisr_ros.options import UpscaleOptions

FROM_NUMPY = {
    "num_steps": np.int64(2),
    "seed": np.uint32(7),
    "scale": np.int8(2),
    "output_size": (np.int32(64), np.int64(0)),
    "roi": (np.int64(1), np.int64(2), np.uint16(3), 4),
    "visual_scale": np.float32(0.5),
    "perceptual_scale": np.float64(0.25),
    "overshoot": np.float32(0.5),
    "range_min": np.uint16(3),
    "range_max": np.float32(4.5),
}


def test_numbers_of_any_type_are_told_from_what_is_none():
    for value in (3, np.int8(3), np.uint64(3)):
        assert type(plain_int(value)) is int and plain_int(value) == 3
    for value in (1.5, np.float16(1.5), np.float64(1.5), Fraction(3, 2)):
        assert type(plain_real(value)) is float and plain_real(value) == 1.5
    assert type(plain_real(np.int64(3))) is int
    for value in (True, np.True_, "3", None, 3 + 0j, np.array(3)):
        assert plain_int(value) is None
        assert plain_real(value) is None
    assert plain_int(3.0) is None
    assert plain_ints((np.int64(0), 1), 2) == (0, 1)
    for value in ((0, 1, 2), [0, 1], (0, 1.0), (0, True), 0):
        assert plain_ints(value, 2) is None


@pytest.mark.parametrize("name", FROM_NUMPY)
def test_an_option_is_kept_as_pythons_own_number(name):
    value = FROM_NUMPY[name]
    options = UpscaleOptions().changed(**{name: value})
    assert getattr(options, name) == value
    plain = asdict(options)[name]
    types = {type(n) for n in (plain if isinstance(plain, tuple) else (plain,))}
    assert types <= {int, float}
    json.dumps(plain)


@pytest.mark.parametrize("name", FROM_NUMPY)
@pytest.mark.parametrize("wrong", [np.True_, True, "2", (1,)])
def test_an_option_that_is_no_number_is_named(name, wrong):
    with pytest.raises(OptionError, match=f"^{name} must be"):
        UpscaleOptions().changed(**{name: wrong})


def test_a_profile_keeps_pythons_own_numbers(tmp_path):
    profile = CameraProfile(
        noise=np.float32(1.5),
        blur=np.float64(0.5),
        kelvin_per_count=np.float16(0.5),
        missing=(np.uint16(0), (np.int64(5), np.float32(6))),
        crop=(np.int64(1), 2, np.uint8(3), 4),
        calibration={"frames": np.int64(5), "means": [np.float32(0.5)], "of": {"x": np.ones(2)}},
    )
    assert (profile.noise, profile.blur, profile.kelvin_per_count) == (1.5, 0.5, 0.5)
    assert {type(n) for n in (profile.noise, *profile.crop, *sum(profile.missing, ()))} == {
        float,
        int,
    }
    assert profile.crop == Crop(1, 2, 3, 4)
    profile.write(tmp_path / "camera.yaml")
    found = CameraProfile.read(tmp_path / "camera.yaml")
    assert found.crop == profile.crop
    assert found.calibration == {"frames": 5, "means": [0.5], "of": {"x": [1.0, 1.0]}}
    assert CameraProfile(missing=np.array([0, 9])).missing == ((0.0, 0.0), (9.0, 9.0))
    for wrong in ({"noise": np.True_}, {"missing": np.True_}, {"crop": (np.True_, 0, 0, 0)}):
        with pytest.raises(OptionError, match=f"{next(iter(wrong))} must"):
            CameraProfile(**wrong)
