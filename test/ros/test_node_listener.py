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

"""The first transition waits for who follows transitions, but not for ever."""

from __future__ import annotations

import time

from lifecycle_msgs.msg import TransitionEvent

from difiisr_ros.ros.main import LISTENER_WAIT, listener_wait
from support.node_harness import Graph
from support.waiting import wait_for


def test_it_waits_for_a_subscriber_that_then_misses_nothing():
    events: list[TransitionEvent] = []
    with Graph(wait_active=False, listener_wait=60.0) as graph:
        time.sleep(0.3)
        assert graph.node.state_label == "unconfigured"
        graph.subscribe(TransitionEvent, "super_resolution/transition_event", events)
        goals = ["configuring", "inactive", "activating", "active"]
        wait_for(lambda: [e.goal_state.label for e in events] == goals, "all four states")


def test_without_one_it_starts_all_the_same():
    begin = time.monotonic()
    with Graph(listener_wait=0.3) as graph:
        assert graph.node.state_label == "active"
        assert time.monotonic() - begin >= 0.3


def test_only_who_gave_the_node_a_name_is_waited_for():
    """launch's LifecycleNode always does."""
    assert listener_wait(["node", "--ros-args", "-r", "__node:=super_resolution"]) == LISTENER_WAIT
    assert listener_wait(["node", "--ros-args", "-r", "__ns:=/rig", "-r", "image_raw:=x"]) == 0.0
