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

"""What surrounds the node goes away and comes back: it goes on, and says what happened."""

from __future__ import annotations

import os

from builtin_interfaces.msg import Time
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image

from support.node_harness import Graph, scene
from support.spinning import Spinning
from support.waiting import wait_for

RESULTS = (Image, "sr/image_raw", QoSProfile(depth=10))


def test_a_publisher_may_die_and_come_back():
    with Graph(stale_after=0.2) as graph:
        graph.connect()
        graph.roundtrip(scene(), stamp=1)
        graph.tester.destroy_publisher(graph.publisher)
        _, status = graph.status("input", lambda v, s: "no image" in s.message)
        assert status.level == b"\x01"
        graph.publisher = graph.tester.create_publisher(Image, "image_raw", 10)
        graph.matched()
        graph.roundtrip(scene(), stamp=2)
        graph.node.set_parameters([Parameter("stale_after", value=100.0)])
        _, status = graph.status("input", lambda v, s: "receiving" in s.message)
        assert status.level == b"\x00"


def test_subscribers_may_come_and_go():
    """Without them it goes on; one that never takes a frame holds up nobody."""
    with Graph() as graph:
        graph.connect()
        for stamp in range(1, 4):
            with Spinning(name="taking") as taking, Spinning(name="idle", spin=False) as idle:
                images, _ = taking.listen(*RESULTS), idle.listen(*RESULTS)
                subscribers = graph.node.cameras[""].output_subscribers
                wait_for(lambda n=subscribers: n() == 3, "three subscribers")
                for _ in range(20):
                    assert graph.roundtrip(scene(), stamp=stamp).header.stamp.sec == stamp
                wait_for(lambda got=images: got, "the other one is served too")
            wait_for(lambda: graph.node.cameras[""].output_subscribers() == 1, "they are gone")
            graph.roundtrip(scene(), stamp=stamp)
        _, status = graph.status("inference", lambda v, s: v["subscribers"] == "1")
        assert status.level == b"\x00"


def descriptors_and_threads() -> tuple[int, int]:
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))


def test_a_lazy_node_follows_its_subscribers_however_often():
    with Graph(lazy=True) as graph:
        publisher = graph.tester.create_publisher(Image, "image_raw", 10)
        for count in range(6):
            with Spinning(name="consumer") as consumer:
                images = consumer.listen(*RESULTS)
                wait_for(publisher.get_subscription_count, "the node subscribes")

                def answered(images=images):
                    publisher.publish(graph.image(scene()))
                    return images

                wait_for(answered, "a result")
            wait_for(lambda: not publisher.get_subscription_count(), "the node unsubscribes")
            if count == 1:
                before = descriptors_and_threads()
        _, status = graph.status("input", lambda v, s: "lazy" in s.message)
        assert status.level == b"\x00"
        wait_for(
            lambda: all(now <= then for now, then in zip(descriptors_and_threads(), before)),
            f"no more descriptors and threads than {before}",
        )


def test_stamps_going_back_change_nothing_and_are_counted():
    """A bag that starts over: stamps go back, the stream goes on."""
    with Graph(output_encoding="mono8") as graph:
        graph.connect()
        for stamp in (100, 101, 3, 4, 4, 2):
            assert graph.roundtrip(scene(), stamp=stamp).header.stamp.sec == stamp
        values, status = graph.status("input")
        assert values["noticed: stamp_went_back"] == "2"
        assert status.level == b"\x00"


class SimulatedTime:
    """Publishes /clock, until the node's clock shows it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._publisher = graph.tester.create_publisher(Clock, "/clock", 1)

    def set(self, seconds: int) -> None:
        def shown() -> bool:
            self._publisher.publish(Clock(clock=Time(sec=seconds)))
            return self._graph.node.get_clock().now().nanoseconds == seconds * 10**9

        wait_for(shown, f"the node's clock shows {seconds}")


def test_a_simulated_clock_may_jump_and_stand_still(log):
    """As a bag's does that is looped, or paused: frames and diagnostics go on."""
    with Graph(use_sim_time=True, stale_after=0.5, output_encoding="mono8") as graph:
        graph.connect()
        values, status = graph.status("backend")
        assert "nothing came on /clock" in values["clock"]
        assert status.level == b"\x01"
        graph.roundtrip(scene(), stamp=1)  # nothing waits for a clock
        clock = SimulatedTime(graph)
        for seconds in (100, 101, 100_000, 50, 51, 50):
            clock.set(seconds)
            assert graph.roundtrip(scene(), stamp=seconds).header.stamp.sec == seconds
        log.wait("the simulated time went back by 99950 s")
        values, status = graph.status("backend", lambda v, s: v["clock jumps back"] == "2")
        assert status.level == b"\x00"
        assert values["clock"].startswith("simulated time")
        # It stands still, and no frame comes: both are noticed by the steady clock.
        graph.status("backend", lambda v, s: "standing still" in v["clock"])
        _, status = graph.status("input", lambda v, s: "no image for" in s.message)
        assert status.level == b"\x01"
        assert graph.diagnostics[-1].header.stamp.sec == 50
        clock.set(52)
        values, _ = graph.status("backend")
        assert values["clock"] == "simulated time"
        assert graph.roundtrip(scene(), stamp=52).header.stamp.sec == 52


def test_the_system_clock_is_named():
    with Graph() as graph:
        values, _ = graph.status("backend")
        assert (values["clock"], values["clock jumps back"]) == ("system time", "0")
