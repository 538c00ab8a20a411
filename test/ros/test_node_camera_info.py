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

"""camera_info that is missing, late, at another rate, or in another order than the images."""

from __future__ import annotations

import pytest
from sensor_msgs.msg import CameraInfo

from support.node_harness import Graph, scene
from support.waiting import wait_for


@pytest.fixture
def graph():
    with Graph() as running:
        running.connect()
        wait_for(running.info_publisher.get_subscription_count, "camera_info is heard")
        wait_for(lambda: running.tester.count_publishers("sr/camera_info"), "and published")
        yield running


def info(stamp, focal=50.0):
    message = CameraInfo(width=32, height=24)
    message.header.stamp.sec = stamp
    message.k = [focal, 0, 15.5, 0, focal, 11.5, 0, 0, 1]
    message.p = [focal, 0, 15.5, 0, 0, focal, 11.5, 0, 0, 0, 1, 0]
    return message


def know(graph, *messages):
    """Send camera_info and wait until the node has stored it."""
    for message in messages:
        graph.info_publisher.publish(message)
        stamp = (message.header.stamp.sec, message.header.stamp.nanosec)
        wait_for(lambda: stamp in graph.node.cameras[""]._infos, "stored")  # noqa: B023


def scaled_info(graph, stamp):
    """Send an image of this stamp and return the camera_info that comes with it."""
    graph.infos.clear()
    graph.roundtrip(scene(), stamp=stamp)
    return wait_for(lambda: graph.infos, "camera_info")[0]


def test_missing_means_that_only_images_are_published(graph):
    for stamp in range(1, 4):
        graph.roundtrip(scene(), stamp=stamp)
    know(graph, info(9))
    # Had one been published for the images above, it would have come before this one.
    assert scaled_info(graph, 10).header.stamp.sec == 10
    assert len(graph.infos) == 1


def test_late_camera_info_joins_in(graph):
    graph.roundtrip(scene(), stamp=1)
    know(graph, info(2))
    assert scaled_info(graph, 3).k[0] == 200.0


def test_a_lower_rate_is_filled_with_the_latest(graph):
    know(graph, info(1, focal=50.0))
    assert [scaled_info(graph, stamp).header.stamp.sec for stamp in (1, 2, 3)] == [1, 2, 3]
    know(graph, info(4, focal=60.0))
    assert scaled_info(graph, 5).k[0] == 240.0


def test_the_one_with_the_image_s_stamp_is_preferred(graph):
    """A zooming camera: the focal length belongs to one frame."""
    know(graph, *(info(stamp, focal=50.0 + stamp) for stamp in range(1, 6)))
    assert scaled_info(graph, 3).k[0] == 4 * 53.0
    assert scaled_info(graph, 2).k[0] == 4 * 52.0
    assert scaled_info(graph, 99).k[0] == 4 * 55.0


def test_a_higher_rate_needs_no_memory(graph):
    know(graph, *(info(stamp) for stamp in range(1, 60)))
    assert len(graph.node.cameras[""]._infos) <= 16
    assert scaled_info(graph, 59).header.frame_id == "thermal_optical"


def test_one_that_is_not_of_the_image_is_named_and_counted(graph, log):
    wrong = info(1)
    wrong.width, wrong.height = 20, 20
    know(graph, wrong)
    for stamp in (1, 2):
        graph.roundtrip(scene(), stamp=stamp)
    graph.status("input", lambda v, _: v.get("noticed: unusable_camera_info") == "2")
    said = "camera_info on /camera_info not used: 20x20 is not of an image of 32x24; accepted is"
    assert said in log.wait("20x20")
    assert len(log.lines("20x20")) == 1
    know(graph, info(3))
    # Had one been published before, it would have come before this one.
    assert scaled_info(graph, 3).width == 128
    assert [found.header.stamp.sec for found in graph.infos] == [3]


def test_a_binned_calibration_is_of_the_image(graph):
    binned = info(1)
    binned.width, binned.height, binned.binning_x, binned.binning_y = 64, 48, 2, 2
    know(graph, binned)
    assert scaled_info(graph, 1).width == 256


@pytest.mark.parametrize(("convention", "centre"), [("pixel_center", 63.5), ("image_proc", 62.0)])
def test_convention(convention, centre):
    with Graph(camera_info_convention=convention) as graph:
        graph.connect()
        wait_for(graph.info_publisher.get_subscription_count, "camera_info is heard")
        know(graph, info(1))
        assert scaled_info(graph, 1).k[2] == centre
