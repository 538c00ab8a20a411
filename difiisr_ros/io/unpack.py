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

"""Unpacks what is compressed in a bag, within bounds: a kilobyte may be gigabytes of zeros."""

from __future__ import annotations

import bz2
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from difiisr_ros.errors import DataError

#: Most bytes of one message, or of one chunk of messages (which has a few MB otherwise).
LARGEST = 256 << 20
#: Bytes that unpacking a file leaves free on its disk.
LEFT_FREE = 1 << 30
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BLOCK = 1 << 20


class TooLargeError(DataError):
    """What would be unpacked is larger than accepted."""


def unzstd(data: Any, limit: int = LARGEST) -> bytes:
    """Unpack zstd's format.

    Raises:
        TooLargeError: it gives, or claims to give, more than ``limit`` bytes.
        zstandard.ZstdError: damaged.
    """
    import zstandard

    claimed = zstandard.frame_content_size(data)
    if claimed > limit:
        raise _too_large(limit)
    if claimed >= 0:
        return zstandard.ZstdDecompressor().decompress(data)
    # The writer did not know the size: nothing is known before it is unpacked, bit by bit.
    found: list[bytes] = []
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        while block := reader.read(_BLOCK):
            found.append(block)
            if len(found) * _BLOCK > limit + _BLOCK:
                raise _too_large(limit)
    return b"".join(found)


def unlz4(data: Any, limit: int = LARGEST) -> bytes:
    """Unpack an lz4 frame; as :func:`unzstd`."""
    import lz4.frame

    return _limited(lz4.frame.LZ4FrameDecompressor(), data, limit)


def unbz2(data: Any, limit: int = LARGEST) -> bytes:
    """Unpack bz2's format; as :func:`unzstd`."""
    return _limited(bz2.BZ2Decompressor(), data, limit)


def _limited(decompressor: Any, data: Any, limit: int) -> bytes:
    found: bytes = decompressor.decompress(data, max_length=limit + 1)
    if len(found) > limit:
        raise _too_large(limit)
    if not decompressor.eof:
        raise ValueError("compressed data ends early")
    return found


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"unpacks to more than {limit / 2**20:g} MB, which is accepted")


def unpack_file(path: Path, folder: Path, room: int | None = None) -> str:
    """Unpack ``x.mcap.zstd`` as ``x.mcap`` in another folder, as far as it is whole.

    Args:
        path: The file.
        folder: Where its content goes.
        room: Bytes that it may have; None: what is free there, but 1 GB.

    Returns:
        What is damaged, in a sentence, or nothing.

    Raises:
        TooLargeError: there is no room for it.
        DataError: it cannot be read or written.
    """
    import zstandard

    if room is None:
        room = max(shutil.disk_usage(folder).free - LEFT_FREE, 0)
    target = folder / path.name.removesuffix(".zstd")
    done = 0
    try:
        with path.open("rb") as source, target.open("wb") as sink:
            for block in zstandard.ZstdDecompressor().read_to_iter(source):
                done += len(block)
                if done > room:
                    raise TooLargeError(
                        f"{path}: unpacks to more than the {room / 2**20:.4g} MB that {folder} has "
                        "room for; set TMPDIR to a folder with more, or unpack it by 'zstd -d'"
                    )
                sink.write(block)
    except zstandard.ZstdError as error:
        return f"{path.name} cannot be unpacked to its end: {error}"
    except OSError as error:
        raise DataError(f"{path}: cannot be unpacked: {error.strerror}") from error
    return ""


def bound_rosbags() -> None:
    """Put these functions in the place of rosbags' own for chunks, which take any size.

    Its readers look them up by the name of the compression; nothing else of rosbags is touched.
    """
    from rosbags.rosbag1 import reader as rosbag1
    from rosbags.rosbag2 import storage_mcap

    chunks: dict[str, Callable[[bytes, int], bytes]] = storage_mcap.DECOMPRESSORS
    chunks["zstd"] = lambda data, size: unzstd(data, min(size, LARGEST))
    chunks["lz4"] = lambda data, size: unlz4(data, min(size, LARGEST))
    rosbag1.decompressors.update(bz2=unbz2, lz4=unlz4)
