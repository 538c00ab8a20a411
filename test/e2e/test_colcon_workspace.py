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

"""A real colcon workspace: build, test, source, and start the node by the path of `ros2 run`."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")
if any(importlib.util.find_spec(name) is None for name in ("colcon_core", "colcon_ros")):
    pytest.skip("colcon is missing: pip install colcon-ros", allow_module_level=True)

COLCON = "import sys; from colcon_core.command import main; sys.exit(main())"

#: What `colcon test` runs here: a little of every kind of test. This folder must stay out of it: it
#: would build a workspace in the workspace, and so on.
PART_OF_THE_TESTS = (
    "test/package/test_config_files.py",
    "test/ros/test_node_topics.py",
    "test/process/test_process_behaviours.py::test_starts_and_upscales",
    "test/launch/test_launch_upscales.py",
)

#: One more, which only the workspace has: the tests must test what colcon has built.
PROBE = """
import sys
from pathlib import Path

import pytest

import difiisr_ros
from difiisr_ros.ros.dds_profile import find_profile


@pytest.mark.skipif(sys.version_info < (3, 11), reason="python3 -m finds the sources first")
def test_it_is_not_the_sources():
    files = [Path(difiisr_ros.__file__), find_profile()]
    assert not any("src" in file.parts for file in files), files
"""


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    # The executables start with `/usr/bin/env python3`: the Python of this test run must be first.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    # The sources must not be found before what was installed, nor by `python3 -m pytest`, which
    # colcon runs in their folder (Python 3.10 does not know this variable).
    environment["PYTHONSAFEPATH"] = "1"
    environment.pop("PYTHONPATH", None)
    if os.environ.get("ROS_DISTRO"):
        environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    return environment


@pytest.fixture(scope="module", params=["install", "symlink-install"])
def workspace(request, copy_sources, tmp_path_factory) -> Path:
    """A built workspace, in the two ways that people build."""
    options = ["--symlink-install"] if request.param == "symlink-install" else []
    folder = tmp_path_factory.mktemp("workspace")
    copy_sources(folder / "src" / "difiisr_ros")
    done = _colcon(folder, "build", "--event-handlers", "console_direct+", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def _colcon(workspace: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COLCON, *arguments],
        cwd=workspace,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=150,
    )


def _in_workspace(workspace: Path, command: str, **options) -> subprocess.Popen:
    return subprocess.Popen(
        ["bash", "-c", f". {shlex.quote(str(workspace))}/install/setup.sh && exec {command}"],
        cwd=workspace,
        env=_environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        **options,
    )


def test_install_space_is_complete(workspace, repository):
    prefix = workspace / "install" / "difiisr_ros"
    executables = {file.name for file in (prefix / "lib" / "difiisr_ros").iterdir()}
    assert executables == {
        "difiisr",
        "super_resolution_node",
        "detection_mapper_node",
        "thermal_detector_node",
        "frame_player_node",
        "sr_monitor_node",
    }
    share = prefix / "share" / "difiisr_ros"
    for folder in ("launch", "config"):
        files = {file.name for file in (repository / folder).iterdir() if file.is_file()}
        assert files and files <= {file.name for file in (share / folder).iterdir()}
    # Requirements here would stop a node whose libraries came from apt: see setup.py. Extras,
    # each below its name in brackets, are nobody's requirement until they are asked for.
    metadata = [*workspace.rglob("difiisr_ros*.egg-info/PKG-INFO")]
    assert metadata
    for file in metadata:
        requires = file.with_name("requires.txt")
        text = requires.read_text() if requires.exists() else ""
        assert not text.partition("[")[0].strip() and "[:" not in text


@pytest.mark.parametrize(
    "workspace",
    ["install", pytest.param("symlink-install", marks=pytest.mark.slow)],
    indirect=True,
)
def test_colcon_test_passes(workspace):
    """`colcon test` runs our tests on what was built, and records every result."""
    assert not any("e2e" in name for name in PART_OF_THE_TESTS)
    probe = Path("test", "package", "test_what_is_tested.py")
    (workspace / "src" / "difiisr_ros" / probe).write_text(PROBE)
    done = _colcon(
        workspace,
        "test",
        "--return-code-on-test-failure",
        "--event-handlers",
        "console_direct+",
        "--pytest-args",
        *PART_OF_THE_TESTS,
        str(probe),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # What was recorded counts: colcon takes it for a success when there are no tests.
    result = _colcon(workspace, "test-result", "--all", "--verbose")
    assert result.returncode == 0, result.stdout
    (count,) = re.findall(r"pytest\.xml: (\d+) tests?, 0 errors, 0 failures", result.stdout)
    assert int(count) > 20, done.stdout


def test_command_runs_from_the_install_space(workspace):
    command = "install/difiisr_ros/lib/difiisr_ros/difiisr --help"
    process = _in_workspace(workspace, command)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "evaluate" in output


def test_node_starts_from_the_install_space_and_ends_cleanly(workspace):
    """The node finds weights and DDS profile where colcon put them; SIGINT ends it with 0."""
    import rclpy
    from lifecycle_msgs.msg import State
    from lifecycle_msgs.srv import GetState

    process = _in_workspace(workspace, "install/difiisr_ros/lib/difiisr_ros/super_resolution_node")
    context = rclpy.Context()
    output = ""
    try:
        rclpy.init(context=context)
        tester = rclpy.create_node("colcon_tester", context=context)
        executor = rclpy.executors.SingleThreadedExecutor(context=context)
        executor.add_node(tester)
        client = tester.create_client(GetState, "super_resolution/get_state")
        label, end = "", time.monotonic() + 60
        while label != "active" and process.poll() is None and time.monotonic() < end:
            if client.wait_for_service(timeout_sec=0.5):
                future = client.call_async(GetState.Request())
                executor.spin_until_future_complete(future, timeout_sec=5)
                if future.done() and future.result().current_state.id == State.PRIMARY_STATE_ACTIVE:
                    label = "active"
            time.sleep(0.1)
        executor.shutdown()
        tester.destroy_node()
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    finally:
        context.try_shutdown()
        if process.poll() is None:
            process.kill()
            output += process.communicate()[0]
    assert label == "active", output
    assert process.returncode == 0, output
    profile = workspace / "install/difiisr_ros/share/difiisr_ros/config/fastdds_large_images.xml"
    assert str(profile) in output
