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
