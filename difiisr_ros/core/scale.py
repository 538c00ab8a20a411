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

"""How many times larger results are than frames. A file of its own: it needs no PyTorch."""

from __future__ import annotations

SCALE = 4
"""What the networks compute."""

SCALES = (4, 2, 1)
"""What can be had: x2 and x1 are the means of 2x2 and 4x4 pixels of x4."""
SCALES_IN_WORDS = ", ".join(map(str, SCALES))
