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

"""Work of minutes says how far it is, ends when it is asked to, and passes its outcome on."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time

import pytest

from difiisr_ros import long_work
from difiisr_ros.errors import Interrupted
from difiisr_ros.long_work import check_stop, forget_stop, request_stop, run_watched


@pytest.fixture(autouse=True)
def _no_stop():
    forget_stop()
    yield
    forget_stop()


@pytest.fixture
def cancelled():
    return threading.Event()


def test_the_result_and_the_error_are_passed_on():
    assert run_watched(lambda: 7, what="counting") == 7

    def fail():
        raise ValueError("why")

    with pytest.raises(ValueError, match="why"):
        run_watched(fail, what="counting")


def test_it_says_how_far_it_is(monkeypatch, caplog):
    monkeypatch.setattr(long_work, "SAY_EVERY", 0.02)
    monkeypatch.setattr(long_work, "_POLL", 0.01)
    caplog.set_level(logging.INFO, "difiisr_ros.long_work")
    enough = threading.Event()

    def progress() -> str:
        if len(caplog.records) >= 2:
            enough.set()
        return "3 of 9"

    assert run_watched(lambda: enough.wait(60), what="building", progress=progress)
    assert len(caplog.messages) >= 3
    assert all(m.startswith("building: ") and m.endswith(", 3 of 9") for m in caplog.messages)


def test_a_stop_cancels_it(cancelled):
    def work() -> None:
        request_stop()
        cancelled.wait(60)

    with pytest.raises(Interrupted, match="while building"):
        run_watched(work, what="building", cancel=cancelled.set)
    assert cancelled.is_set()
    with pytest.raises(Interrupted):
        check_stop()
    forget_stop()
    check_stop()


def test_after_a_stop_nothing_begins(cancelled):
    request_stop()
    with pytest.raises(Interrupted):
        run_watched(cancelled.set, what="building")
    assert not cancelled.is_set()


def test_ctrl_c_cancels_it(cancelled):
    def work() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        cancelled.wait(60)

    with pytest.raises(KeyboardInterrupt):
        run_watched(work, what="building", cancel=cancelled.set)
    assert cancelled.is_set()


def test_work_that_does_not_end_is_left(monkeypatch, caplog, cancelled):
    monkeypatch.setattr(long_work, "PATIENCE", 0.05)

    def work() -> None:
        request_stop()
        cancelled.wait(60)

    began = time.monotonic()
    with pytest.raises(Interrupted):
        run_watched(work, what="building")
    assert time.monotonic() - began < 30
    assert "goes on until the process ends" in caplog.text
    cancelled.set()
