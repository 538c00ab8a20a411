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
