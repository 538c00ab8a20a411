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

"""A device that is full: the frame is published all the same, and log and diagnostics say how."""

from __future__ import annotations

import logging

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from diagnostic_msgs.msg import DiagnosticStatus

from difiisr_ros import SuperResolver
from difiisr_ros.errors import DeviceOutOfMemory
from difiisr_ros.stream.log_bridge import LogBridge
from support.node_harness import Graph, scene


def test_a_full_device_is_a_warning_with_the_reason():
    with Graph(warmup_width=0) as graph:
        graph.connect()
        backend = graph.node._upscaler.engine._backend
        run = backend.run

        def small(lr, *rest):
            if lr.size > 160 * 160:
                raise DeviceOutOfMemory("cuda:0 has not the memory")
            return run(lr, *rest)

        backend.run = small
        frame = scene(200, 240)
        result = graph.roundtrip(frame)
        pixels = np.frombuffer(bytes(result.data), frame.dtype).reshape(800, 960)
        whole = SuperResolver.load(backend="bicubic").upscale(frame)
        assert np.abs(pixels.astype(int) - whole).max() <= 5  # of 3,000, in the overlaps
        values, status = graph.status("backend", lambda v, _: v["memory"])
        assert (
            values["memory"] == "frames are run in tiles of 120 pixels: cuda:0 has not the memory"
        )
        assert status.level == DiagnosticStatus.WARN
        assert values["memory"] in status.message


def test_a_node_leaves_the_log_as_it_was():
    source = logging.getLogger("difiisr_ros")
    before = list(source.handlers), source.level
    with Graph():
        assert any(isinstance(handler, LogBridge) for handler in source.handlers)
    assert (list(source.handlers), source.level) == before
