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

"""Byte order: what was asked for decides, and a clear sign that it is wrong is seen."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros.core.byte_order import in_order, wrong_byte_order
from support.frames import street

FRAME = street().frame(0)[0]


@pytest.mark.parametrize(
    "frame",
    [FRAME, FRAME.astype(np.int16), (FRAME / 100).astype(np.float32), FRAME // 4, FRAME[::4, ::4]],
    ids=["uint16", "int16", "float32", "14 bit", "40x30"],
)
def test_swapped_bytes_are_seen_and_right_ones_are_not(frame):
    assert wrong_byte_order(frame.byteswap())
    assert not wrong_byte_order(frame)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((120, 160), np.uint16),
        np.full((120, 160), 29000, np.uint16),
        np.full((120, 160), 7, np.uint16),
        np.zeros((120, 160), np.float32),
        np.full((120, 160), np.nan, np.float32),
        np.random.default_rng(0).integers(0, 65536, (120, 160)).astype(np.uint16),
        (FRAME >> 8).astype(np.uint8),
        (FRAME >> 8).astype(np.uint16),
        ((FRAME >> 8) * 257).astype(np.uint16),
        np.ones((1, 1), np.uint16),
    ],
)
def test_what_says_nothing_is_not_called_wrong(frame):
    assert not wrong_byte_order(frame)
    assert not wrong_byte_order(frame.byteswap())


def test_half_floats_are_looked_at_without_a_warning():
    frame = (FRAME / 100).astype(np.float16)
    with np.errstate(all="raise"):
        assert not wrong_byte_order(frame)
    assert not wrong_byte_order(np.full((120, 160), np.nan, np.float16))


def test_no_real_frame_is_called_wrong_and_each_is_when_swapped(data_dir):
    frames = [
        cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        for path in sorted((data_dir / "lepton").glob("*.tiff"))
    ]
    assert len(frames) > 40 and not any(map(wrong_byte_order, frames))
    assert all(wrong_byte_order(frame.byteswap()) for frame in frames)


def test_what_was_asked_for_decides():
    assert in_order(FRAME, "big", "auto") is FRAME
    assert in_order(FRAME, "big", "big") is FRAME
    assert in_order(FRAME, "", "little") is FRAME
    np.testing.assert_array_equal(in_order(FRAME, "big", "little"), FRAME.byteswap())
    bytes_ = FRAME.astype(np.uint8)
    assert in_order(bytes_, "big", "little") is bytes_
