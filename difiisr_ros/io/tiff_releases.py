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

"""What older releases of tifffile lack, Ubuntu 22.04's among them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np


def write_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of ``tifffile.TiffWriter.write`` as the installed release takes them.

    Args:
        arguments: as releases from 2022.7 on take them, ``compression`` and ``compressionargs``
            with its level among them.
    """
    import tifffile

    if "compressionargs" in inspect.signature(tifffile.TiffWriter.write).parameters:
        return arguments
    older = dict(arguments)
    older["compression"] = (older["compression"], older.pop("compressionargs")["level"])
    unit = older.pop("resolutionunit", None)
    if unit is not None:
        older["resolution"] = (*older["resolution"], unit)
    return older


def unpacked(tiff: Any, page: Any) -> np.ndarray | None:
    """A page of 10, 12 or 14 bits a sample, or None if it is not plain gray in strips.

    Returns:
        H x W, uint16; None too where less is in the file than that.
    """
    height, width, bits = page.imagelength, page.imagewidth, page.bitspersample
    if page.compression != 1 or page.samplesperpixel != 1 or page.is_tiled or page.fillorder != 1:
        return None
    data = b""
    for offset, count in zip(page.dataoffsets, page.databytecounts):
        tiff.filehandle.seek(offset)
        data += tiff.filehandle.read(count)
    row = (width * bits + 7) // 8  # bytes; each row begins with a byte
    if len(data) != height * row:
        return None
    digits = np.unpackbits(np.frombuffer(data, np.uint8)).reshape(height, row * 8)
    samples = digits[:, : width * bits].reshape(height, width, bits)
    values = np.zeros((height, width), np.uint16)
    for digit in range(bits):
        values = values << 1 | samples[..., digit]
    return values
