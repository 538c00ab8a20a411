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

"""Nav2's lifecycle manager: its calls, their time limits, and the bond, as its sources have them.

Where the package bond is installed the messages are real; else its message is stood in for, and
what a publisher of it would have sent is looked at.
"""

from __future__ import annotations

import sys
import types
from types import SimpleNamespace
from typing import Any

import pytest
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import GetState

from difiisr_ros.ros.bond import Bond, form_bond
from support.node_harness import Graph, LogCapture
from support.waiting import wait_for

#: Seconds: defaults of the manager's parameters.
SERVICE_TIMEOUT, BOND_TIMEOUT = 5.0, 4.0


class Status:
    """Stands for bond.msg.Status."""

    def __init__(self) -> None:
        self.header = SimpleNamespace(stamp=None)


class FakeNode:
    """Keeps what a node would publish."""

    def __init__(self) -> None:
        self.sent: list[tuple[bool, str]] = []
        self.logged: list[str] = []
        self.gone: list[Any] = []
        self.create_timer = lambda period, callback, **options: callback
        self.create_subscription = lambda kind, topic, callback, depth, **options: callback
        self.create_publisher = lambda kind, topic, depth, **options: SimpleNamespace(
            publish=lambda s: self.sent.append((s.active, s.instance_id))
        )
        self.destroy_timer = self.destroy_subscription = self.destroy_publisher = self.gone.append
        self.never_fatal = lambda callback: callback
        self.get_name = lambda: "super_resolution"
        self.get_clock = lambda: SimpleNamespace(now=lambda: SimpleNamespace(to_msg=lambda: "now"))
        self.get_logger = lambda: SimpleNamespace(info=self.logged.append)


@pytest.fixture
def stand_in(monkeypatch):
    messages = types.ModuleType("bond.msg")
    messages.Status = Status
    monkeypatch.setitem(sys.modules, "bond", types.ModuleType("bond"))
    monkeypatch.setitem(sys.modules, "bond.msg", messages)


@pytest.fixture
def node(stand_in):
    return FakeNode()


def status(active, name="super_resolution", instance="the manager's"):
    return SimpleNamespace(id=name, instance_id=instance, active=active)


def test_it_beats_until_it_is_ended(node):
    bond = Bond(node, 0.25)
    bond._beat()
    bond.end()
    assert [active for active, _ in node.sent] == [True, True, False]
    assert len({instance for _, instance in node.sent}) == 1
    assert len(node.gone) == 3


def test_it_stops_when_the_other_half_ends_and_for_no_others(node):
    bond = Bond(node, 0.25)
    own = node.sent[0][1]
    for other in (status(True), status(False, "amcl"), status(False, instance=own)):
        bond._on_status(other)
        bond._beat()
    assert all(active for active, _ in node.sent)
    bond._on_status(status(False))
    bond._beat()
    bond.end()
    assert [active for active, _ in node.sent] == [True] * 4 + [False]


def test_without_the_package_there_is_none_and_the_log_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "bond", None)
    node = FakeNode()
    assert form_bond(node, 0.25) is None
    assert "bond_timeout: 0.0" in node.logged[0]


@pytest.mark.parametrize("more", [{"autostart": True}, {"bond_heartbeat_period": 0.0}])
def test_nobody_who_has_no_manager_forms_one(stand_in, more):
    with Graph(**{"autostart": False, **more}, wait_active=False) as graph:
        if not more.get("autostart"):
            assert graph.change_state(Transition.TRANSITION_CONFIGURE)
            assert graph.change_state(Transition.TRANSITION_ACTIVATE)
        wait_for(lambda: graph.node.state_label == "active", "it is active")
        assert graph.node._bond is None


def manage(graph, transition, goal):
    """What the manager does: a transition, without a limit, then the state, with one."""
    assert graph.change_state(transition)
    client = graph.tester.create_client(GetState, "/super_resolution/get_state")
    assert client.wait_for_service(SERVICE_TIMEOUT)
    future = client.call_async(GetState.Request())
    wait_for(future.done, "the state", timeout=SERVICE_TIMEOUT)
    graph.tester.destroy_client(client)
    assert future.result().current_state.id == goal


def test_the_default_model_comes_up_by_the_managers_calls():
    with Graph(wait_active=False, autostart=False, backend="auto") as graph:
        manage(graph, Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE)
        manage(graph, Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE)


def test_the_manager_has_its_bond(tmp_path):
    messages = pytest.importorskip("bond.msg", reason="the package bond is missing: it is Nav2's")
    heard: list[Any] = []
    with LogCapture(tmp_path / "log"), Graph(wait_active=False, autostart=False) as graph:
        graph.subscribe(messages.Status, "bond", heard)
        manage(graph, Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE)
        assert not heard
        manage(graph, Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE)
        wait_for(lambda: heard, "the bond is formed", timeout=BOND_TIMEOUT / 2)
        wait_for(lambda: len(heard) > 4, "heartbeats", timeout=BOND_TIMEOUT)
        assert all(s.active and s.id == "super_resolution" for s in heard)
        manage(graph, Transition.TRANSITION_DEACTIVATE, State.PRIMARY_STATE_INACTIVE)
        wait_for(lambda: not heard[-1].active, "the bond is ended")
        count = len(heard)
        manage(graph, Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE)
        wait_for(lambda: len(heard) > count and heard[-1].active, "another bond")
        assert heard[-1].instance_id != heard[0].instance_id
