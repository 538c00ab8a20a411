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
