"""Threads that wait do not keep others from running, unless the user wants it so."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "spins"),
    [
        ({}, "1000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_the_users_choice_is_kept(given, spins):
    environment = {k: v for k, v in os.environ.items() if k[:4] not in ("GOMP", "OMP_")}
    code = "import difiisr_ros, os; print(os.environ.get('GOMP_SPINCOUNT'))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, **given},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == spins
