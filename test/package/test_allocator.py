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

"""Large buffers are kept: what a frame has used is there for the next one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import os, sys, threading
import numpy as np
from difiisr_ros.allocator import keep_large_buffers
if sys.argv[1] == "keep" and not keep_large_buffers():
    print("no"); sys.exit()
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
def work():
    buffer = np.ones(3 << 20)  # 24 MB
before = resident()
if sys.argv[2] == "main":
    work()
else:
    thread = threading.Thread(target=work)
    thread.start(); thread.join()
print(resident() - before)
"""


def _kept(how: str, thread: str) -> str:
    command = [sys.executable, "-c", CODE, how, thread]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="resident memory is in /proc")
@pytest.mark.parametrize("thread", ["main", "other"])
def test_a_freed_buffer_stays_for_the_next_frame(thread):
    kept = _kept("keep", thread)
    if kept == "no":
        pytest.skip("this C library has no mallopt")
    assert int(kept) >= 20  # MB that were used and freed
    assert int(_kept("plain", thread)) < 10  # what the C library does by itself
