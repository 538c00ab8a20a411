"""Player and recorder of a replay: recorded times are kept, and nothing runs ahead or gets lost."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile
from rosbags.typesys import Stores, get_typestore
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import UInt64

from difiisr_ros.errors import OptionError
from difiisr_ros.io.bags import BagReader, BagWriter
from difiisr_ros.ros.conversions import array_to_image
from difiisr_ros.ros.frame_player import FramePlayer
from difiisr_ros.ros.monitor import Monitor
from difiisr_ros.ros.qos import latched_qos

T0 = 1_600_000_000_000_000_123
KEEP_ALL = QoSProfile(history=HistoryPolicy.KEEP_ALL)


def frame(i):
    return np.full((6, 8), 1000 + i, np.uint16)


@pytest.fixture
def bag(tmp_path):
    types = get_typestore(Stores.ROS2_JAZZY).types
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(5):
            stamp = types["builtin_interfaces/msg/Time"](*divmod(T0 + i, 10**9))
            header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="flir")
            writer.write_image("/cam/image_raw", T0 + 10 * i + 7, frame(i), header)
    return tmp_path / "bag"


class Lab:
    """The node under test and a tester, spinning in one process."""

    def __init__(self, kind, **parameters):
        self.context = rclpy.Context()
        self.context.init()
        overrides = [Parameter(name, value=value) for name, value in parameters.items()]
        self.tester = rclpy.create_node("tester", context=self.context)
        try:
            self.node = kind(context=self.context, parameter_overrides=overrides)
        except Exception:
            self.context.try_shutdown()
            raise
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.executor.add_node(self.tester)
        self.stopped = False

    def __enter__(self):
        self.thread = threading.Thread(target=self.spin, daemon=True)
        self.thread.start()
        return self

    def spin(self):
        while not self.stopped:
            self.executor.spin_once(0.05)

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join(10)
        self.node.stop()
        self.executor.shutdown()
        self.tester.destroy_node()
        self.node.destroy_node()
        self.context.try_shutdown()

    def listen(self, kind, topic, qos=KEEP_ALL):
        received = []
        self.tester.create_subscription(kind, topic, received.append, qos)
        return received

    @staticmethod
    def wait(condition, what, timeout=30.0):
        end = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < end, what
            time.sleep(0.01)


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
    with Lab(FramePlayer, **PLAYER, source=str(bag), publish_clock=True) as lab:
        images, clocks = lab.listen(Image, "image_raw"), lab.listen(Clock, "clock")
        lab.node.start()
        lab.wait(lambda: len(images) == 5, f"{len(images)} of 5 images")
        lab.wait(lambda: len(clocks) >= 4, f"{len(clocks)} clocks")  # the first may be missed
    assert [nanoseconds(m.header.stamp) for m in images] == [T0 + i for i in range(5)]
    assert images[0].header.frame_id == "flir"
    assert nanoseconds(clocks[-1].clock) == T0 + 47  # recorded at, not stamped with


def test_recorded_times_need_a_bag():
    with pytest.raises(OptionError, match=r"stamps and publish_clock .* only a bag has"):
        Lab(FramePlayer, stamps="recorded", publish_clock=True)


def test_no_frame_is_published_before_those_ahead_are_done(bag):
    with Lab(FramePlayer, **PLAYER, source=str(bag), max_pending=2) as lab:
        images = lab.listen(Image, "image_raw")
        done = lab.tester.create_publisher(UInt64, "frames_done", latched_qos())
        lab.node.start()
        time.sleep(1.0)
        assert not images  # nobody has said yet that it listens
        for count, expected in ((0, 2), (1, 3), (3, 5)):
            done.publish(UInt64(data=count))
            lab.wait(lambda n=expected: len(images) == n, f"{len(images)}, not {expected}")
            time.sleep(0.2)
            assert len(images) == expected
        assert lab.node._thread.is_alive()  # the last two are not done
        done.publish(UInt64(data=5))
        lab.wait(lambda: not lab.node._thread.is_alive(), "the player still waits")
        assert lab.node.exit_code == 0


@pytest.mark.parametrize(
    ("count", "said"), [(None, "waited 0.5 s for frames_done"), (1, "1 of 2 frames are not done")]
)
def test_the_player_gives_up_when_nothing_is_done_any_more(bag, capfd, count, said):
    more = {"source": str(bag), "max_pending": 1, "wait_timeout": 0.5, "wait_for_subscribers": 0}
    with Lab(FramePlayer, **{**PLAYER, **more}) as lab:
        done = lab.tester.create_publisher(UInt64, "frames_done", latched_qos())
        if count is not None:
            done.publish(UInt64(data=count))
            lab.wait(lambda: lab.node._gate.count == count, "frames_done did not arrive")
        lab.node.start()
        lab.wait(lambda: lab.node.exit_code == 1, "still waiting")
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
    with Lab(Monitor, **recorder) as lab:
        said = lab.listen(UInt64, "frames_done", latched_qos())
        reports = lab.tester.create_publisher(DiagnosticArray, "/diagnostics", 10)
        inputs = lab.tester.create_publisher(Image, "image_raw", KEEP_ALL)
        results = lab.tester.create_publisher(Image, "sr/image_raw", KEEP_ALL)
        lab.wait(
            lambda: all(p.get_subscription_count() for p in (reports, inputs, results)),
            "not discovered",
        )
        reports.publish(diagnostics(subscribers=0))
        time.sleep(0.3)
        assert not said  # its results would go nowhere
        reports.publish(diagnostics("other", "/other", rejected=50))
        reports.publish(diagnostics())
        lab.wait(lambda: [m.data for m in said] == [0], f"{said}")
        count = 300  # far more than any depth, in one go
        for i in range(count):
            inputs.publish(image(T0 + i))
            results.publish(image(T0 + i, 2))
        lab.wait(lambda: said[-1].data == count, f"{said[-1].data} of {count}")
        reports.publish(diagnostics(rejected=3))
        lab.wait(lambda: said[-1].data == count + 3, f"{said[-1].data}: rejected ones are done too")
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
    with Lab(Monitor) as lab:
        assert not lab.tester.get_publishers_info_by_topic("/frames_done")
