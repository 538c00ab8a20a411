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

"""Boxes of a super-resolved image in the camera's pixels; everything else of a message stays."""

from __future__ import annotations

import copy
import itertools
from types import SimpleNamespace as Fields

import pytest

from difiisr_ros.errors import FrameError
from difiisr_ros.messages.box_mapping import BoxMapping, map_vision, map_yolo, mapping_between
from difiisr_ros.messages.camera_info import result_camera_info
from support.camera_infos import CAMERAS, CROPS, IMAGE, REGIONS, SIZES, camera, shown


@pytest.mark.parametrize(
    ("coordinates", "result", "camera"),
    [
        # The middles of the 4x4 block that camera pixel 10 becomes, and its first pixel.
        ("centers", 41.5, 10.0),
        ("centers", 40.0, 9.625),
        ("centers", -0.5, -0.5),
        ("edges", 40.0, 10.0),
        ("edges", 0.0, 0.0),
    ],
)
def test_places(coordinates, result, camera):
    mapping = BoxMapping(4.0, coordinates)
    assert mapping.x(result) == mapping.y(result) == camera
    assert mapping.width(result) == mapping.height(result) == result / 4


def test_a_crop_is_put_back_and_another_scale_taken():
    mapping = BoxMapping(2.0, "centers", offset_x=3.0, offset_y=5.0)
    assert (mapping.x(20.5), mapping.y(20.5)) == (13.0, 15.0)
    assert mapping.width(20.5) == mapping.height(20.5) == 10.25


def test_two_scales_and_a_letterbox():
    mapping = BoxMapping(2.0, "edges", 3.0, 5.0, scale_y=4.0, left=10.0, top=-20.0)
    assert (mapping.x(10.0), mapping.y(-20.0)) == (3.0, 5.0)
    assert (mapping.x(30.0), mapping.y(0.0)) == (13.0, 10.0)
    assert (mapping.width(8.0), mapping.height(8.0)) == (4.0, 2.0)
    assert mapping.picture_of(340, 440) == (3 + 160, 5 + 120)


@pytest.mark.parametrize("coordinates", ["centers", "edges"])
@pytest.mark.parametrize("convention", ["pixel_center", "image_proc"])
@pytest.mark.parametrize("part", REGIONS)
@pytest.mark.parametrize("size", SIZES)
def test_two_calibrations_say_the_mapping(size, part, convention, coordinates):
    half = 0.5 if coordinates == "centers" else 0.0
    for known, crop in itertools.product(CAMERAS.values(), CROPS):
        info = camera(**known)
        geometry, whole = shown(size, part, crop)
        result = result_camera_info(info, geometry, REGIONS[part], convention, crop)
        mapping = mapping_between(result, info, coordinates, convention)
        for column, row in ((0.0, 0.0), (17.3, 40.1)):
            x = geometry.x_scale * (column + half - crop.left - whole.x) + geometry.left - half
            y = geometry.y_scale * (row + half - crop.top - whole.y) + geometry.top - half
            found = mapping.x(x), mapping.y(y)
            assert found == pytest.approx((column, row), abs=1e-9), (known, crop)
        lengths = mapping.width(geometry.x_scale), mapping.height(geometry.y_scale)
        assert lengths == pytest.approx((1, 1))
        assert mapping.picture_of(1, 1) == IMAGE


@pytest.mark.parametrize("without", ["camera", "result"])
def test_without_a_calibration_there_is_no_such_mapping(without):
    infos = {"camera": camera(), "result": camera()}
    infos[without].k = [0.0] * 9
    with pytest.raises(FrameError, match=rf"the {without}'s camera_info has no calibration"):
        mapping_between(infos["result"], infos["camera"], "edges")


def detection(centre):
    return Fields(
        header="camera's",
        id="track 7",
        results=[Fields(hypothesis=Fields(class_id="person", score=0.5), pose="in metres")],
        bbox=Fields(center=centre, size_x=16.0, size_y=32.0),
    )


def test_vision_msgs():
    theta = 0.25
    new = detection(Fields(position=Fields(x=41.5, y=81.5), theta=theta))
    old = detection(Fields(x=41.5, y=81.5, theta=theta))  # as before ROS 2 Humble
    message = Fields(header="camera's", detections=[new, old])
    kept = copy.deepcopy((new.header, new.id, new.results))
    assert map_vision(message, BoxMapping()) is message
    assert (new.header, new.id, new.results) == kept and message.header == "camera's"
    assert (new.bbox.center.position.x, new.bbox.center.position.y) == (10.0, 20.0)
    assert (old.bbox.center.x, old.bbox.center.y) == (10.0, 20.0)
    for found in (new, old):
        assert (found.bbox.size_x, found.bbox.size_y) == (4.0, 8.0)
        assert found.bbox.center.theta == theta


def test_yolo_msgs_with_masks_and_key_points():
    found = Fields(
        id="7",
        class_id=1,
        class_name="car",
        score=0.9,
        bbox=Fields(center=Fields(position=Fields(x=40.0, y=80.0)), size=Fields(x=8.0, y=12.0)),
        bbox3d="in metres",
        mask=Fields(height=480, width=640, data=[Fields(x=4.0, y=8.0)]),
        keypoints=Fields(data=[Fields(id=1, point=Fields(x=0.0, y=2.0), score=0.8)]),
        keypoints3d="in metres",
    )
    map_yolo(Fields(header="h", detections=[found]), BoxMapping(4.0, "edges"))
    assert vars(found.bbox.center.position) == {"x": 10.0, "y": 20.0}
    assert vars(found.bbox.size) == {"x": 2.0, "y": 3.0}
    assert (found.mask.height, found.mask.width) == (120, 160)
    assert vars(found.mask.data[0]) == {"x": 1.0, "y": 2.0}
    assert vars(found.keypoints.data[0].point) == {"x": 0.0, "y": 0.5}
    assert (found.id, found.class_name, found.score, found.bbox3d) == ("7", "car", 0.9, "in metres")
