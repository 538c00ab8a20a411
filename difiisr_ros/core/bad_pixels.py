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

"""Files of bad pixels: a picture as large as the camera's frames, black where pixels measure."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from difiisr_ros.errors import DataError

_ACCEPTED = (
    "accepted is a gray picture (PNG) of the camera's size: 0 for pixels that measure, anything "
    "else for those that do not"
)


def read_bad_pixels(path: str | Path) -> np.ndarray:
    """The mask in a file, H x W bool: True for a pixel that does not measure.

    Raises:
        DataError: missing, no picture, in colour, or no pixel is left; names the file.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the bad pixels cannot be read: {error.strerror}") from error
    image = None
    if data:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise DataError(f"{path}: the bad pixels are no picture; {_ACCEPTED}")
    if image.ndim == 3 and (image[..., :3] == image[..., :1]).all():
        image = image[..., 0]
    if image.ndim != 2:
        raise DataError(f"{path}: the bad pixels are in colour; {_ACCEPTED}")
    mask = image != 0
    if mask.all():
        raise DataError(f"{path}: calls every pixel bad; {_ACCEPTED}")
    return mask


def write_bad_pixels(path: str | Path, mask: np.ndarray) -> None:
    """Write a mask (H x W, bool) as such a file; atomic.

    Raises:
        DataError: it cannot be written.
    """
    from difiisr_ros.atomic_write import write_atomically

    _, data = cv2.imencode(".png", np.where(mask, 255, 0).astype(np.uint8))
    write_atomically(path, data.tobytes())
