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

"""What a launch file that includes ours relies on: scopes, SetParameter, and transition events."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

import pytest

pytest.importorskip("launch_testing", reason="launch_testing is missing: it comes with ROS 2")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for launch_test, without pytest

import importlib.util

import launch_testing
from launch.actions import (
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetLaunchConfiguration,
)
from launch_ros.actions import SetParameter
from launch_ros.event_handlers import OnStateTransition

from support.behaviours import check_parameters
from support.launch_case import ExitsCleanly, WithPeer, describe, node_of, source
from support.paths import REPOSITORY
from support.waiting import wait_for

#: States of the first node that launch has heard of.
SEEN: list[str] = []


def side_by_side():
    """The example of docs/examples as a module."""
    path = REPOSITORY / "docs" / "examples" / "side_by_side.launch.py"
    spec = importlib.util.spec_from_file_location("side_by_side", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.launch_test
def generate_test_description():
    file = source("super_resolution")
    node = node_of(file)
    arguments = {"backend": "bicubic", "namespace": "one"}
    return describe(
        # Launch configurations of others, as nav2 and yolo_ros leave them behind.
        SetLaunchConfiguration("model", "yolov8m.pt"),
        SetLaunchConfiguration("image", "/others"),
        side_by_side().isolated(namespace="two", backend="bicubic", image="/two/image_raw"),
        *[
            RegisterEventHandler(
                OnStateTransition(
                    target_lifecycle_node=node,
                    goal_state=state,
                    entities=[OpaqueFunction(function=lambda _, state=state: SEEN.append(state))],
                )
            )
            for state in ("configuring", "active")
        ],
        GroupAction(
            [
                SetParameter("stale_after", 7.5),
                IncludeLaunchDescription(file, launch_arguments=arguments.items()),
            ]
        ),
    )


class Includes(WithPeer, unittest.TestCase):
    def test_transitions_are_seen_though_the_node_starts_by_itself(self):
        self.peer.until("active", "/one/super_resolution")
        wait_for(lambda: SEEN == ["configuring", "active"], f"both states, after {SEEN}")

    def test_scopes(self):
        wanted = {"stale_after": 7.5, "model": "yolov8m.pt"}  # what is not scoped leaks
        check_parameters(self.peer, wanted, "/one/super_resolution")
        wanted = {"stale_after": 2.0, "model": "lite"}
        check_parameters(self.peer, wanted, "/two/super_resolution")
        topic = "super_resolution: input"
        assert self.peer.values(f"one/{topic}")["topic"] == "/others"
        assert self.peer.values(f"two/{topic}")["topic"] == "/two/image_raw"


@launch_testing.post_shutdown_test()
class AfterShutdown(ExitsCleanly, unittest.TestCase):
    pass
