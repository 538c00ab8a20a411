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

"""Agreement with the real cv_bridge, case by case, except for its two documented faults.

A step that is not a multiple of the pixel size skews cv_bridge's image; with NumPy 2 it raises for
every big-endian message. Here both decode rightly.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from sensor_msgs.msg import Image

from difiisr_ros.errors import FrameError
from difiisr_ros.messages.image_encoding import parse_encoding
from difiisr_ros.ros.conversions import array_to_image, image_to_array


@pytest.fixture(scope="module")
def golden(golden_dir):
    path = golden_dir / "cv_bridge" / "cv_bridge_golden.json"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    with np.load(path.with_suffix(".npz")) as arrays:
        yield json.loads(path.read_text()), dict(arrays)


def message_of(case, arrays):
    message = Image()
    message.height, message.width = case["height"], case["width"]
    message.encoding, message.step = case["encoding"], case["step"]
    message.is_bigendian = case["is_bigendian"]
    message.data.frombytes(arrays[case["data"]].tobytes())
    return message


def is_mosaic(encoding):
    return parse_encoding(encoding).family in ("bayer", "yuv")


def test_decode(golden):
    cases, arrays = golden
    compared = refused = 0
    for case in cases["decode"]:
        message = message_of(case, arrays)
        for desired, expected in case["results"].items():
            where = f"{case['id']} -> {desired}"
            if is_mosaic(case["encoding"]) and desired not in ("passthrough", "mono8", "mono16"):
                continue  # intensity alone
            if "array" not in expected:
                with pytest.raises(FrameError):
                    image_to_array(message, desired)
                refused += 1
                continue
            want = arrays[expected["array"]]
            if case.get("cv_bridge_equals_true_strided_decode") is False:
                if desired != "passthrough":
                    continue
                want = arrays[case["true_strided_decode"]]
            got = image_to_array(message, desired)
            assert got.dtype == want.dtype, where
            np.testing.assert_array_equal(got, want, err_msg=where)
            compared += 1
    assert len(cases["decode"]) == 230
    assert compared > 1000
    assert refused > 300


def test_encode(golden):
    cases, arrays = golden
    compared = refused = 0
    for case in cases["encode"]:
        if case.get("input") is None:
            array = {"list": [1], "NoneType": None}[case["input_python_type"]]
        else:
            array = arrays[case["input"]].astype(case["input_dtype"])
        expected = case["result"]
        if case["id"].startswith("encbad"):
            if "data" not in expected or array.ndim > 3 or array.size == 0:
                with pytest.raises(FrameError):
                    array_to_image(array, case["encoding_arg"])
                refused += 1
            continue
        got = array_to_image(array, case["encoding_arg"])
        for field in ("height", "width", "encoding", "is_bigendian", "step"):
            assert getattr(got, field) == expected[field], f"{case['id']}: {field}"
        assert got.data.tobytes() == arrays[expected["data"]].tobytes(), case["id"]
        compared += 1
    assert len(cases["encode"]) == 142
    assert compared > 110
    assert refused >= 20


def test_malformed(golden):
    cases, arrays = golden
    for case in cases["bad"]:
        message = message_of(case, arrays)
        for desired in case["results"]:
            if desired == "":
                continue  # empty means passthrough, to cv_bridge and here
            with pytest.raises(FrameError) as caught:
                image_to_array(message, desired)
            assert len(str(caught.value)) > 20, case["id"]
    assert len(cases["bad"]) == 50
