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

"""How threads of PyTorch wait for each other, where it is not said already.

GNU OpenMP lets the threads of a process's main thread spin for milliseconds at the end of every
loop. With a core for each that is fast; with one core taken by another process, the thread that
spins keeps the one that it waits for from running, and every loop of a network costs a time slice:
a frame took 700 ms instead of 30. A short spin costs nothing measurable on an idle machine.
"""

from __future__ import annotations

import os

SPINS = "1000"  # some microseconds


def wait_politely() -> None:
    """Set ``GOMP_SPINCOUNT`` unless the user chose how to wait; before PyTorch is imported."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
