"""Where things stand in the repository, whatever folder a test file is in."""

from __future__ import annotations

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
#: Twenty real frames of 320x256, 8 bits, that every clone has; see their README.
DRONE_FRAMES = REPOSITORY / "test" / "fixtures" / "hit_uav"
