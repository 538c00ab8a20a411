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

"""Links lead somewhere, and what pages say of parameters is true; on every page."""

from __future__ import annotations

import ast
import re

import pytest
import yaml

from difiisr_ros.stream import frame_player_parameters, monitor_parameters, parameter_table
from difiisr_ros.stream.detectors import DETECTOR_TABLE, MAPPER_TABLE
from difiisr_ros.stream.launch_arguments import NODE_PARAMETERS
from difiisr_ros.stream.parameter_spec import Change
from difiisr_ros.stream.parameter_table import check_together
from support.paths import REPOSITORY

PAGES = (
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    REPOSITORY / "README.md",
    REPOSITORY / "CONTRIBUTING.md",
)
TASKS = tuple(page for page in PAGES if page.parent.name == "tasks")
if not (REPOSITORY / "README.md").is_file():
    pytest.skip("the package's sources are not here", allow_module_level=True)
TABLES = (
    NODE_PARAMETERS,
    frame_player_parameters.BY_NAME,
    monitor_parameters.BY_NAME,
    {spec.name: spec for spec in (*DETECTOR_TABLE, *MAPPER_TABLE)},
)
DEFAULTS = {spec.name: spec.default for spec in parameter_table.TABLE}


def ids(page):
    return str(page.relative_to(REPOSITORY))


def blocks(page, language):
    """Fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def prose(page):
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """The anchors that GitHub makes of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_every_page_is_found_from_the_index_and_the_readme():
    index = (REPOSITORY / "docs" / "README.md").read_text()
    readme = (REPOSITORY / "README.md").read_text()
    assert "(docs/README.md)" in readme
    assert len(TASKS) > 5
    for page in PAGES:
        if page.is_relative_to(REPOSITORY / "docs") and page.name != "README.md":
            assert f"({page.relative_to(REPOSITORY / 'docs')})" in index
            assert page not in TASKS or f"(docs/tasks/{page.name})" in readme


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_python_is_python(page):
    for code in blocks(page, "python"):
        ast.parse(code)


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_parameter_files_are_accepted(page):
    for text in blocks(page, "yaml"):
        for section in yaml.safe_load(text).values():
            values = dict(section["ros__parameters"])
            values.pop("qos_overrides", None)
            for name, value in values.items():
                values[name] = parameter_table.BY_NAME[name].read(value)
                assert parameter_table.BY_NAME[name].check(values[name]) is None
            assert check_together({**DEFAULTS, **values}) is None


def settings(page):
    """Names and values in `name: value`, `-p name:=value` and `ros2 param set NODE name value`."""
    text = page.read_text()
    found = re.findall(r"`(\w+):\s+([^`\s]+)`", text)
    found += re.findall(r"-p (\w+):=(\"[^\"]*\"|\S+)", text)
    found += re.findall(r"ros2 param set /super_resolution (\w+) ([^\s`]+)", text)
    return [(name, value.strip('"')) for name, value in found]


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_parameters_that_are_set_exist_and_take_the_value(page):
    for name, text in settings(page):
        if name in ("rejected", "noticed", "super_resolution", "bond_timeout"):
            continue  # keys and statuses of diagnostics, and Nav2's
        specs = [table[name] for table in TABLES if name in table]
        assert specs, f"no parameter {name}"
        value = yaml.safe_load(text)
        if (name, value) == ("camera_names", []):
            assert specs[0].check(value)  # as an example of what is refused
            continue
        assert any(spec.check(value) is None for spec in specs), (name, value)


def test_settings_are_found():
    assert sum(len(settings(page)) for page in PAGES) > 50


def test_what_is_set_while_configured_is_live():
    """`ros2 param set` without a way to the unconfigured state works only for live parameters."""
    checked = 0
    for page in PAGES:
        for line in re.findall(r"ros2 param set /super_resolution (\w+) [^\n]*", prose(page)):
            assert parameter_table.BY_NAME[line].change is Change.LIVE, (page.name, line)
            checked += 1
    assert checked


def test_versions_on_the_page_without_pytorch_are_the_tested_ones():
    page = (REPOSITORY / "docs" / "tasks" / "without_pytorch.md").read_text()
    pinned = (REPOSITORY / "requirements.txt").read_text().splitlines()
    named = re.findall(r"[a-z-]+==[0-9.]+", page)
    known = {line.split(" ;")[0].strip() for line in pinned}
    assert len(named) == 14 and set(named) <= known
    older = re.search(r"^Python 3\.10.*$", page, re.MULTILINE)[0]
    for line in re.findall(r"[a-z-]+==[0-9.]+", older):
        assert f'{line} ; python_version < "3.11"' in pinned
    # All that the command needs, but what needs PyTorch.
    needed = (
        (REPOSITORY / "setup.py").read_text().partition("REQUIREMENTS = [")[2].partition("]")[0]
    )
    names = set(re.findall(r'"([a-z-]+)>=', needed)) - {"torch", "safetensors"}
    assert names == {entry.partition("==")[0] for entry in named}
