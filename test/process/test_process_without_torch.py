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

"""The node where there is no PyTorch: ONNX Runtime or OpenCV and the graph in the package."""

from __future__ import annotations

import os
import time

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")
pytest.importorskip("onnxruntime", reason="pip install onnxruntime")

from support.ros_process import RosProcess


@pytest.mark.parametrize("missing", [("torch", "onnx", "safetensors"), ("torch", "onnxruntime")])
def test_the_node_starts(tmp_path, monkeypatch, missing):
    site = tmp_path / "site"
    site.mkdir()
    for name in missing:
        error = f"ModuleNotFoundError(\"No module named '{name}'\", name={name!r})"
        (site / f"{name}.py").write_text(f"raise {error}\n")
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path / "cache"))
    backend = "opencv" if "onnxruntime" in missing else "onnx"
    wanted = f"backend {backend} on cpu (fp32)"
    with RosProcess("node", tmp_path, model="nano") as node:
        end = time.monotonic() + 60
        while wanted not in node.text:
            assert node.process.poll() is None and time.monotonic() < end, node.text
            time.sleep(0.2)
        assert node.interrupt() == 0
    assert "Traceback" not in node.text
    assert ("runs instead" in node.text) == ("onnxruntime" in missing)
