"""Names of topics as ROS accepts them in a remapping. No ROS here."""

from __future__ import annotations

import re

from difiisr_ros.errors import OptionError

#: Parts of letters, digits and underscores that begin with no digit; ``~/`` is the node's own name.
_TOPIC = re.compile(r"(?:~/|/)?[A-Za-z_]\w*(?:/[A-Za-z_]\w*)*", re.ASCII)


def check_topic(argument: str, name: str) -> str:
    """The name, if a topic can have it.

    Args:
        argument: of the launch file, for the message.
        name: of the topic.

    Raises:
        OptionError: No topic can have this name.
    """
    if _TOPIC.fullmatch(name) is None or "__" in name:
        raise OptionError(
            f"{argument}:={name}: is no name of a topic; accepted are parts of letters, digits and "
            "single underscores, none of which begins with a digit, with / between them, for "
            "example /thermal/image_raw"
        )
    return name
