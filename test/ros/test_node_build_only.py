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

"""build_only prepares and ends; a build says how far it is, and a signal ends it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from support.waiting import wait_for

#: A node whose engine takes as long to build as the test wants, and says how far it is at once.
SLOW = """
import sys, threading
from difiisr_ros import long_work, pipeline
from difiisr_ros.errors import BackendUnavailable
long_work.SAY_EVERY = 0.2
sys.modules["tensorrt"] = sys.modules["tensorrt_rtx"] = None
cancelled = threading.Event()
def load(**options):
    if {fail!r}:
        raise BackendUnavailable("no such library")
    long_work.run_watched(lambda: cancelled.wait({seconds}), what="building an engine",
                          progress=lambda: "2 of 7", cancel=cancelled.set)
    return real(**options)
real = pipeline.SuperResolver.load
pipeline.SuperResolver.load = load
from difiisr_ros.ros.main import main
sys.exit(main())
"""


MAIN = "import sys; from difiisr_ros.ros.main import main; sys.exit(main())"


class Node:
    """A process, its output collected."""

    def __init__(self, *parameters: str, seconds: float = 0.0, fail: bool = False) -> None:
        given = [word for p in ("backend:=bicubic", *parameters) for word in ("-p", p)]
        code = SLOW.format(seconds=seconds, fail=fail)
        self.process = subprocess.Popen(
            [sys.executable, "-uc", code, "--ros-args", *given],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(iter(self.process.stdout.readline, ""))

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *error: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(60)
        self._reader.join(60)

    def said(self, text: str) -> str:
        return wait_for(lambda: [line for line in self.lines if text in line], text, 60)[0]

    def ended(self) -> int:
        code = self.process.wait(60)
        self._reader.join(60)
        assert not [line for line in self.lines if "Traceback" in line], self.lines
        return code


def test_it_prepares_and_ends_with_0():
    with Node("build_only:=true", "autostart:=false", seconds=1.0) as node:
        assert node.ended() == 0
        assert "[INFO]" in node.said("building an engine: ")
        assert "2 of 7" in node.said("building an engine: ")
        node.said("build_only: everything is built")


@pytest.mark.parametrize(
    ("parameters", "fail", "reason"),
    [
        ((), True, "configure failed: no such library"),
        (("precision:=fp7",), False, "precision is 'fp7'"),
        (("warmup_width:=0",), False, "there was nothing to build for"),
        pytest.param(
            ("backend:=tensorrt",),
            False,
            "build_only: backend tensorrt is not available, ",
            marks=pytest.mark.needs("torch", "onnx"),
        ),
    ],
)
def test_what_fails_ends_it_with_1_and_the_reason(parameters, fail, reason):
    with Node("build_only:=true", *parameters, fail=fail) as node:
        assert node.ended() == 1
        assert "[ERROR]" in node.said(reason)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_build_inside_configure(number):
    with Node(seconds=600) as node:
        node.said("building an engine: ")
        node.process.send_signal(number)
        assert node.ended() == 0
        node.said("configure interrupted by the shutdown")
        assert not [line for line in node.lines if "correct the parameters" in line]


def test_an_interrupted_build_only_is_not_a_success():
    with Node("build_only:=true", seconds=600) as node:
        node.said("building an engine: ")
        node.process.send_signal(signal.SIGINT)
        assert node.ended() == 1
        node.said("build_only: configure failed: interrupted while building an engine")


@pytest.mark.slow
def test_without_a_gpu_tensorrt_rtx_builds_what_a_vehicle_needs(tmp_path, monkeypatch):
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed (make tensorrt)")
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path))
    words = ["backend:=tensorrt_rtx", "build_only:=true", "warmup_width:=32", "warmup_height:=24"]
    done = subprocess.run(
        [sys.executable, "-c", MAIN, "--ros-args"]
        + [word for each in words for word in ("-p", each)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "backend tensorrt_rtx on none (fp16), TensorRT-RTX" in said
    assert "build_only: everything is built" in said
    assert [p.name.split("_")[0] for p in (tmp_path / "tensorrt").glob("*.plan")] == ["32x24"]
