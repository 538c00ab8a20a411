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

"""The node's log says why no image comes: once for each reason, and never in a healthy start."""

from __future__ import annotations

import time

from difiisr_ros.ros import diagnostics
from support.node_harness import Graph, scene, wait_for

SENTENCE = "no image for"


def test_each_reason_is_said_once_with_the_words_of_diagnostics(log, monkeypatch):
    monkeypatch.setattr(diagnostics, "GRACE", 2.0)
    with Graph(backend="bicubic", stale_after=0.5) as graph:
        first = log.wait(SENTENCE)
        assert "[WARN]" in first and "on /image_raw; " in first
        _, status = graph.status("input", lambda _, s: SENTENCE in s.message)
        assert status.message.partition("; ")[2] in first
        time.sleep(2.5)  # two more reports
        assert log.lines(SENTENCE) == [first]

        graph.connect()  # a camera that sends nothing
        wait_for(lambda: len(log.lines(SENTENCE)) == 2, "another reason")
        assert "/tester" in log.lines(SENTENCE)[1]


def test_a_healthy_start_says_nothing_and_a_camera_that_stops_is_news(log, monkeypatch):
    monkeypatch.setattr(diagnostics, "GRACE", 3.0)
    with Graph(backend="bicubic", stale_after=0.5) as graph:
        graph.connect()
        for count in (0, 1):
            for stamp in range(30):
                graph.send(scene(), stamp=100 * count + stamp)
                time.sleep(0.15)
            assert len(log.lines(SENTENCE)) == count
            wait_for(lambda: len(log.lines(SENTENCE)) == 1, "it stops")
        wait_for(lambda: len(log.lines(SENTENCE)) == 2, "it stops again")
