"""Memory stays bounded over 1,500 sizes of frames."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")

from difiisr_ros.onednn import CAPACITY, VARIABLE

#: A layer as the network has them, at 1,500 sizes: MB that a process grows by after the first 100.
GROWTH = """
import ctypes, random, sys
import difiisr_ros
import torch
def resident():
    ctypes.CDLL(None).malloc_trim(0)
    line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024
torch.set_num_threads(1)
layer = torch.nn.Conv2d(16, 16, 3, padding=1).to(memory_format=torch.channels_last)
sizes = [(16 + i % 40, 16 + i // 40) for i in range(1500)]
random.Random(0).shuffle(sizes)
with torch.inference_mode():
    for number, size in enumerate(sizes):
        if number == 100:
            first = resident()
        layer(torch.ones(1, 16, *size).to(memory_format=torch.channels_last))
print(resident() - first)
"""


def growth(**environment: str) -> float:
    free = {k: v for k, v in os.environ.items() if k != VARIABLE}
    done = subprocess.run(
        [sys.executable, "-c", GROWTH], env={**free, **environment}, capture_output=True, text=True,
        check=True, timeout=170,
    )  # fmt: skip
    return float(done.stdout)


def test_compiled_layers_of_old_sizes_are_given_back():
    ours = growth()
    theirs = growth(**{VARIABLE: "1500"})
    print(f"{ours:.1f} MB with at most {CAPACITY} kept, {theirs:.1f} MB with all")
    assert ours < 30
    assert ours < 0.85 * theirs


@pytest.mark.parametrize(("given", "expected"), [(None, str(CAPACITY)), ("7", "7")])
def test_it_is_set_before_pytorch_asks_unless_the_user_did(given, expected):
    free = {k: v for k, v in os.environ.items() if k != VARIABLE}
    code = f"import difiisr_ros, os; print(os.environ[{VARIABLE!r}])"
    given_too = {} if given is None else {VARIABLE: given}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**free, **given_too}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stdout.strip() == expected
