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

"""What the tests in test/launch share.

They run wherever launch_testing is: `colcon test`, `pytest test/launch`, or one of them by
`launch_test test/launch/test_launch_upscales.py`. The package must be installed and sourced, since
launch looks its executables up in the ament index.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from ament_index_python.packages import PackageNotFoundError, get_package_share_directory
from launch import LaunchContext, LaunchDescription
from launch.actions import IncludeLaunchDescription, SetLaunchConfiguration
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import LifecycleNode
from launch_testing.actions import ReadyToTest
from launch_testing.asserts import assertExitCodes

from support.ros_peer import Peer

# pytest has done it already (conftest.py), launch_test has not: no other robot may be heard.
os.environ["ROS_DOMAIN_ID"] = str(random.SystemRandom().randint(1, 101))
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


def share() -> Path:
    """The installed package's share folder; skips where there is none."""
    try:
        return Path(get_package_share_directory("difiisr_ros"))
    except PackageNotFoundError:
        pytest.skip("difiisr_ros is not installed: colcon build, then . install/setup.bash")


def source(name: str) -> PythonLaunchDescriptionSource:
    """One of the installed launch files."""
    return PythonLaunchDescriptionSource(str(share() / "launch" / f"{name}.launch.py"))


def include(name: str, **arguments: str) -> IncludeLaunchDescription:
    """One of the installed launch files, with these arguments."""
    return IncludeLaunchDescription(source(name), launch_arguments=arguments.items())


def node_of(file: PythonLaunchDescriptionSource) -> LifecycleNode:
    """The node that stands in a launch file, for event handlers of who includes it."""
    entities = file.get_launch_description(LaunchContext()).entities
    (node,) = [entity for entity in entities if isinstance(entity, LifecycleNode)]
    return node


def describe(*actions: object) -> LaunchDescription:
    """A test's launch description."""
    return LaunchDescription(
        [
            # launch sends SIGTERM after SIGINT; on a busy machine not so soon.
            SetLaunchConfiguration("sigterm_timeout", "60"),
            *actions,
            ReadyToTest(),
        ]
    )


# Not TestCases: those would be run themselves, wherever they are imported.
class WithPeer:
    """For a test case that talks to the node: ``self.peer``."""

    peer: Peer

    @classmethod
    def setUpClass(cls) -> None:
        cls.peer = Peer().__enter__()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.peer.__exit__()


class ExitsCleanly:
    """For the test case after the shutdown, which launch does by SIGINT."""

    def test_exit_codes_are_0(self, proc_info):
        assertExitCodes(proc_info)

    def test_no_traceback(self, proc_output):
        for output in proc_output:
            assert "Traceback" not in output.text.decode(errors="replace")
