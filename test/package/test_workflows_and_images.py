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

"""Workflows, images and hooks name the same Pythons, distributions and libraries as the package."""

from __future__ import annotations

import ast
import json
import re

import pytest
import yaml

from support.paths import REPOSITORY

#: The Ubuntu that a distribution's packages are built for, by rosdistro's release_platforms.
UBUNTU = {
    "humble": "jammy",
    "jazzy": "noble",
    "kilted": "noble",
    "lyrical": "resolute",
    "rolling": "resolute",
}
#: apt's names that are in all of these; rosdep has keys for the rest.
APT = {"python3-numpy", "python3-opencv", "python3-tifffile", "python3-venv"}


def text(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def jobs() -> dict:
    return yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]


@pytest.fixture(scope="module")
def distributions(jobs) -> dict[str, str]:
    """Those that colcon builds and tests in, each with its Ubuntu."""
    matrix = jobs["colcon"]["strategy"]["matrix"]["include"]
    return {entry["distribution"]: entry["ubuntu"] for entry in matrix}


@pytest.fixture(scope="module")
def pip_names() -> set[str]:
    """Everything that setup.py asks pip for, in one extra or another."""
    return set(re.findall(r'"([\w-]+)(?:>=[^"]*)?"', text("setup.py")))


def claimed_pythons() -> list[str]:
    return re.findall(r"Programming Language :: Python :: (3\.\d+)", text("setup.py"))


def test_each_distribution_is_tested_on_its_ubuntu(distributions):
    assert distributions == UBUNTU


def test_what_the_readme_claims_is_tested_and_has_an_image(jobs, distributions):
    (claimed,) = re.findall(r"In a ROS 2 workspace\*\* \(([^)]+)\)", text("README.md"))
    claimed = {name.lower() for name in claimed.split(", ")}
    assert {"humble", "jazzy"} <= claimed <= set(distributions)
    assert set(jobs["image"]["strategy"]["matrix"]["distribution"]) == set(distributions)
    page = text("docs/tasks/docker.md").partition("```bash")[2].partition("```")[0]
    named = set(re.findall(r"[a-z]+", page)) & set(UBUNTU)
    assert named == set(distributions)
    (default,) = re.findall(r"^ARG ROS_DISTRO=(\w+)$", text("Dockerfile"), re.MULTILINE)
    assert default in claimed


def test_the_pythons_are_those_that_setup_py_claims(jobs):
    claimed = claimed_pythons()
    assert jobs["test"]["strategy"]["matrix"]["python"] == claimed
    first, last = claimed[0], claimed[-1]
    assert f'python_requires=">={first}"' in text("setup.py")
    assert f"Python ({first} to {last})" in text("README.md")
    found = re.search(r"VERSIONS=\$\{VERSIONS:-([\d. ]+)\}", text("tools/make_venv.sh"))
    assert found and set(found[1].split()) == set(claimed)


def test_actions_are_of_a_release(jobs):
    """A branch's name would run whatever somebody else pushes there."""
    used = [step["uses"] for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert any(name.startswith("ros-tooling/action-ros-ci@") for name in used)
    assert [name for name in used if not re.fullmatch(r"[\w-]+/[\w-]+@v[\d.]+", name)] == []


def test_commands_of_the_workflow_exist(jobs):
    runs = "\n".join(step.get("run", "") for job in jobs.values() for step in job["steps"])
    targets = re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE)
    named = re.findall(r"\bmake ([a-z-]+)", runs)
    assert set(named) == {"lint", "test"} and set(named) <= set(targets)
    assert "--target" not in runs  # the Dockerfile has one
    arguments = re.findall(r"--build-arg (\w+)=", runs + text("docs/tasks/docker.md"))
    assert set(arguments) == set(
        re.findall(r"^ARG (?!DEBIAN)(\w+)=", text("Dockerfile"), re.MULTILINE)
    )


def test_libraries_beside_apts_are_known(jobs, pip_names):
    install = next(step["run"] for step in jobs["colcon"]["steps"] if "pip install" in str(step))
    apt = re.findall(r"python3-\w+", install)
    assert apt and set(apt) <= APT
    named = install.partition('"numpy<$next"')[2].replace("\\\n", " ").split()
    assert {"hypothesis", "rosbags"} <= set(named) <= pip_names | {"pycocotools"}


def test_the_image_installs_what_is_known(jobs, pip_names):
    dockerfile = text("Dockerfile")
    apt = re.search(r"apt-get install (?:--\S+ )+(.*?) *\\", dockerfile).group(1).split()
    assert apt and set(apt) <= APT
    (libraries,) = re.findall(r'ARG LIBRARIES="(.*)"', dockerfile)
    others = re.findall(r'LIBRARIES="([\w ]+)"', text("docs/tasks/docker.md"))
    entries = [entry["libraries"] for entry in jobs["image"]["strategy"]["matrix"]["include"]]
    assert jobs["image"]["strategy"]["matrix"]["libraries"] == [libraries]
    assert others == entries and len(others) == 1
    beside = re.search(r'"numpy<\$next" (.*) \$LIBRARIES', dockerfile).group(1)
    assert set(f"{libraries} {others[0]} {beside}".split()) <= pip_names


def test_the_image_starts_what_there_is():
    dockerfile = text("Dockerfile")
    command = json.loads(re.search(r"^CMD (.*)$", dockerfile, re.MULTILINE).group(1))
    assert command[:3] == ["ros2", "launch", "difiisr_ros"]
    assert (REPOSITORY / "launch" / command[3]).is_file()
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", dockerfile, re.MULTILINE).group(1))[-2:] == [
        'source /ws/install/setup.bash && exec "$@"',
        "bash",
    ]
    for source in re.findall(r"^COPY (\S+) ", dockerfile, re.MULTILINE):
        assert (REPOSITORY / source).exists(), source
    ignored = text(".dockerignore").split()
    assert {".git", ".venv*", "build", "install", "log", "out"} <= set(ignored)


def test_shared_memory_is_spoken_of_wherever_a_container_starts(jobs):
    assert jobs["colcon"]["container"]["options"] == "--ipc=host"
    assert "--ipc=host" in json.loads(text(".devcontainer/devcontainer.json"))["runArgs"]
    everything = text(".github/workflows/ci.yml") + text("docs/tasks/docker.md")
    for start in re.findall(r"docker run .*", everything):
        assert "--ipc=host" in start, start
    assert "--shm-size" in everything


def test_the_devcontainer_is_made_by_make(jobs):
    container = json.loads(text(".devcontainer/devcontainer.json"))
    assert container["image"].removeprefix("python:") in claimed_pythons()
    assert container["postCreateCommand"] == "make setup"


def test_hooks_do_what_make_lint_does():
    recipe = text("Makefile").partition("\nlint:")[2].partition("\n\n")[0]
    wanted = re.findall(r"\$\(PY\) -m (.*)", recipe)
    (local,) = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"]
    done = [
        hook["entry"].removeprefix(".venv/bin/python -m ").removesuffix(" --force-exclude")
        for hook in local["hooks"]
    ]
    # A hook is handed file names, and formats rather than complains.
    assert [command.replace(" --check", "").removesuffix(" .") for command in wanted] == done
    assert len(done) == 3


def test_dependabot_watches_what_there_is():
    updates = yaml.safe_load(text(".github/dependabot.yml"))["updates"]
    assert [update["package-ecosystem"] for update in updates] == ["github-actions", "pip"]
    assert all(update["directory"] == "/" for update in updates)


def test_rosdoc2_finds_its_settings_and_the_pages():
    assert "<rosdoc2>rosdoc2.yaml</rosdoc2>" in text("package.xml")
    kind, settings = yaml.safe_load_all(text("rosdoc2.yaml"))
    assert kind == {"type": "rosdoc2 config", "version": 1}
    (builder,) = settings["builders"]
    assert (REPOSITORY / builder["sphinx"]["user_doc_dir"] / "README.md").is_file()
    ast.parse(text("docs/conf.py"))


def test_the_quality_declaration_has_every_requirement_and_is_linked():
    page = text("QUALITY_DECLARATION.md")
    numbers = {
        "1": ["i", "ii", "iii", "iv", "v", "vi"],
        "2": ["i", "ii", "iii", "iv", "v"],
        "3": ["i", "ii", "iii", "iv", "v.c"],
        "4": ["i", "ii", "iii", "iv", "v"],
        "5": ["i", "ii", "iii"],
        "7": ["i"],
    }
    wanted = [f"[{number}.{part}]" for number, parts in numbers.items() for part in parts]
    assert [name for name in [*wanted, "[6]"] if name not in page] == []
    assert "**Quality Level 4**" in page
    assert "(QUALITY_DECLARATION.md)" in text("README.md")
