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

"""`make`: its help, and what it does where ROS 2 is sourced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def make(copy_sources, tmp_path):
    """Run make in a copy of the sources, with a `python3` of the test's choice first on PATH."""
    folder = copy_sources(tmp_path / "sources")

    def run(*targets: str, python: str, **environment: str) -> subprocess.CompletedProcess[str]:
        binaries = tmp_path / "bin"
        binaries.mkdir(exist_ok=True)
        (binaries / "python3").write_text(f'#!/bin/sh\nexec {python} "$@"\n')
        (binaries / "python3").chmod(0o755)
        path = os.pathsep.join([str(binaries), os.environ["PATH"]])
        return subprocess.run(
            ["make", *targets],
            cwd=folder,
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )

    run.folder = folder
    return run


def test_help_lists_every_target(make, repository):
    done = make("help", python=sys.executable)
    assert done.returncode == 0
    targets = [
        line.split(":")[1].strip()
        for line in (repository / "Makefile").read_text().splitlines()
        if line.startswith(".PHONY:")
    ]
    assert len(targets) >= 7
    for target in targets:
        assert f"make {target} " in done.stdout


@pytest.mark.needs("torch", "rosbags", "tifffile")
def test_in_a_sourced_ros_nothing_is_installed_and_its_python_is_used(make):
    pytest.importorskip("rclpy")
    done = make("test", "ARGS=--version", python=sys.executable, ROS_DISTRO="jazzy")
    assert done.returncode == 0, done.stderr
    assert "pytest" in done.stdout + done.stderr
    assert not (make.folder / ".venv").exists()


def test_in_a_sourced_ros_no_other_rclpy_is_brought_in(make):
    done = make("test-jammy", python=sys.executable, ROS_DISTRO="humble")
    assert done.returncode != 0
    assert "no ROS 2 is sourced" in done.stderr
    assert not list(make.folder.glob(".venv*"))


def test_in_a_sourced_ros_what_is_missing_is_named_with_its_source(make):
    # -S: no site-packages, so none of the libraries.
    done = make(
        "demo", python=f"{sys.executable} -S -E", ROS_DISTRO="humble", PYTHONPATH="", VIRTUAL_ENV=""
    )
    assert done.returncode != 0
    assert "ros-humble-rclpy" in done.stderr
    assert "pip: torch" in done.stderr
    assert "system-site-packages" in done.stderr
    assert not (make.folder / ".venv").exists()


def test_every_check_of_the_ros_environment_is_a_module_that_is_imported(repository):
    """The list of what a sourced environment needs must not outlive what the package needs."""
    script = (repository / "tools" / "check_ros_environment.py").read_text()
    namespace: dict[str, object] = {"__name__": "checked"}
    exec(compile(script, "check_ros_environment.py", "exec"), namespace)
    files = [*repository.glob("difiisr_ros/**/*.py"), *repository.glob("test/**/*.py")]
    sources = "\n".join(file.read_text() for file in files)
    for module in namespace["NEEDED"]:
        assert f"import {module}" in sources or f"from {module}" in sources, module
