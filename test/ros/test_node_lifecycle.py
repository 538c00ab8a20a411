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

"""What each transition does, how long it takes, and failures that can be retried."""

from __future__ import annotations

import gc
import threading
import time

import pytest
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter

from difiisr_ros.errors import ModelError
from difiisr_ros.ros.node import SuperResolutionNode
from support.node_harness import Graph, scene
from support.waiting import wait_for

CONFIGURE, CLEANUP = Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_CLEANUP
ACTIVATE, DEACTIVATE = Transition.TRANSITION_ACTIVATE, Transition.TRANSITION_DEACTIVATE


@pytest.fixture
def graph():
    with Graph(autostart=False, wait_active=False) as running:
        yield running


def test_a_manager_can_drive_it(graph):
    assert graph.node.state_label == "unconfigured"
    assert graph.change_state(CONFIGURE)
    assert graph.node.state_label == "inactive"
    assert graph.change_state(ACTIVATE)
    graph.connect()
    assert graph.roundtrip(scene()).width == 128
    assert graph.change_state(DEACTIVATE)
    assert graph.node.state_label == "inactive"
    assert graph.change_state(CLEANUP)
    assert graph.node.state_label == "unconfigured"


def test_invalid_transitions_are_answered_and_survived(graph, log):
    for transition in (ACTIVATE, DEACTIVATE, CLEANUP):
        assert not graph.change_state(transition)
    assert graph.node.state_label == "unconfigured"
    assert "possible are" in log.wait("is not possible while unconfigured")
    assert "configure" in log.wait("possible are")
    assert graph.change_state(CONFIGURE)
    for transition in (CONFIGURE, DEACTIVATE):
        assert not graph.change_state(transition)
    assert graph.change_state(ACTIVATE)
    for transition in (CONFIGURE, ACTIVATE, CLEANUP):
        assert not graph.change_state(transition)
    assert not graph.change_state(label="fly")
    log.wait("transition 'fly' is not possible while active")
    assert not graph.change_state(transition_id=200)
    log.wait("transition 'id 200' is not possible while active")
    assert graph.node.state_label == "active"
    graph.connect()
    assert graph.roundtrip(scene()).width == 128


def test_a_transition_asked_for_by_its_number_is_named(graph, log):
    """As clients do that are not ros2 lifecycle."""
    assert not graph.change_state(ACTIVATE)
    log.wait("transition 'activate' is not possible while unconfigured; possible are configure, ")
    assert not graph.change_state(Transition.TRANSITION_ACTIVE_SHUTDOWN)
    log.wait("transition 'shutdown (id 7)' is not possible while unconfigured")
    assert graph.change_state(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
    assert not graph.change_state(CONFIGURE)
    log.wait("transition 'configure' is not possible while finalized; possible are none")


def test_nothing_is_published_while_inactive(graph):
    for transition in (CONFIGURE, ACTIVATE):
        assert graph.change_state(transition)
    graph.connect()
    graph.roundtrip(scene(), stamp=1)
    assert graph.change_state(DEACTIVATE)
    wait_for(lambda: graph.publisher.get_subscription_count() == 0, "the node unsubscribed")
    graph.send(scene(), stamp=2)
    assert graph.change_state(ACTIVATE)
    graph.matched()
    graph.roundtrip(scene(), stamp=3)
    assert [image.header.stamp.sec for image in graph.images] == [1, 3]


def test_activate_and_deactivate_are_fast(graph):
    assert graph.transition("configure")
    seconds = {"activate": [], "deactivate": []}
    for name in ("activate", "deactivate") * 11:
        begin = time.monotonic()
        assert graph.transition(name)
        seconds[name].append(time.monotonic() - begin)
    for name, durations in seconds.items():
        assert sorted(durations)[5] < 0.1, name


def test_shutdown_from_every_state():
    for steps in ((), ("configure",), ("configure", "activate")):
        with Graph(autostart=False, wait_active=False) as graph:
            for name in steps:
                assert graph.transition(name)
            assert graph.transition("shutdown")
            assert graph.node.state_label == "finalized"
            assert not graph.transition("shutdown")
            assert graph.node._upscaler is None


def test_nothing_of_a_destroyed_node_stays_in_the_graph():
    """Not even until the next garbage collection: rclpy's own lifecycle node stays so long."""
    with Graph() as graph:
        node = SuperResolutionNode(
            "another",
            context=graph.context,
            parameter_overrides=[Parameter("backend", value="bicubic")],
        )

        def seen():
            names = [name for name, _ in graph.tester.get_service_names_and_types()]
            lifecycle = {name for name in names if "/another/" in name and "_state" in name}
            return lifecycle, "another" in graph.tester.get_node_names()

        wait_for(lambda: "/another/change_state" in seen()[0] and seen()[1], "it is there")
        gc.disable()
        try:
            node.destroy_node()
            wait_for(lambda: seen() == (set(), False), "it is gone")
        finally:
            gc.enable()
        assert node.state_label == "unconfigured"
        assert not node.transition("configure")


@pytest.mark.needs("torch")
def test_a_model_that_cannot_be_loaded_can_be_corrected(tmp_path, log):
    broken = tmp_path / "model.safetensors"
    broken.write_bytes(b"not a model")
    with Graph(backend="torch", model=str(broken), wait_active=False) as graph:
        log.wait("not started")
        assert graph.node.state_label == "unconfigured"
        assert "model.safetensors" in log.wait("configure failed")
        values, status = graph.status("backend", lambda v, s: v["last transition error"])
        assert status.level == b"\x02"
        assert "model.safetensors" in status.message
        # Corrected, it starts.
        graph.node.set_parameters([Parameter("backend", value="bicubic")])
        assert graph.change_state(CONFIGURE)
        assert graph.change_state(ACTIVATE)
        values, status = graph.status("backend", lambda v, s: v["lifecycle state"] == "active")
        assert status.level == b"\x00"
        assert values["last transition error"] == ""


def test_a_bug_while_configuring_is_logged_and_undone(graph, log, monkeypatch):
    from difiisr_ros import pipeline

    def explode(*args, **kwargs):
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline.SuperResolver, "warmup", explode)
        assert not graph.change_state(CONFIGURE)
    log.wait("ZeroDivisionError: a bug")
    assert graph.node.state_label == "unconfigured"
    assert graph.change_state(CONFIGURE)


def test_a_failure_while_activating_leaves_it_inactive(graph, monkeypatch):
    def explode(*args, **kwargs):
        raise ModelError("no")

    assert graph.change_state(CONFIGURE)
    with monkeypatch.context() as patch:
        patch.setattr(graph.node.cameras[""], "subscribe", explode)
        assert not graph.change_state(ACTIVATE)
    assert graph.node.state_label == "inactive"
    assert not any(thread.name == "upscale" for thread in threading.enumerate())
    assert graph.change_state(ACTIVATE)


def test_a_failure_while_cleaning_up_leaves_it_unconfigured(graph, monkeypatch):
    def explode():
        raise RuntimeError("stuck")

    assert graph.change_state(CONFIGURE)
    with monkeypatch.context() as patch:
        patch.setattr(graph.node._upscaler, "close", explode)
        assert not graph.change_state(CLEANUP)
    assert graph.node.state_label == "unconfigured"
    assert graph.change_state(CONFIGURE)


def test_the_frame_in_work_is_finished_before_deactivating(graph, monkeypatch):
    for name in ("configure", "activate"):
        assert graph.transition(name)
    graph.connect()
    engine = graph.node._upscaler.engine
    real, begun = engine.upscale, threading.Event()

    def slow(*args, **kwargs):
        begun.set()
        time.sleep(0.2)
        return real(*args, **kwargs)

    monkeypatch.setattr(engine, "upscale", slow)
    graph.send(scene())
    assert begun.wait(10)
    assert graph.transition("deactivate")
    assert not any(thread.name == "upscale" for thread in threading.enumerate())
    assert graph.node.cameras[""].statistics.snapshot().rejected == {}


def test_an_upscale_that_hangs_does_not_keep_the_node_from_ending(monkeypatch, log):
    from difiisr_ros.ros import node as module

    monkeypatch.setattr(module, "STOP_TIMEOUT", 0.1)
    release = threading.Event()
    with Graph() as graph:
        graph.connect()
        begun = threading.Event()

        def hang(*args, **kwargs):
            begun.set()
            release.wait(20)
            raise RuntimeError("too late")

        monkeypatch.setattr(graph.node._upscaler.engine, "upscale", hang)
        graph.send(scene())
        assert begun.wait(10)
        begin = time.monotonic()
        graph.in_executor(graph.node.destroy_node)
        assert time.monotonic() - begin < 2.0
    release.set()
    log.wait("did not finish within 0.1 s")
