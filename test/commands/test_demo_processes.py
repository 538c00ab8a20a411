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

"""Child processes of the demo: logged, ended in order, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from difiisr_ros.commands import demo_processes
from difiisr_ros.commands.demo_processes import Process, ProcessGroup, sleep_until

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print("child", child.pid, flush=True)
time.sleep(60)
"""


def start(tmp_path, code, on_line=None, name="child"):
    command = [sys.executable, "-u", "-c", textwrap.dedent(code)]
    return Process(name, command, tmp_path / f"{name}.log", os.environ, on_line)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:  # a zombie is dead
        return file.read().rpartition(")")[2].split()[0] != "Z"


def test_output_goes_to_the_log_and_lines_to_the_listener(tmp_path):
    lines = []
    process = start(
        tmp_path,
        "import sys; print('one'); print('two'); print('worse', file=sys.stderr)",
        lines.append,
    )
    assert process.wait(20) == 0
    assert process.stop() == 0
    assert lines == ["one", "two"]
    assert process.has_logged("worse") and process.has_logged("two")
    assert process.tail(1) in ("worse", "two")


def test_sigint_comes_first_and_its_exit_code_is_returned(tmp_path):
    process = start(
        tmp_path,
        """
        import time
        try:
            print("ready")
            time.sleep(60)
        except KeyboardInterrupt:
            raise SystemExit(7)
        """,
    )
    assert sleep_until(lambda: process.has_logged("ready"), 20)
    assert process.stop() == 7


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_what_ignores_signals_is_killed_with_its_children(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_processes, "GRACE", 0.3)
    lines = []
    with ProcessGroup() as group:
        process = group.add(start(tmp_path, STUBBORN, lines.append))
        assert sleep_until(lambda: bool(lines), 20)
        grandchild = int(lines[0].split()[1])
        assert alive(grandchild)
    assert process.returncode == -signal.SIGKILL
    assert sleep_until(lambda: not alive(grandchild), 5)


def test_an_error_in_the_block_ends_all_of_them(tmp_path):
    with pytest.raises(RuntimeError), ProcessGroup() as group:
        processes = [
            group.add(start(tmp_path, "import time; time.sleep(60)", name=f"p{i}"))
            for i in range(2)
        ]
        assert group.ended() == []
        raise RuntimeError
    assert all(p.returncode is not None for p in processes)


@pytest.mark.skipif(sys.platform != "linux", reason="parent-death signal is Linux's")
def test_children_end_when_their_parent_is_killed(tmp_path):
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
            import os, pathlib, sys, time
            from difiisr_ros.commands.demo_processes import Process
            p = Process("x", [sys.executable, "-c", "import time; time.sleep(60)"],
                        pathlib.Path({str(tmp_path)!r}) / "x.log", os.environ)
            print(p._process.pid, flush=True)
            time.sleep(60)
        """),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    assert alive(child)
    parent.kill()
    parent.wait(10)
    assert sleep_until(lambda: not alive(child), 5)


def test_a_second_interrupt_does_not_stop_the_clean_up(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_processes, "GRACE", 1.0)
    stubborn = "import signal, time; signal.signal(2, signal.SIG_IGN); print('x'); time.sleep(60)"
    with pytest.raises(KeyboardInterrupt), ProcessGroup() as group:
        processes = [group.add(start(tmp_path, stubborn, name=f"p{i}")) for i in range(2)]
        assert sleep_until(lambda: all(p.has_logged("x") for p in processes), 20)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()  # during clean-up
        raise KeyboardInterrupt
    assert [p.returncode for p in processes] == 2 * [-signal.SIGTERM]


def test_sleep_until_gives_up():
    began = time.monotonic()
    assert not sleep_until(lambda: False, 0.2, 0.05)
    assert time.monotonic() - began < 2
