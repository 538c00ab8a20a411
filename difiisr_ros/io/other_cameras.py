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
