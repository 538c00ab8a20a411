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

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.crop import Crop
from difiisr_ros.core.missing import filled
from difiisr_ros.core.oddities import FrameCheck
from difiisr_ros.core.reading import read
from difiisr_ros.errors import DataError, FrameError
from difiisr_ros.io.frame_files import FramePlace, FrameReader
from difiisr_ros.io.not_used import notices
from difiisr_ros.io.stack import ReadOptions
from difiisr_ros.lab.frames.degrade import SCALE, to_dtype

_log = logging.getLogger(__name__)

#: Every pixel of every frame is a measurement.
NOTHING_DECLARED = CameraProfile()


def put_right(
    frame: np.ndarray, camera: CameraProfile, missing: np.ndarray | None = None
) -> np.ndarray:
    """A frame (H x W) cropped and filled in, of its own type; the frame itself where all is well.

    Args:
        frame: as the camera has it.
        camera: what of it is a measurement.
        missing: mask of further pixels that are none.

    Raises:
        FrameError: nothing is left of it, or no pixel of it is a measurement.
    """
    reading = read(frame, camera, missing)
    if reading.scene is reading.frame:
        return reading.frame
    return to_dtype(filled(reading.scene), frame.dtype)


def reader_for(camera: CameraProfile) -> FrameReader:
    """What reads the files of a camera, for :func:`read_right`."""
    return FrameReader(ReadOptions(byte_order=camera.byte_order), camera.missing)


@contextmanager
def reading(
    camera: CameraProfile, source: Path, not_used: Sequence[tuple[str, str]] = ()
) -> Iterator[FrameReader]:
    """A reader of a camera's files, which logs in the end what of ``source`` was not used.

    Args:
        camera: see :func:`reader_for`.
        source: what was given.
        not_used: what is not even read, see :class:`difiisr_ros.io.frame_files.FoundFrames`.
    """
    with reader_for(camera) as reader:
        yield reader
    for notice in notices(source, [*not_used, *reader.unused]):
        _log.warning("%s", notice)


def read_right(
    place: FramePlace,
    camera: CameraProfile,
    reader: FrameReader,
    look: Callable[[np.ndarray, str], object] = lambda frame, order: None,
) -> np.ndarray:
    """A stored frame, put right.

    Args:
        place: of the frame.
        camera: what of it is a measurement.
        reader: of :func:`reader_for`.
        look: is shown the frame before, and the order of its bytes.

    Raises:
        DataError: it cannot be read, or nothing of it is a measurement.
    """
    stored = reader.read(place)
    look(stored.image, stored.order)
    try:
        return put_right(stored.image, camera, stored.missing)
    except FrameError as error:
        raise DataError(f"{place}: {error}") from error


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
