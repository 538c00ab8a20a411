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

"""One interface to where frames come from: an image, a folder, a bag, or the synthetic scene.

A source can be gone through as often as wanted, always from its beginning. What it yields is
ready to be published or upscaled: a 2-D array and what is known about it.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from difiisr_ros.core.camera_profile import AUTO, CameraProfile
from difiisr_ros.errors import DataError, DifiisrError
from difiisr_ros.io.bags import BagReader, camera_info_topic_for, is_bag
from difiisr_ros.io.frame_files import FramePlace
from difiisr_ros.io.images import FRAME_SUFFIXES, list_files
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.io.numbers import to_computed
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.recorded_results import sort_topics
from difiisr_ros.io.stack import ReadOptions
from difiisr_ros.scene.street import SyntheticScene

_log = logging.getLogger(__name__)

#: The name of the synthetic scene where a path could stand.
SYNTHETIC = "synthetic"


@dataclass(frozen=True)
class SourceFrame:
    """One frame of a source."""

    image: np.ndarray
    """Height x width, uint8, uint16 or float32."""
    name: str
    """File name, or topic and number: what a message about the frame calls it."""
    index: int
    """Number of the frame in the source, from 0."""
    frame_id: str = ""
    """The coordinate frame that the source names, or empty."""
    stamp_ns: int | None = None
    """The recorded header's stamp; None where nothing was recorded."""
    log_time_ns: int | None = None
    """When a bag's recorder received the frame."""


class Intrinsics(NamedTuple):
    """A pinhole camera without distortion, pixels; (0, 0) is the centre of the first pixel."""

    fx: float
    fy: float
    cx: float
    cy: float


def assumed_intrinsics(width: int, height: int) -> Intrinsics:
    """A horizontal field of view of 57 degrees, as a Lepton 3.5 has, and a centred axis."""
    focal = 0.5 * width / math.tan(math.radians(57.0 / 2))
    return Intrinsics(focal, focal, 0.5 * (width - 1), 0.5 * (height - 1))


class FrameSource(Protocol):
    """Where frames come from."""

    name: str
    slow: bool
    """Whether a frame may take longer than a camera's period, so that a player should go through
    the source once before it plays it."""

    @property
    def left_out(self) -> dict[str, str]:
        """Of each file or message so far that could not be used, its name and why."""

    def frames(self) -> Iterator[SourceFrame]:
        """Yield all frames, from the first.

        Raises:
            DataError: The source cannot be read any more, or no frame of it is usable.
        """
        ...

    def camera_info(self) -> Any | None:
        """The camera's calibration where the source has one (fields of ``CameraInfo``)."""
        ...

    def intrinsics(self, width: int, height: int) -> Intrinsics:
        """What to say of the camera where :meth:`camera_info` is None, for frames of this size."""
        ...


def open_source(
    source: str | os.PathLike[str],
    *,
    width: int = 160,
    height: int = 120,
    seed: int = 0,
    topic: str | None = None,
    limit: int | None = None,
    byte_order: str = AUTO,
) -> FrameSource:
    """Open a source of frames.

    Args:
        source: ``synthetic``, or the path of an image, a folder of images, or a bag.
        width, height, seed: For the synthetic scene.
        topic: Which image topic of a bag; None for its only one.
        limit: No more frames than this will be asked for (saves rendering).
        byte_order: Of pixels of several bytes: ``little``, ``big``, or ``auto``, as these say.

    Raises:
        DataError: No such path, or nothing in it that can be used.
        OptionError: A synthetic scene that cannot be rendered.
    """
    if str(source) == SYNTHETIC:
        return SyntheticSource(width, height, seed, limit)
    path = Path(source)
    if not path.exists():
        raise DataError(
            f"{path}: no such file or folder; accepted are '{SYNTHETIC}', an image, a folder of "
            "images, or a bag"
        )
    if is_bag(path):
        return BagSource(path, topic, byte_order)
    return ImageSource(path, ReadOptions(byte_order=byte_order))


class ImageSource:
    """A file, or the files of a folder in the order of their names; of each every frame.

    Files that cannot be read are left out with a warning, once each; sizes may differ.
    """

    slow = False

    def __init__(self, path: str | os.PathLike[str], options: ReadOptions | None = None) -> None:
        path = Path(path)
        self._options = options or ReadOptions()
        self.name = str(path)
        if path.is_file() and path.suffix.lower() not in FRAME_SUFFIXES:
            raise DataError(f"{path}: is neither a folder, a bag, nor one of {FRAME_SUFFIXES}")
        self._paths = list_files(path)
        self._left_out = LeftOut()
        self.lacks: list[str] = []
        """What files so far say that they have and have not; logged."""

    @property
    def left_out(self) -> dict[str, str]:
        """See :class:`FrameSource`."""
        return dict(self._left_out.items)

    def frames(self) -> Iterator[SourceFrame]:
        """See :class:`FrameSource`."""
        usable, index = False, 0
        for path in self._paths:
            if path.name in self._left_out:
                index += 1
                continue
            try:
                with open_stack(path, self._options) as stack:
                    self._say(stack.lacks)
                    for number, image in enumerate(stack.frames()):
                        name = FramePlace(path, number, stack.count).name
                        usable = True
                        yield SourceFrame(to_computed(image, stack.name), name, index)
                        index += 1
            except DataError as error:
                if len(self._paths) == 1:
                    raise
                self._left_out.add(path.name, error)
                index += 1
        if not usable:
            raise DataError(f"{self.name}: none of its {len(self._paths)} images can be read")

    def _say(self, lacks: list[str]) -> None:
        for sentence in lacks:
            if sentence not in self.lacks:
                self.lacks.append(sentence)
                _log.warning("%s", sentence)

    def camera_info(self) -> None:
        """Image files carry none."""
        return None

    def intrinsics(self, width: int, height: int) -> Intrinsics:
        """See :class:`FrameSource`."""
        return assumed_intrinsics(width, height)


class BagSource:
    """One image topic of a bag. Messages without a usable frame are left out with a warning.

    Raises:
        DataError: Not a bag, no image topic, or several where none was named.
    """

    slow = False

    def __init__(
        self, path: str | os.PathLike[str], topic: str | None = None, byte_order: str = AUTO
    ) -> None:
        self._byte_order = byte_order
        self._path = Path(path)
        with BagReader(self._path, salvage=True) as reader:
            self.topic = choose_topic(reader, topic)
            self._info = reader.first_camera_info(camera_info_topic_for(self.topic))
            self._said: set[str] = set()
            self._say(reader)
        self.name = f"{self._path} {self.topic}"
        self.left_out: dict[str, str] = {}

    def frames(self) -> Iterator[SourceFrame]:
        """See :class:`FrameSource`."""
        count = 0
        problems: list[DifiisrError] = []

        def left_out(topic: str, log_time: int, error: DifiisrError) -> None:
            if not problems:
                _log.warning("%s: left out: %s (said once)", self._path, error)
            problems.append(error)
            self.left_out[f"{topic} at {log_time}"] = str(error)

        with BagReader(self._path, salvage=True, byte_order=self._byte_order) as reader:
            for record in reader.read_images(self.topic, on_error=left_out):
                # A view into the message would keep only bytes that are read-only and foreign.
                name = f"{record.topic} {count}"
                header = record.message.header
                stamp = header.stamp.sec * 10**9 + header.stamp.nanosec
                image, log_time = np.array(record.frame), record.log_time_ns
                self._say(reader)
                yield SourceFrame(image, name, count, header.frame_id, stamp, log_time)
                count += 1
            self._say(reader)
        if count == 0:
            reason = f", the first because: {problems[0]}" if problems else ""
            raise DataError(f"{self.name}: has no usable frame{reason}")

    def _say(self, reader: BagReader) -> None:
        """Log what there is to know about the bag, once."""
        for notice in reader.notices:
            if notice not in self._said:
                self._said.add(notice)
                _log.warning("%s", notice)

    def camera_info(self) -> Any | None:
        """The first message of the image topic's sibling ``camera_info``, or None."""
        return self._info

    def intrinsics(self, width: int, height: int) -> Intrinsics:
        """See :class:`FrameSource`."""
        return assumed_intrinsics(width, height)


def choose_topic(reader: BagReader, topic: str | None) -> str:
    """The image topic to read of a bag: the named one, or the only one with a camera's frames.

    Raises:
        DataError: It has none, not this one, or several and none was named.
    """
    if topic is not None:
        return reader.check_image_topic(topic)
    known = reader.image_topics()
    found = sort_topics(reader).cameras if len(known) > 1 else known
    if len(found) != 1:
        what = f"several image topics ({', '.join(known)}); name one" if known else "no image topic"
        raise DataError(f"{reader.path}: has {what}")
    if len(known) > 1:
        _log.warning(
            "%s: %s is read, and not what is there beside it, results, colour or depth: %s",
            reader.path, found[0], ", ".join(t for t in known if t not in found),
        )  # fmt: skip
    return found[0]


class SyntheticSource:
    """The synthetic scene's loop as a real camera sees it, rendered once: again costs no time.

    Raises:
        OptionError: A size that cannot be rendered.
    """

    slow = True

    def __init__(
        self, width: int = 160, height: int = 120, seed: int = 0, limit: int | None = None
    ) -> None:
        self.scene = SyntheticScene(width, height, seed=seed, real_camera=True)
        self.name = f"{SYNTHETIC} {width}x{height}"
        self._count = min(self.scene.period, limit or self.scene.period)
        self._rendered: list[np.ndarray] = []
        self.left_out: dict[str, str] = {}

    def frames(self) -> Iterator[SourceFrame]:
        """See :class:`FrameSource`; each frame is rendered the first time it is asked for."""
        for index in range(self._count):
            if index == len(self._rendered):
                self._rendered.append(self.scene.frame(index)[0])
            yield SourceFrame(self._rendered[index], f"{SYNTHETIC} {index}", index)

    def truth(self, index: int) -> np.ndarray:
        """The noiseless x4 truth of frame ``index``, uint16 counts."""
        return self.scene.truth(index)

    @property
    def profile(self) -> CameraProfile | None:
        """Noise and blur of the simulated camera."""
        return self.scene.profile

    def camera_info(self) -> None:
        """None: a simulated camera has no calibration message."""
        return None

    def intrinsics(self, width: int, height: int) -> Intrinsics:
        """Those of the camera that the scene is rendered with."""
        return Intrinsics(*self.scene.intrinsics)
