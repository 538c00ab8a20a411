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

"""The argument that lets a command use what a stream knows and a frame does not."""

from __future__ import annotations

import argparse
from collections.abc import Hashable

from difiisr_ros.errors import OptionError
from difiisr_ros.stream_memory import AUTO, LEARN, NO_MEMORY, ON, MemoryOptions, StreamMemory

#: What ``--stream`` may be given -> the options that it stands for.
_PARTS = {
    "still": {"still": AUTO},
    "noise": {"noise": "running"},
    "pattern": {"pattern": LEARN},
    "motion": {"motion": ON},
}
_ALL = ",".join(_PARTS)


def add_stream_argument(parser: argparse._ActionsContainer) -> None:
    """Declare ``--stream``, which :func:`memory_options` reads."""
    parser.add_argument(
        "--stream",
        nargs="?",
        const=_ALL,
        default="",
        metavar="PART[,PART...]",
        help="frames follow each other in time, of one camera: use what those before one show of "
        "it. still: averages over time what stands still; noise: a running estimate; pattern: the "
        f"camera's fixed pattern is learnt while it moves; motion: results are averaged along the "
        f"camera's motion ({_ALL})",
    )


def memory_options(args: argparse.Namespace) -> MemoryOptions:
    """What ``--stream`` says; nothing of the stream without it.

    Raises:
        OptionError: a part that does not exist.
    """
    chosen: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in args.stream.split(","))):
        if part not in _PARTS:
            raise OptionError(f"--stream {args.stream}: no part {part!r}; accepted: {_ALL}")
        chosen |= _PARTS[part]
    return MemoryOptions(**chosen)


class StreamMemories:
    """A memory for each of the streams that a command upscales; none where none is asked for."""

    def __init__(self, options: MemoryOptions) -> None:
        self.options = options
        self._memories: dict[Hashable, StreamMemory] = {}

    def of(self, stream: Hashable) -> StreamMemory | None:
        """That of a stream: a topic, or a folder; it is made when it is asked for first."""
        if self.options == NO_MEMORY:
            return None
        return self._memories.setdefault(stream, StreamMemory(self.options))

    def forget(self) -> None:
        """Free what is remembered of every stream: its frames are done."""
        self._memories.clear()


NO_MEMORIES = StreamMemories(NO_MEMORY)
"""Every frame is looked at by itself."""
