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

"""How many compiled convolutions oneDNN, PyTorch's library on CPUs, keeps.

It compiles every layer for every size of frame, and keeps the newest 1024: 50 sizes of ``lite``,
which are never used again where tiles or crops change the size. A size takes some twenty.
"""

from __future__ import annotations

import os

VARIABLE = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"
CAPACITY = 256  # a dozen sizes


def bound_primitive_cache() -> None:
    """Set how many are kept unless the user did; before the first layer is computed."""
    os.environ.setdefault(VARIABLE, str(CAPACITY))
