"""The executable as a process: it starts, says what it does, and ends with 0."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from difiisr_ros.ros.conversions import array_to_image, image_to_array
from support.node_harness import wait_for

FAST_DDS = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


class Process:
    """super_resolution_node in a process of its own, its output collected."""

    def __init__(self, *arguments, env=None):
        environment = {k: v for k, v in os.environ.items() if k not in FAST_DDS}
        environment.update(env or {}, PYTHONUNBUFFERED="1")
        command = [sys.executable, "-m", "difiisr_ros.ros.main", "--ros-args"]
        self.process = subprocess.Popen(
            [*command, *(arguments or ("-p", "backend:=bicubic"))],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        self.output.extend(iter(self.process.stdout.readline, ""))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self._reader.join(10)

    def said(self, text):
        return wait_for(lambda: [line for line in self.output if text in line], text, 30)[0]

    def end(self, *signals, gap=0.0):
        """Send the signals and return the exit code."""
        for number in signals:
            self.process.send_signal(number)
            time.sleep(gap)
        return self.process.wait(20)


@pytest.mark.parametrize(
    ("signals", "gap"),
    [
        ([signal.SIGINT], 0.0),
        ([signal.SIGTERM], 0.0),
        # A terminal and ros2 launch both send it; some of these meet the clean-up.
        ([signal.SIGINT] * 20, 0.01),
    ],
)
def test_signals_end_it_with_0(signals, gap):
    with Process() as node:
        node.said("backend bicubic")
        assert node.end(*signals, gap=gap) == 0
        node._reader.join(10)
        assert not [line for line in node.output if "Traceback" in line], node.output


def test_a_signal_while_configuring_ends_it_with_0():
    with Process(
        "-p", "backend:=bicubic", "-p", "warmup_width:=800", "-p", "warmup_height:=800"
    ) as node:
        node.said("Fast DDS profile")
        assert node.end(signal.SIGINT) == 0


def test_a_failing_configure_leaves_it_waiting():
    with Process("-p", "device:=tpu", "-p", "backend:=torch") as node:
        assert "tpu" in node.said("configure failed")
        node.said("not started")
        assert node.process.poll() is None
        assert node.end(signal.SIGTERM) == 0


def test_the_profile_is_set_unless_the_user_set_one(tmp_path):
    with Process() as node:
        assert "fastdds_large_images.xml" in node.said("Fast DDS profile")
    own = tmp_path / "own.xml"
    own.write_text("<profiles/>")
    for variable in FAST_DDS:
        with Process(env={variable: str(own)}) as node:
            line = node.said("Fast DDS profile")
            assert str(own) in line
            assert variable in line


def test_frames_cross_processes():
    context = rclpy.Context()
    context.init(domain_id=int(os.environ.get("ROS_DOMAIN_ID", "0")))
    tester = rclpy.create_node("tester", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(tester)
    got: list[Image] = []
    tester.create_subscription(Image, "/rig/sr/image_raw", got.append, 10)
    publisher = tester.create_publisher(Image, "/driver/image", 10)
    frame = (np.arange(19200).reshape(120, 160) + 28000).astype(np.uint16)

    def spin_until(condition):
        end = time.monotonic() + 30
        while not condition() and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.05)
        assert condition()

    arguments = ["-p", "backend:=bicubic", "-r", "image_raw:=/driver/image", "-r", "__ns:=/rig"]
    try:
        with Process(*arguments) as node:
            spin_until(lambda: publisher.get_subscription_count() > 0)

            def answered(stamp):
                """The first frames may come before both directions have found each other."""
                message = array_to_image(frame, "mono16")
                message.header.stamp.sec = stamp
                publisher.publish(message)
                executor.spin_once(timeout_sec=0.2)
                return any(image.header.stamp.sec == stamp for image in got)

            for stamp in range(1, 6):
                spin_until(lambda: answered(stamp))  # noqa: B023
            assert image_to_array(got[-1]).shape == (480, 640)
            node.said("first frame of /driver/image")
            assert node.end(signal.SIGINT) == 0
    finally:
        executor.shutdown()
        tester.destroy_node()
        context.try_shutdown()
