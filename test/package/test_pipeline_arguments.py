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

"""What SuperResolver is called with: what serves, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.errors import FrameError
from support.frames import smooth_frame


@pytest.fixture(scope="module")
def bicubic():
    return SuperResolver.load(backend="bicubic")


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_arrays_of_other_classes_give_the_same_plain_result(bicubic, dtype):
    frame = smooth_frame(dtype)
    expected = bicubic.upscale(frame)
    for other in (np.asmatrix(frame), np.ma.masked_array(frame)):
        (result,) = bicubic.upscale_batch([other])
        assert type(result) is np.ndarray
        assert result.tobytes() == expected.tobytes()


def test_a_masked_frame_is_refused_and_does_what_its_message_says(bicubic):
    frame = np.ma.masked_array(smooth_frame(np.float32), False)
    frame[5, 6] = np.ma.masked
    with pytest.raises(FrameError, match="hides 1 of its pixels"):
        bicubic.upscale(frame)
    result = bicubic.upscale(frame.data, missing=np.ma.getmaskarray(frame))
    assert (result[20:24, 24:28] == frame.data[5, 6]).all()
