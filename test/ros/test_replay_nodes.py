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

"""Player and recorder of a replay: recorded times are kept, and nothing runs ahead or gets lost."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import UInt64

from difiisr_ros.errors import OptionError
from difiisr_ros.io.bags import BagReader, BagWriter
from difiisr_ros.ros.conversions import array_to_image
from difiisr_ros.ros.frame_player import FramePlayer
from difiisr_ros.ros.monitor import Monitor
from difiisr_ros.ros.qos import latched_qos
from support.bag_messages import header
from support.spinning import KEEP_ALL, Spinning
from support.waiting import wait_for

T0 = 1_600_000_000_000_000_123


def frame(i):
    return np.full((6, 8), 1000 + i, np.uint16)


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(5):
            writer.write_image("/cam/image_raw", T0 + 10 * i + 7, frame(i), header(T0 + i))
    return tmp_path / "bag"


def nanoseconds(stamp):
    return stamp.sec * 10**9 + stamp.nanosec


PLAYER = {
    "rate": 1000.0,
    "loop": False,
    "exit_when_done": False,
    "wait_for_subscribers": 1,
    "reliability": "reliable",
    "stamps": "recorded",
}


def test_a_bag_is_played_in_its_own_time(bag):
    with Spinning(FramePlayer, **PLAYER, source=str(bag), publish_clock=True) as lab:
        images, clocks = (
            lab.listen(Image, "image_raw"),
            lab.listen(Clock, "clock"),
        )
        lab.node.start()
        wait_for(lambda: len(images) == 5, f"{len(images)} of 5 images")
        wait_for(lambda: len(clocks) >= 4, f"{len(clocks)} clocks")  # the first may be missed
    assert [nanoseconds(m.header.stamp) for m in images] == [T0 + i for i in range(5)]
    assert images[0].header.frame_id == "flir"
    assert nanoseconds(clocks[-1].clock) == T0 + 47  # recorded at, not stamped with


def test_recorded_times_need_a_bag():
    with pytest.raises(OptionError, match=r"stamps and publish_clock .* only a bag has"):
        Spinning(FramePlayer, stamps="recorded", publish_clock=True)


def test_no_frame_is_published_before_those_ahead_are_done(bag):
    with Spinning(FramePlayer, **PLAYER, source=str(bag), max_pending=2) as lab:
        images = lab.listen(Image, "image_raw")
        done = lab.tester.create_publisher(UInt64, "frames_done", latched_qos())
        lab.node.start()
        time.sleep(1.0)
        assert not images  # nobody has said yet that it listens
        for count, expected in ((0, 2), (1, 3), (3, 5)):
            done.publish(UInt64(data=count))
            wait_for(lambda n=expected: len(images) == n, f"{len(images)}, not {expected}")
            time.sleep(0.2)
            assert len(images) == expected
        assert lab.node._thread.is_alive()  # the last two are not done
        done.publish(UInt64(data=5))
        wait_for(lambda: not lab.node._thread.is_alive(), "the player still waits")
        assert lab.node.exit_code == 0


@pytest.mark.parametrize(
    ("count", "said"), [(None, "waited 0.5 s for frames_done"), (1, "1 of 2 frames are not done")]
)
def test_the_player_gives_up_when_nothing_is_done_any_more(bag, capfd, count, said):
    more = {"source": str(bag), "max_pending": 1, "wait_timeout": 0.5, "wait_for_subscribers": 0}
    with Spinning(FramePlayer, **{**PLAYER, **more}) as lab:
        done = lab.tester.create_publisher(UInt64, "frames_done", latched_qos())
        if count is not None:
            done.publish(UInt64(data=count))
            wait_for(lambda: lab.node._gate.count == count, "frames_done did not arrive")
        lab.node.start()
        wait_for(lambda: lab.node.exit_code == 1, "still waiting")
    assert said in capfd.readouterr().err


# ---- the recorder ------------------------------------------------------------------------------


def diagnostics(node="super_resolution", prefix="", subscribers=1, rejected=0):
    """What the node reports, as far as the recorder looks."""

    def status(task, **values):
        pairs = [KeyValue(key=k.replace("_", " "), value=str(v)) for k, v in values.items()]
        return DiagnosticStatus(name=f"{node}: {task}", values=pairs)

    return DiagnosticArray(
        status=[
            status("input", topic=f"{prefix}/image_raw", frames_rejected=rejected),
            status("inference", topic=f"{prefix}/sr/image_raw", subscribers=subscribers),
            status("backend", backend=f"that of {node}"),
        ]
    )


def image(stamp, value=1):
    message = array_to_image(np.full((2, 2), value, np.uint16), "mono16")
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    return message


RECORDER = {"reliability": "reliable", "latency_from": "publication", "bag_seconds": 0.0}


def test_the_recorder_counts_what_is_done_and_loses_nothing(tmp_path):
    recorder = {**RECORDER, "bag": str(tmp_path / "bag")}
    with Spinning(Monitor, **recorder) as lab:
        said = lab.listen(UInt64, "frames_done", latched_qos())
        reports = lab.tester.create_publisher(DiagnosticArray, "/diagnostics", 10)
        inputs = lab.tester.create_publisher(Image, "image_raw", KEEP_ALL)
        results = lab.tester.create_publisher(Image, "sr/image_raw", KEEP_ALL)
        wait_for(
            lambda: all(p.get_subscription_count() for p in (reports, inputs, results)),
            "not discovered",
        )
        reports.publish(diagnostics(subscribers=0))
        time.sleep(0.3)
        assert not said  # its results would go nowhere
        reports.publish(diagnostics("other", "/other", rejected=50))
        reports.publish(diagnostics())
        wait_for(lambda: [m.data for m in said] == [0], f"{said}")
        count = 300  # far more than any depth, in one go
        for i in range(count):
            inputs.publish(image(T0 + i))
            results.publish(image(T0 + i, 2))
        wait_for(lambda: said[-1].data == count, f"{said[-1].data} of {count}")
        reports.publish(diagnostics(rejected=3))
        wait_for(lambda: said[-1].data == count + 3, f"{said[-1].data}: rejected ones are done too")
        assert lab.node.diagnostics["backend"] == {"backend": "that of super_resolution"}
    result = lab.node.result()
    assert (result["frames_in"], result["frames_out"]) == (count, count)
    assert result["output_stamps_ns"] == [T0 + i for i in range(count)]
    known = [ms for ms in result["latencies_ms"] if ms is not None]
    # From publication to publication, though the stamps are of 2020.
    assert len(known) > count / 2 and all(0 <= ms < 60_000 for ms in known)
    with BagReader(tmp_path / "bag") as bag:
        assert bag.count("/image_raw") == bag.count("/sr/image_raw") == count


def test_a_best_effort_recorder_says_nothing():
    with Spinning(Monitor) as lab:
        assert not lab.tester.get_publishers_info_by_topic("/frames_done")
