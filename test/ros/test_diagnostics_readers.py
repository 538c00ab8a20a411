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

"""What the node says in diagnostics is understood by who reads it: replay, monitor, demo."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

pytest.importorskip("diagnostic_msgs")

from difiisr_ros.commands.demo_report import node_figures
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import FrameMeasurement
from difiisr_ros.core.output_geometry import plan
from difiisr_ros.pipeline import SuperResolverInfo
from difiisr_ros.ros.diagnostics import DiagnosticsReport, NodeState
from difiisr_ros.ros.monitor import INPUT, OUTPUT, Monitor
from difiisr_ros.stream import diagnostic_keys as keys
from difiisr_ros.stream.frames_done import without_result
from difiisr_ros.stream.parameter_table import TABLE
from difiisr_ros.stream.replay import ReplayProgress, Stage
from difiisr_ros.stream.statistics import StreamSnapshot

MEASURED = FrameMeasurement((0.0, 7006.0), 7.006, CameraProfile(), (0.0, 7006.0))
NODE = "rig/super_resolution"
NAMES = {INPUT: "/rig/image_raw", OUTPUT: "/rig/sr/image_raw"}
INFO = SuperResolverInfo(
    "nano",
    "torch",
    "cpu",
    "fp32",
    2,
    4,
    "none",
    "noise 7 counts",
    "no onnxruntime",
    None,
    None,
    None,
)


def _message(lifecycle: str = "active", failure: str = "", subscribers: int = 1, camera: str = ""):
    durations = {p: n for n, p in enumerate(("p50", "p95", "p99"), start=1)}
    snapshot = StreamSnapshot(
        received=10, published=4, displaced=1, skipped=2, late=0, shutter=0,
        rejected={"zero_size": 3}, noticed={}, input_hz=30.0, output_hz=10.0,
        seconds_since_input=0.0,
        latency_ms={p: 10.0 * n for p, n in durations.items()},
        upscale_ms={p: 1.0 * n for p, n in durations.items()},
        overhead_ms={}, last_error="", last_input="mono8 8x8", measurement=MEASURED, oddities={},
        geometry=plan((8, 8), 4), region=None,
    )  # fmt: skip
    stream = SimpleNamespace(
        name=camera, image_topic=NAMES[INPUT], info_topic="/rig/camera_info",
        output_topic=NAMES[OUTPUT], subscribed=True,
        statistics=SimpleNamespace(snapshot=lambda: snapshot),
        publishers_of_input=lambda: (1, "1 publisher"),
        input_events=SimpleNamespace(conflict=lambda _: "", matched=1, lost=0),
        region=SimpleNamespace(conflict=lambda: ""),
        output_conflict=lambda: "", output_subscribers=lambda: subscribers,
    )  # fmt: skip
    deadline = SimpleNamespace(skipping=False, steps=2, num_steps=2, deadline=0.0)
    parameters = {spec.name: spec.default for spec in TABLE}
    state = NodeState(lifecycle, failure, parameters, INFO, deadline, True, ("", False), 0)
    return DiagnosticsReport(NODE).build({"": stream}, state)


def _statuses(message) -> dict[str, dict[str, str]]:
    return {s.name: {entry.key: entry.value for entry in s.values} for s in message.status}


def _heard(message) -> dict[str, dict[str, str]]:
    monitor = SimpleNamespace(diagnostics={}, _names=NAMES, _say_done=lambda: None)
    Monitor._on_diagnostics(monitor, message)
    return monitor.diagnostics


def test_a_replay_follows_the_node():
    progress = ReplayProgress(NODE)
    assert progress.update(_statuses(_message("inactive"))) is None
    assert progress.update(_statuses(_message(subscribers=0))) is None
    assert progress.update(_statuses(_message())) is Stage.ACTIVE
    progress.played, progress.recorded = True, 10
    assert progress.update(_statuses(_message())) is None
    assert progress.update(_statuses(_message())) is Stage.DONE
    assert progress.published == 4


def test_a_replay_tells_why_the_node_failed():
    progress = ReplayProgress(NODE)
    assert progress.update(_statuses(_message("unconfigured", "no model"))) is Stage.FAILED
    assert progress.reason == "no model"


@pytest.mark.parametrize("camera", ["", "left"])
def test_the_monitor_finds_its_stream_and_counts_what_has_no_result(camera):
    heard = _heard(_message(camera=camera))
    assert set(heard) == {"input", "inference", "backend"}
    assert without_result(heard) == 3 + 1 + 2
    monitor = SimpleNamespace(diagnostics=heard)
    inference = Monitor._inference.fget(monitor)
    assert int(inference[keys.SUBSCRIBERS]) == 1
    assert float(inference[keys.duration("latency", "p50")]) == 10.0


def test_the_demo_reads_every_figure():
    assert node_figures(_heard(_message())) == {
        "backend": "torch",
        "model": "nano",
        "device": "cpu",
        "precision": "fp32",
        "num_steps": 2,
        "camera": "noise 7 counts",
        "noise_counts": 7.006,
        "fallback": "no onnxruntime",
        "node_latency_ms": {"p50": 10.0, "p95": 20.0, "p99": 30.0},
        "upscale_ms": {"p50": 1.0, "p95": 2.0, "p99": 3.0},
    }


def test_keys_are_those_that_users_dashboards_know(repository):
    """Whoever changes a constant changes what others have configured: the page says so too."""
    page = (repository / "docs" / "super_resolution_node.md").read_text()
    texts = [value for name, value in vars(keys).items() if re.fullmatch("[A-Z_]+", name)]
    assert len(texts) >= 13
    durations = [keys.duration(w, "p95") for w in ("latency", "upscale", "overhead")]
    tasks = {keys.INPUT, keys.INFERENCE, keys.BACKEND}
    expected = [f"`super_resolution: {task}`" for task in tasks]
    expected += [f"`{text}`" for text in {*texts, *durations} - tasks]
    assert [text for text in expected if text not in page] == []
