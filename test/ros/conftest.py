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

"""Fixtures of the tests that need ROS."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.node_harness import LogCapture
from support.paths import REPOSITORY


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of recorded outputs of other programs; `DIFIISR_GOLDEN` says where else it is."""
    beside = REPOSITORY.parent / "shared" / "golden"
    folder = Path(os.environ.get("DIFIISR_GOLDEN", beside))
    if not folder.is_dir():
        pytest.skip(f"no recorded outputs in {folder} (set DIFIISR_GOLDEN)")
    return folder


@pytest.fixture
def log(tmp_path) -> LogCapture:
    """What the nodes in this process log; not by way of /rosout, which is one for the process."""
    return LogCapture(tmp_path / "log.txt")


@pytest.hookimpl(hookwrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Begin ``log`` with the test itself: pytest turns the outputs to itself after the fixtures."""
    with pyfuncitem.funcargs.get("log") or contextlib.nullcontext():
        yield
