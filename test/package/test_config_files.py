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

"""What is in config/ fits the node: parameters, topics, diagnostics."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from difiisr_ros.stream.parameter_table import BY_NAME, check_together

TOPICS = {"/image_raw", "/camera_info", "/sr/image_raw", "/sr/camera_info"}


@pytest.fixture(scope="module")
def config(repository):
    return repository / "config"


def uncommented(text):
    """The file with its commented example switched on."""
    return re.sub(r"^# (/|  )", r"\1", text, flags=re.MULTILINE)


@pytest.mark.parametrize("name", ["super_resolution.yaml", "multi_camera.yaml"])
def test_parameters_exist_and_are_accepted(config, name):
    text = (config / name).read_text()
    sections = yaml.safe_load(text)
    assert "/**" in sections
    if name == "multi_camera.yaml":
        sections.update(yaml.safe_load(uncommented(text)))
        assert any(key.endswith("/super_resolution") for key in sections), "the example"
    for section in sections.values():
        assert list(section) == ["ros__parameters"]
        values = section["ros__parameters"]
        assert values
        for key, value in values.items():
            assert BY_NAME[key].check(value) is None
        defaults = {key: spec.default for key, spec in BY_NAME.items()}
        assert check_together({**defaults, **values}) is None


@pytest.mark.parametrize(
    "node", ["super_resolution", "front/super_resolution", "a/b/my_super_resolution"]
)
@pytest.mark.parametrize(
    ("task", "group"),
    [
        ("input", "Input"),
        ("inference", "Inference"),
        ("backend", "Backend"),
        ("front input", "Input"),
        ("front inference", "Inference"),
    ],
)
def test_every_status_of_the_node_is_in_one_group(config, node, task, group):
    text = (config / "diagnostics_aggregator.yaml").read_text()
    analyzers = yaml.safe_load(text)["/**"]["ros__parameters"]
    groups = [
        analyzer["path"]
        for analyzer in analyzers.values()
        if isinstance(analyzer, dict)
        # As the aggregator does: the expression must match the whole name.
        and any(re.fullmatch(expression, f"{node}: {task}") for expression in analyzer["regex"])
    ]
    assert groups == [group]


def test_other_diagnostics_stay_out(config):
    text = (config / "diagnostics_aggregator.yaml").read_text()
    analyzers = yaml.safe_load(text)["/**"]["ros__parameters"]
    expressions = [e for a in analyzers.values() if isinstance(a, dict) for e in a["regex"]]
    for name in ("camera_driver: input", "super_resolution_monitor: backend", "motor: backend"):
        assert not any(re.fullmatch(expression, name) for expression in expressions)


def test_rviz_shows_both_images(config):
    text = (config / "thermal.rviz").read_text()
    displays = yaml.safe_load(text)["Visualization Manager"]["Displays"]
    topics = [display["Topic"]["Value"] for display in displays]
    assert topics == ["/image_raw", "/sr/image_raw"]
    for display in displays:
        assert display["Class"] == "rviz_default_plugins/Image"
        assert display["Normalize Range"] is True  # otherwise 16 bits look black
        assert display["Topic"]["Reliability Policy"] == "Best Effort"  # matches every publisher


def test_foxglove_shows_topics_and_diagnostics_that_exist(config, repository):
    layout = json.loads((config / "foxglove_layout.json").read_text())
    panels = layout["configById"]

    def leaves(node):
        return [node] if isinstance(node, str) else leaves(node["first"]) + leaves(node["second"])

    assert sorted(leaves(layout["layout"])) == sorted(panels)
    images = [panel["imageMode"] for name, panel in panels.items() if name.startswith("Image!")]
    used = {image[key] for image in images for key in ("imageTopic", "calibrationTopic")}
    assert used == TOPICS
    documented = (repository / "docs" / "super_resolution_node.md").read_text()
    paths = [path["value"] for name, panel in panels.items() if name.startswith("Plot!")
             for path in panel["paths"]]  # fmt: skip
    assert paths
    form = re.compile(
        r'/diagnostics\.status\[:\]\{name=="super_resolution: (\w+)"\}'
        r'\.values\[:\]\{key=="([^"]+)"\}\.value'
    )
    for path in paths:
        task, key = form.fullmatch(path).groups()
        assert f"`super_resolution: {task}`" in documented
        # A test compares the page's keys with those of a running node.
        section = documented.split(f"\n### {task}\n")[1].split("\n##")[0]
        assert f"`{key}`" in section, key


def test_every_file_is_documented(config, repository):
    text = (repository / "docs" / "launch.md").read_text().split("## Files in config/")[1]
    assert set(re.findall(r"^- `(\S+)`: ", text, re.MULTILINE)) == {
        file.name for file in config.iterdir() if file.is_file()
    }
