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

"""Memory stays bounded over 1,500 sizes of frames."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("torch")

from difiisr_ros import SuperResolver
from difiisr_ros.allocator import HolesGivenBack
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


#: MB of a process after 640 and after 1,408 sizes of frames: ten and 22 times 64.
RESIDENT = """
import random, sys
from difiisr_ros.allocator import keep_large_buffers
keep_large_buffers()
import numpy as np
from difiisr_ros import SuperResolver
resolver = SuperResolver.load("lite", "torch", "cpu", "fp32", num_threads=1)
sizes = [(16 + i % 40, 16 + i // 40) for i in range(1500)]
random.Random(0).shuffle(sizes)
for number, size in enumerate(sizes, 1):
    resolver.upscale(np.random.default_rng(number).integers(0, 65536, size).astype(np.uint16))
    if number in (640, 1408):
        line = next(line for line in open("/proc/self/status") if line.startswith("VmRSS"))
        print(int(line.split()[1]) / 1024)
"""


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_memory_does_not_grow_with_the_number_of_sizes():
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT], capture_output=True, text=True, check=True, timeout=390
    )
    early, late = map(float, done.stdout.split())
    print(f"{early:.1f} MB after 640 sizes, {late:.1f} MB after 1,408")
    assert late - early < 8  # 3; 16 where the holes are kept


def test_holes_are_given_back_after_many_sizes_and_not_before(monkeypatch):
    trimmed = []
    library = type("Library", (), {"malloc_trim": staticmethod(trimmed.append)})
    monkeypatch.setattr("difiisr_ros.allocator.ctypes.CDLL", lambda _: library)
    resolver = SuperResolver.load(backend="bicubic")
    for side in [8, 9, 10] * 40:
        resolver.upscale(np.eye(side, dtype=np.uint8))
    assert trimmed == []
    for side in range(8, 8 + HolesGivenBack.AFTER):
        resolver.upscale(np.eye(side, dtype=np.uint8))
    assert trimmed == [0]


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
