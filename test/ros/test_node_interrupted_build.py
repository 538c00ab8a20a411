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

"""A build that a frame asked for, as after a live change, does not hold up a transition."""

from __future__ import annotations

import threading

import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from difiisr_ros.long_work import run_watched
from support.node_harness import Graph, scene
from support.waiting import wait_for


def test_deactivate_interrupts_a_build():
    building, cancelled = threading.Event(), threading.Event()
    with Graph(warmup_width=0) as graph:
        graph.connect()
        backend = graph.node._upscaler.engine._backend
        run = backend.run

        def work() -> None:
            building.set()
            cancelled.wait(600)

        def build_first(*args):
            if not cancelled.is_set():
                run_watched(work, what="building an engine", cancel=cancelled.set)
            return run(*args)

        backend.run = build_first
        graph.send(scene())
        wait_for(building.is_set, "the build has begun")
        assert graph.transition("deactivate")
        assert cancelled.is_set()
        assert graph.node.state_label == "inactive"
        (camera,) = graph.node.cameras.values()
        assert not camera.statistics.snapshot().rejected, "what is discarded is no fault"
        assert graph.transition("activate")
        graph.matched()
        graph.roundtrip(scene())  # and work goes on
