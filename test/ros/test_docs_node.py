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

"""What the pages say of diagnostics and of refused parameters is what a running node says."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from rclpy.parameter import Parameter

from support.node_harness import Graph, scene
from support.waiting import wait_for

#: What `ros2 param set` answers, in docs/troubleshooting.md: by setting what.
REFUSED = {
    "Parameter num_steps out of range ...": ("num_steps", 0),
    "output_encoding is 'rgb8'; accepted: same, mono8, mono16, 32FC1, bgr8": (
        "output_encoding",
        "rgb8",
    ),
    "Wrong parameter type, expected ...": ("stale_after", 2),
    "backend is read-only once configured; deactivate and clean up the node, set it, then "
    "configure again": ("backend", "onnx"),
    "Trying to set a read-only parameter: autostart ...": ("autostart", False),
    "range_mode fixed needs range_min below range_max, not 65535.0 and 65535.0": (
        "range_mode",
        "fixed",
    ),
    "num_steps is 50; this model takes 1 to 15": ("num_steps", 50),
}


def documented(repository, task):
    """Keys by the lists of docs/super_resolution_node.md."""
    text = (repository / "docs" / "super_resolution_node.md").read_text()
    section = text.split(f"\n### {task}\n")[1].split("\n##")[0]
    items = re.findall(r"^- ((?:`[^`]+`(?:, )?)+):", section, re.MULTILINE)
    return [key for item in items for key in re.findall(r"`([^`]+)`", item)]


def test_diagnostics_keys_are_those_that_are_documented(repository):
    with Graph() as graph:
        graph.connect()
        frame = scene()
        graph.roundtrip(frame)
        graph.roundtrip(np.dstack([scene(dtype=np.uint8, seed=s) for s in range(3)]), "rgb8")
        broken = graph.image(frame)
        broken.encoding = "thermal14"
        # Again with every report until it has arrived: best effort does not repeat.
        values, _ = graph.status(
            "input",
            lambda v, _: int(v["frames rejected"]) > 0 or graph.publisher.publish(broken),
        )
        assert int(values["rejected: unknown_encoding"]) > 0
        assert int(values["noticed: colour_input"]) > 0
        found = {"input": values}
        for task in ("inference", "backend"):
            found[task], _ = graph.status(task)
    for task, values in found.items():
        keys = list(
            dict.fromkeys(re.sub(r"^(rejected|noticed): .*", r"\1: CAUSE", k) for k in values)
        )
        assert keys == documented(repository, task)


def test_statuses_are_those_that_are_documented(repository):
    text = (repository / "docs" / "super_resolution_node.md").read_text()
    with Graph(camera_names=["", "front"]) as graph:
        array = wait_for(lambda: graph.diagnostics, "diagnostics")[0]
    names = [status.name for status in array.status]
    assert sorted(names) == [
        "super_resolution: backend",
        "super_resolution: front inference",
        "super_resolution: front input",
        "super_resolution: inference",
        "super_resolution: input",
    ]
    for name in ("front input", "input", "inference", "backend"):
        assert f"`super_resolution: {name}`" in text


def test_services_are_documented(repository):
    text = (repository / "docs" / "super_resolution_node.md").read_text()
    section = text.split("\n## Services\n")[1].split("\n## ")[0]
    documented = dict(re.findall(r"`~/(\w+)`.*?\| `(\w+)/", section))
    with Graph() as graph:
        services = dict(graph.node.get_service_names_and_types_by_node("super_resolution", "/"))
    for name, package in documented.items():
        (kind,) = services[f"/super_resolution/{name}"]
        assert kind.startswith(f"{package}/"), name
    assert {"enable", "change_state", "set_parameters"} <= set(documented)


def test_refused_parameters_are_answered_as_documented(repository):
    text = (repository / "docs" / "troubleshooting.md").read_text()
    table = text.split("| `ros2 param set` answers | do |")[1].split("\n\n")[0]
    assert re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE) == list(REFUSED)
    pytest.importorskip("torch", reason="the number of steps is the model's")
    with Graph(backend="torch", range_min=65535.0, warmup_width=0) as graph:
        for message, (name, value) in REFUSED.items():
            (result,) = graph.in_executor(graph.node.set_parameters, [Parameter(name, value=value)])
            assert not result.successful, name
            if message.endswith("..."):
                assert result.reason.startswith(message[:-3].rstrip()), name
            else:
                assert result.reason == message
