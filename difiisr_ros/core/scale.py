"""How many times larger results are than frames. A file of its own: it needs no PyTorch."""

from __future__ import annotations

SCALE = 4
"""What the networks compute."""

SCALES = (4, 2, 1)
"""What can be had: x2 and x1 are the means of 2x2 and 4x4 pixels of x4."""
SCALES_IN_WORDS = ", ".join(map(str, SCALES))
