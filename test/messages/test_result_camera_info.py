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

"""K and P of a result put a 3-D point where the result's geometry puts its camera pixel."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from difiisr_ros.core.output_geometry import plan
from difiisr_ros.core.region import Region
from difiisr_ros.errors import FrameError, OptionError
from difiisr_ros.messages.camera_info import result_camera_info, scale_camera_info
from support.camera_infos import CAMERAS, CROPS, IMAGE, REGIONS, SIZES, camera, shown

POINTS = [(0.0, 0.0, 2.0), (0.3, -0.2, 2.0), (-0.15, 0.11, 1.5)]


def seen_at(info, matrix, point, shift):
    """The pixel of the message's image that its matrix projects a point to."""
    rows = np.asarray(getattr(info, matrix), float).reshape(3, -1)
    u, v, w = rows @ np.append(point, 1.0)[: rows.shape[1]]
    bins = np.maximum((info.binning_x, info.binning_y), 1)
    offset = np.array((info.roi.x_offset, info.roi.y_offset))
    return (np.array((u, v)) / w + shift - offset) / bins - shift


@pytest.mark.parametrize("convention", ["pixel_center", "image_proc"])
@pytest.mark.parametrize("part", REGIONS)
@pytest.mark.parametrize("size", SIZES)
def test_a_point_is_where_the_geometry_puts_its_pixel(size, part, convention):
    shift = 0.5 if convention == "pixel_center" else 0.0
    for known, crop in itertools.product(CAMERAS.values(), CROPS):
        info = camera(**known)
        geometry, whole = shown(size, part, crop)
        result = result_camera_info(info, geometry, REGIONS[part], convention, crop)
        scales = np.array((geometry.x_scale, geometry.y_scale))
        start = np.array((crop.left + whole.x, crop.top + whole.y))
        bars = np.array((geometry.left, geometry.top))
        for matrix, point in itertools.product("kp", POINTS):
            pixel = seen_at(info, matrix, point, shift)
            expected = scales * (pixel - start + shift) - shift + bars
            found = seen_at(result, matrix, point, shift)
            assert found == pytest.approx(expected, abs=1e-9), (known, crop, matrix)
        bins = np.maximum((result.binning_x, result.binning_y), 1)
        area = result.roi if result.roi.width else result
        assert (area.width / bins[0], area.height / bins[1]) == geometry.size
        assert result.d == info.d and result.r == info.r
        assert vars(info.roi) == vars(camera(**known).roi) and info.k == camera().k


@pytest.mark.parametrize("scale", [4, 2, 1])
def test_a_region_at_a_whole_scale_is_the_roi_as_image_proc_crops(scale):
    info, region = camera(), Region(8, 4, 40, 20)
    result = result_camera_info(info, plan((40, 20), scale), region)
    whole = scale_camera_info(info, scale)
    assert (result.width, result.height, result.k, result.p) == (
        whole.width, whole.height, whole.k, whole.p,
    )  # fmt: skip
    assert vars(result.roi) == {
        "x_offset": 8 * scale, "y_offset": 4 * scale, "width": 40 * scale, "height": 20 * scale,
        "do_rectify": True,
    }  # fmt: skip


def test_a_result_of_another_size_is_a_camera_of_its_own():
    info = camera(roi=(40, 20, 64, 48), binning=(2, 2))
    info.roi.do_rectify = True
    result = result_camera_info(info, plan((31, 17), 4, (640, 0)), Region(7, 11, 31, 17))
    assert (result.width, result.height) == (640, 351)
    assert (result.binning_x, result.binning_y) == (0, 0)
    assert vars(result.roi) == dict.fromkeys(("x_offset", "y_offset", "width", "height"), 0) | {
        "do_rectify": False
    }


@pytest.mark.parametrize("size", SIZES)
def test_an_uncalibrated_camera_stays_uncalibrated(size):
    info = camera(k=[0.0] * 9, p=[0.0] * 12)
    result = result_camera_info(info, plan((31, 17), **SIZES[size]), Region(7, 11, 31, 17))
    assert result.k == [0.0] * 9 and result.p == [0.0] * 12


def test_what_cannot_be_is_named():
    with pytest.raises(OptionError, match="camera_info_convention is 'opencv'"):
        result_camera_info(camera(), plan(IMAGE, 4, (64, 64)), None, "opencv")
    info = camera(roi=((1 << 30) - 1, 0, 64, 48), width=1, height=1)
    with pytest.raises(FrameError, match=r"roi\.x_offset 4294967320"):
        result_camera_info(info, plan((31, 17), 4), Region(7, 11, 31, 17))
