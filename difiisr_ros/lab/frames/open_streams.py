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

"""What is named on a command line as streams of frames: folders and bags."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.bags import is_bag
from difiisr_ros.lab.frames.bag_stream import bag_streams
from difiisr_ros.lab.frames.folder_stream import FolderStream
from difiisr_ros.lab.frames.streams import Stream, StreamOptions


def open_streams(paths: Sequence[Path], options: StreamOptions) -> list[Stream]:
    """Find what to evaluate in folders and bags.

    Args:
        paths: Folders of HR frames, folders with ``HR/`` and ``LR/``, and bags. What ``options``
            says about bags (topics, window of time) must have a bag to refer to.
        options: Which frames, and what their truth is.

    Raises:
        DataError: No such path, or nothing in it that can be used.
        OptionError: Options that the data have no use for.
    """
    streams: list[Stream] = []
    seen: dict[Path, Path] = {}
    for path in paths:
        if seen.setdefault(path.resolve(), path) is not path:
            raise DataError(f"{path}: is named twice, its frames would count double")
        if path.exists() and is_bag(path):
            streams += bag_streams(path, options)
            continue
        if options.for_bags:
            name, value = next(iter(options.for_bags.items()))
            raise OptionError(f"{path} is not a bag, so {name} {value!r} has nothing to refer to")
        streams.append(FolderStream(path, options))
    modes = {stream.mode: stream for stream in streams}
    if len(modes) > 1:
        words = ", ".join(f"{stream.path} is {mode}" for mode, stream in modes.items())
        raise DataError(f"figures of different kinds cannot be averaged, evaluate apart: {words}")
    return streams
