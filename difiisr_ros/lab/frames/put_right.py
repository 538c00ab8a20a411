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

"""Recorded frames with what is no measurement put right, and what looks odd about them named.

A score compares pixels, and every method needs a picture without holes: a crop is cut off, and
missing and bad pixels get the mean of what is near, the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.crop import Crop
from difiisr_ros.core.missing import filled
from difiisr_ros.core.oddities import FrameCheck
from difiisr_ros.core.reading import read
from difiisr_ros.errors import DataError, FrameError
from difiisr_ros.io.left_out import read_finite
from difiisr_ros.lab.frames.degrade import SCALE, to_dtype

#: Every pixel of every frame is a measurement.
NOTHING_DECLARED = CameraProfile()


def put_right(frame: np.ndarray, camera: CameraProfile) -> np.ndarray:
    """A frame (H x W) cropped and filled in, of its own type; the frame itself where all is well.

    Raises:
        FrameError: nothing is left of it, or no pixel of it is a measurement.
    """
    reading = read(frame, camera)
    if reading.scene is reading.frame:
        return reading.frame
    return to_dtype(filled(reading.scene), frame.dtype)


def read_right(
    path: Path, camera: CameraProfile, look: Callable[[np.ndarray], object] = lambda frame: None
) -> np.ndarray:
    """A file's frame, put right; ``look`` is shown it as it is stored.

    Raises:
        DataError: it cannot be read, or nothing of it is a measurement.
    """
    frame = read_finite(path, camera.byte_order)
    look(frame)
    try:
        return put_right(frame, camera)
    except FrameError as error:
        raise DataError(f"{path}: {error}") from error


def truth_of(frame: np.ndarray, camera: CameraProfile) -> np.ndarray:
    """The truth (4H x 4W) of a recorded frame that is cropped, cropped as that."""
    return Crop(*(SCALE * pixels for pixels in camera.crop)).of(frame)


class OddityNotices:
    """Sentences on what looks odd about the frames of one stream, each once."""

    def __init__(self, label: str, camera: CameraProfile, every: int) -> None:
        self._label = label
        self._check = FrameCheck(camera, every)

    def of(self, frame: np.ndarray, name: str, order: str = "") -> list[str]:
        """What is new about a frame, before :func:`put_right`."""
        found = self._check.look(frame, order)
        return [f"{self._label}: {name}: {oddity.words}" for oddity in found]
