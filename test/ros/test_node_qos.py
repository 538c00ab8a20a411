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

"""Quality of service: what is asked and offered, overrides, and conflicts named by topic."""

from __future__ import annotations

import pytest
from rclpy.parameter import Parameter
from rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)
from sensor_msgs.msg import CompressedImage, Image

from support.node_harness import Graph, scene
from support.spinning import Spinning
from support.waiting import wait_for

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def offered(graph, topic):
    return graph.tester.get_publishers_info_by_topic(topic)[0].qos_profile


def asked(graph, topic):
    return graph.tester.get_subscriptions_info_by_topic(topic)[0].qos_profile


def override(graph, entity, policy):
    """What is in use: the defaults are those of the profile. The graph does not tell of history."""
    return graph.node.get_parameter(f"qos_overrides.{entity}.{policy}").value


def endpoints(graph, *topics):
    for topic in topics:
        wait_for(
            lambda: (
                graph.tester.count_publishers(topic)  # noqa: B023
                or graph.tester.count_subscribers(topic)  # noqa: B023
            ),
            topic,
        )


def test_sensor_data_in_reliable_out():
    with Graph() as graph:
        endpoints(graph, "/image_raw", "/camera_info", "/sr/image_raw", "/sr/camera_info")
        assert asked(graph, "/image_raw").reliability is ReliabilityPolicy.BEST_EFFORT
        assert asked(graph, "/camera_info").reliability is ReliabilityPolicy.BEST_EFFORT
        for topic in ("/sr/image_raw", "/sr/camera_info"):
            assert offered(graph, topic).reliability is ReliabilityPolicy.RELIABLE
            assert offered(graph, topic).durability is DurabilityPolicy.VOLATILE
        depths = {
            "/image_raw.subscription": 1, "/camera_info.subscription": 5,
            "/sr/image_raw.publisher": 1, "/sr/camera_info.publisher": 1,
        }  # fmt: skip
        for entity, depth in depths.items():
            assert override(graph, entity, "depth") == depth, entity
            # A publisher that keeps all waits for its slowest subscriber, and grows.
            history = HistoryPolicy[override(graph, entity, "history").upper()]
            assert history is HistoryPolicy.KEEP_LAST, entity


def test_blocking_subscribes_reliably():
    with Graph(drop_policy="block") as graph:
        endpoints(graph, "/image_raw")
        assert asked(graph, "/image_raw").reliability is ReliabilityPolicy.RELIABLE
        history = override(graph, "/image_raw.subscription", "history")
        assert HistoryPolicy[history.upper()] is HistoryPolicy.KEEP_ALL


def test_reconfiguring_changes_the_profile_but_keeps_what_the_user_chose():
    overrides = {"qos_overrides./camera_info.subscription.depth": 9}
    with Graph(**overrides) as graph:
        for name in ("deactivate", "cleanup"):
            assert graph.transition(name)
        graph.node.set_parameters([Parameter("drop_policy", value="block")])
        for name in ("configure", "activate"):
            assert graph.transition(name)
        wait_for(
            lambda: asked(graph, "/image_raw").reliability is ReliabilityPolicy.RELIABLE, "block"
        )
        assert graph.node.get_parameter("qos_overrides./camera_info.subscription.depth").value == 9


@pytest.mark.parametrize("driver", [BEST_EFFORT, QoSProfile(depth=10), LATCHED])
def test_publishers_of_every_kind_are_heard(driver):
    with Graph() as graph:
        graph.connect()
        graph.publisher = graph.tester.create_publisher(Image, "image_raw", driver)
        graph.matched()
        assert graph.roundtrip(scene()).width == 128


def test_overrides_on_both_sides():
    overrides = {
        "qos_overrides./image_raw.subscription.reliability": "reliable",
        "qos_overrides./image_raw.subscription.depth": 7,
        "qos_overrides./sr/image_raw.publisher.reliability": "best_effort",
        "qos_overrides./sr/image_raw.publisher.depth": 3,
    }
    with Graph(**overrides) as graph:
        endpoints(graph, "/image_raw", "/sr/image_raw")
        assert asked(graph, "/image_raw").reliability is ReliabilityPolicy.RELIABLE
        assert offered(graph, "/sr/image_raw").reliability is ReliabilityPolicy.BEST_EFFORT
        parameter = graph.node.get_parameter("qos_overrides./image_raw.subscription.depth")
        assert parameter.value == 7


def test_a_wrong_override_is_named_and_the_node_stays_up(log):
    overrides = {"qos_overrides./sr/image_raw.publisher.reliability": "perfect"}
    with Graph(wait_active=False, **overrides) as graph:
        assert "perfect" in log.wait("configure failed")
        log.wait("not started")
        assert graph.node.state_label == "unconfigured"


def test_silence_is_reported_with_the_topic():
    with Graph("-r", "image_raw:=/rig/thermal", stale_after=0.1) as graph:
        values, status = graph.status("input", lambda v, s: "no image" in s.message)
        assert status.level == b"\x01"
        assert "/rig/thermal" in status.message
        assert "no publisher" in status.message
        assert values["topic"] == "/rig/thermal"


def test_an_incompatible_publisher_is_reported_and_forgotten_when_it_goes():
    overrides = {"qos_overrides./image_raw.subscription.reliability": "reliable"}
    with Graph(stale_after=0.1, **overrides) as graph:
        with Spinning(name="stranger", spin=False) as stranger:
            stranger.node.create_publisher(Image, "image_raw", BEST_EFFORT)
            values, status = graph.status("input", lambda v, s: v["incompatible QoS"])
            assert status.level == b"\x01"
            assert "RELIABILITY" in values["incompatible QoS"]
            assert "/image_raw" in values["incompatible QoS"]
            assert "/stranger" in status.message
            assert "best_effort" in status.message
        values, status = graph.status("input", lambda v, s: not v["incompatible QoS"])
        assert "no publisher" in status.message


def test_an_incompatible_subscriber_is_reported():
    with Graph() as graph, Spinning(name="stranger", spin=False) as stranger:
        stranger.node.create_subscription(Image, "sr/image_raw", lambda _: None, LATCHED)
        values, status = graph.status("inference", lambda v, s: v["incompatible QoS"])
        assert status.level == b"\x01"
        assert "DURABILITY" in values["incompatible QoS"]
        assert "/sr/image_raw" in status.message


def test_a_publisher_of_another_type_is_pointed_out():
    with Graph(stale_after=0.1) as graph, Spinning(name="stranger", spin=False) as stranger:
        stranger.node.create_publisher(CompressedImage, "image_raw", 1)
        _, status = graph.status("input", lambda v, s: "CompressedImage" in s.message)
        assert "not sensor_msgs/msg/Image" in status.message


def test_matched_publishers_are_counted():
    with Graph() as graph:
        graph.connect()
        graph.status("input", lambda v, s: v["matched publishers"] == "1")
        with Spinning(name="stranger", spin=False) as stranger:
            stranger.node.create_publisher(Image, "image_raw", 1)
            graph.status("input", lambda v, s: v["matched publishers"] == "2")
        graph.status("input", lambda v, s: v["matched publishers"] == "1")


def test_diagnostics_come_once_a_second_in_every_state():
    with Graph(autostart=False, wait_active=False) as graph:
        graph.diagnostics.clear()
        wait_for(lambda: len(graph.diagnostics) >= 3, "three reports")
        stamps = [a.header.stamp.sec + 1e-9 * a.header.stamp.nanosec for a in graph.diagnostics]
        assert stamps[2] - stamps[0] == pytest.approx(2.0, abs=0.3)
        names = {status.name for status in graph.diagnostics[0].status}
        assert names == {f"super_resolution: {t}" for t in ("input", "inference", "backend")}
