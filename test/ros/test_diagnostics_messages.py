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

"""What the inference status says of a model that does not keep up."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("diagnostic_msgs")

from diagnostic_msgs.msg import DiagnosticStatus

from difiisr_ros.ros.diagnostics import DiagnosticsReport, NodeState

HINT = "does not keep up with 30.0 Hz, model nano takes about half of the time"


def _message(model: str = "lite", backend: str = "torch", output_hz: float = 10.0) -> str:
    camera = SimpleNamespace(
        name="",
        output_topic="/sr/image_raw",
        output_conflict=lambda: "",
        output_subscribers=lambda: 1,
    )
    snapshot = SimpleNamespace(
        input_hz=30.0, output_hz=output_hz, published=5, skipped=0, late=0,
        latency_ms={"p50": 90.0}, upscale_ms={}, overhead_ms={}, measurement=None,
        geometry=None,
    )  # fmt: skip
    deadline = SimpleNamespace(skipping=False, steps=1, num_steps=1, deadline=0.0)
    info = SimpleNamespace(model=model, backend=backend)
    state = NodeState("active", "", {}, info, deadline, True, ("", False), 0)
    status = DiagnosticsReport("super_resolution")._inference(camera, snapshot, state)
    assert status.level == DiagnosticStatus.OK
    return status.message


def test_a_slow_machine_is_told_of_the_faster_model():
    assert _message().endswith(f"publishing at 10.0 Hz, latency p50 90.0 ms; {HINT}")


@pytest.mark.parametrize(
    "how", [{"model": "nano"}, {"backend": "bicubic"}, {"output_hz": 29.0}, {"output_hz": 0.0}]
)
def test_nobody_else_is(how):
    assert "nano" not in _message(**how)
