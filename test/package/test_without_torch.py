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

"""Without PyTorch all but training, detection and export works, and says what does not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from difiisr_ros.cli import COMMANDS
from difiisr_ros.io.images import write_image
from support.frames import smooth_frame
from support.paths import REPOSITORY

BLOCK = """
import importlib, sys
for name in ("torch", "safetensors", "onnx"): sys.modules[name] = None
"""
ROS = ("frame_player", "monitor", "node", "upscaling", "main")


def child(code, *arguments, **environment):
    paths = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code, *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=150,
        env={**os.environ, "PYTHONPATH": paths, **environment},
    )  # fmt: skip


@pytest.mark.parametrize("room", ["commands", "ros"])
def test_commands_and_nodes_can_be_imported(room):
    if room == "ros":
        pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")
        modules = [f"difiisr_ros.ros.{name}" for name in ROS]
    else:
        modules = [module for module, _ in COMMANDS.values()]
    done = child("for name in sys.argv[1:]: importlib.import_module(name)", *modules)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("module", ["commands.demo", "commands.upscale", "ros.frame_player"])
def test_what_starts_often_does_not_wait_for_it(module):
    if module != "commands.upscale":
        pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")
    code = (
        f"del sys.modules['torch']\nimport difiisr_ros.{module}\nassert 'torch' not in sys.modules"
    )
    done = child(code)
    assert done.returncode == 0, done.stderr


RUN = """
from difiisr_ros.cli import main
folder, out = sys.argv[1:]
codes = {
    "upscale": main(["upscale", folder, out + "/up", "--model", "nano"]),
    "evaluate": main(["evaluate", folder, "--model", "nano", "--out", out + "/evaluated"]),
    "calibrate": main(["calibrate", folder]),
    "bench": main(["bench", "--quick", "--seconds", "0.1", "--backend", "onnx"]),
    "detect": main(["detect", folder]),
    "train": main(["train", folder, "--out", out + "/run"]),
}
print(importlib.import_module('json').dumps(codes))
"""


def test_the_commands_run_or_say_what_they_need(tmp_path):
    pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install difiisr_ros[onnx]")
    for i in range(2):
        write_image(tmp_path / "in" / f"{i}.png", smooth_frame(shape=(64, 96), seed=i))
    done = child(RUN, tmp_path / "in", tmp_path, DIFIISR_CACHE=str(tmp_path / "cache"))
    assert "Traceback" not in done.stderr, done.stderr
    codes = eval(done.stdout.splitlines()[-1])  # our own words
    assert codes["upscale"] == codes["evaluate"] == codes["bench"] == 0, done.stderr
    assert "no limit: PyTorch" in done.stdout
    assert codes["calibrate"] in (0, 1)  # of so little nothing may be known
    assert codes["detect"] == codes["train"] == 2
    assert "'torch'" in done.stderr
    assert "nano, onnx on cpu" in done.stdout
