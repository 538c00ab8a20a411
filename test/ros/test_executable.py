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

"""A process that runs a node ends with 0 when asked to, or with the reason of a failure."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: A node with one callback, run as an executable; argv[1] is what the callback does.
SCRIPT = """
import os, signal, sys, time
from difiisr_ros.errors import OptionError
from difiisr_ros.ros.executable import run_executable

def make():
    from rclpy.node import Node

    class Probe(Node):
        exit_code = 0

        def __init__(self):
            super().__init__("probe")
            self.create_timer(0.0, self.work)

        def work(self):
            exec(sys.argv[1])

        def stop(self):
            print("stopped", flush=True)

    if sys.argv[1] == "wrong":
        raise OptionError("no such probe")
    if sys.argv[1] == "starting":
        os.kill(os.getpid(), signal.SIGINT)
        print("not interrupted")
    return Probe()

sys.exit(run_executable("probe", make, []))
"""

KILL = "os.kill(os.getpid(), signal.SIGINT)"


def run(what, environment=None):
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, what],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def test_a_callback_is_finished_before_a_signal_ends_the_process():
    """Raised inside the middleware's bindings, an interrupt would come out as another error."""
    for signals in (KILL, f"{KILL}; {KILL}"):  # a terminal and ros2 launch both send it
        done = run(f"{signals}; print('finished')")
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["finished", "stopped"]
        assert "Traceback" not in done.stderr


def test_a_later_signal_interrupts_a_long_callback():
    """launch sends SIGTERM five seconds after SIGINT, and kills five seconds after that."""
    done = run(f"{KILL}; time.sleep(1.2); {KILL}; print('finished')")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["stopped"]


def test_what_an_interrupt_turns_into_does_not_end_it_with_1():
    done = run(f"{KILL}; raise RuntimeError('Unable to convert call argument')")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["stopped"]


def test_a_bug_without_a_signal_is_shown():
    done = run("raise RuntimeError('a bug')")
    assert done.returncode == 1
    assert "RuntimeError: a bug" in done.stderr
    assert done.stdout.split() == ["stopped"]


def test_a_signal_while_starting():
    done = run("starting")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_a_shutdown_from_within_and_the_exit_code_of_the_node():
    done = run("self.exit_code = 3; self.context.try_shutdown()")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr


def test_what_the_user_can_correct_is_one_line():
    done = run("wrong")
    assert done.returncode == 2
    assert "probe: error: no such probe" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("entry", ["main", "frame_player", "monitor"])
def test_without_ros_every_executable_says_what_is_missing(entry, tmp_path):
    (tmp_path / "rclpy.py").write_text("raise ImportError('no ROS here')")
    paths = [str(tmp_path), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", f"from difiisr_ros.ros.main import {entry}; exit({entry}([]))"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
    )
    assert done.returncode == 1
    assert "needs rclpy" in done.stderr and "no ROS here" in done.stderr
    assert "Traceback" not in done.stderr
