"""Image topics of a bag that are no thermal camera's: colour and depth, as a rig records them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from difiisr_ros.io.bags import BagReader

COLOUR, DEPTH = "colour", "depth"
#: Depth is 16UC1 like thermal counts; its topics say what they are (REP 118).
_DEPTH_NAME = re.compile(r"(^|[/_])(depth|disparity)", re.IGNORECASE)


def other_cameras(reader: BagReader, topics: Sequence[str]) -> dict[str, str]:
    """Those of some image topics that are not to be upscaled unless they are named.

    Args:
        reader: the bag; it is left as it is.
        topics: of images. One alone is what the bag was recorded for, whatever it shows.

    Returns:
        Topic -> :data:`COLOUR` (its first frame has channels that differ) or :data:`DEPTH`.
    """
    if len(topics) < 2:
        return {}
    found = {topic: DEPTH for topic in topics if _DEPTH_NAME.search(topic)}
    with BagReader(reader.path, salvage=True) as apart:  # what it notices is not the reader's
        for topic in (topic for topic in topics if topic not in found):
            frames = apart.read_images(topic, on_error=lambda *_what_is_unusable: None)
            first = next(frames, None)
            if first and any(notice.cause == "colour_input" for notice in first.format.notices):
                found[topic] = COLOUR
    return found
