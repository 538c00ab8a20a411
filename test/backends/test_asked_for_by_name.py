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

"""What was asked for by name and cannot be had: a precision falls to a precision, never further."""

from __future__ import annotations

import logging
import sys

import pytest

from difiisr_ros.backends.factory import create
from difiisr_ros.errors import BackendUnavailable, OptionError

torch = pytest.importorskip("torch")
HOW = {"model": "nano", "device": "auto", "precision": "auto", "num_threads": 0}

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="what a GPU has is had")


@pytest.mark.parametrize("backend", ["auto", "torch", "onnx"])
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"precision": "fp16"}, "precision fp16 is not available, "),
        ({"device": "cuda"}, "device cuda is not available, "),
        ({"device": "cuda:1", "precision": "fp32"}, "device cuda:1 is not available, "),
        (
            {"device": "cuda", "precision": "fp16"},
            "precision fp16 and device cuda are not available, ",
        ),
    ],
    ids=str,
)
def test_the_method_stays(backend, asked, said, caplog):
    if backend == "onnx":
        pytest.importorskip("onnx")
    loaded, reason = create(backend, **{**HOW, **asked})
    assert loaded.name == ("onnx" if backend == "onnx" else loaded.name) != "bicubic"
    assert loaded.device == "cpu" and loaded.precision != "fp16"
    assert reason.startswith(f"{said}{loaded.name} on cpu ({loaded.precision}) runs instead: ")
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == [reason]  # once
    loaded.close()
    with pytest.raises(BackendUnavailable):
        create(backend, strict=True, **{**HOW, **asked})


def test_another_backend_in_another_precision(monkeypatch):
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    loaded, reason = create("tensorrt", **{**HOW, "precision": "fp16"})
    assert loaded.name == "torch"
    assert "precision fp16 is not available, torch on cpu" in reason
    assert "backend tensorrt is not available, torch runs instead: tensorrt cannot" in reason


@pytest.mark.parametrize("asked", [{"device": "cuda"}, {"precision": "int8"}])
def test_bicubic_has_one_device_and_precision(asked):
    with pytest.raises(BackendUnavailable, match="runs on cpu in fp32 alone"):
        create("bicubic", strict=True, **{**HOW, **asked})
    loaded, reason = create("bicubic", **{**HOW, **asked})
    assert loaded.name == "bicubic" and "is not available" in reason


@pytest.mark.parametrize("threads", [-1, 257, True])
def test_a_number_of_threads_that_no_machine_has(threads):
    with pytest.raises(OptionError, match=r"num_threads must be an integer in 0\.\.256, got"):
        create("bicubic", **{**HOW, "num_threads": threads})
