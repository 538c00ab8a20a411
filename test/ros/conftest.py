"""Fixtures of the tests that need ROS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from node_harness import LogCapture


@pytest.fixture(scope="session")
def golden_dir() -> Path:
    """Folder of recorded outputs of other programs; `DIFIISR_GOLDEN` says where else it is."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "golden"
    folder = Path(os.environ.get("DIFIISR_GOLDEN", beside))
    if not folder.is_dir():
        pytest.skip(f"no recorded outputs in {folder} (set DIFIISR_GOLDEN)")
    return folder


@pytest.fixture
def log(capfd) -> LogCapture:
    """What the nodes in this process log; not by way of /rosout, which is one for the process."""
    return LogCapture(capfd)
