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

"""Videos, frame by frame: gray ones as they are stored, colour ones by their 8-bit luma.

FFmpeg in OpenCV decodes them. It hands out 8-bit colour whatever a file holds, unless it is asked
for the pixels as they are, which it has of gray ones alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.errors import DataError
from difiisr_ros.io.colour import one_channel
from difiisr_ros.io.stack import Part, ReadOptions, Stack
from difiisr_ros.messages.opencv import quiet

#: Endings of files that are taken for videos.
VIDEO_SUFFIXES = (".avi", ".mp4", ".mkv", ".mov")
#: FFmpeg's names of pixel formats that OpenCV leaves as they are.
_GRAY = {b"Y800": np.uint8, b"Y1\0\x10": np.uint16}
#: And of those with 8 bits a channel.
_COLOUR = (
    b"I420", b"IYUV", b"YV12", b"NV12", b"NV21", b"YUY2", b"UYVY", b"Y42B", b"422P", b"444P",
    b"411P", b"RGB\x18", b"BGR\x18",
)  # fmt: skip
#: Frames, and share of them, that may be fewer than a file says without being missed.
_SLACK, _SLACK_OF_DURATION = (1, 0.01), (2, 0.05)
_MOST_FRAMES = 1e9
_ACCEPTED = "accepted are videos of 8 bits, and gray ones of 16"
_BESIDE = "a video's times, and sound if it has any"
_PICTURES = f"{_BESIDE} (its 8 bits are pictures, no temperatures)"


def open_video(path: Path, options: ReadOptions) -> Stack:
    """Open a video; its frames are read in order, and counted first.

    Raises:
        DataError: it cannot be decoded, holds more than 8 bits in colour, or frames too large.
    """
    name = str(path)
    capture, kind = _opened(path)
    width, height = _size(capture)
    options.check_size(width, height, name)
    count, end = 0, 0.0
    with quiet():
        while capture.grab():
            count += 1
            end = _position(capture)
    lacks = _lacks(path, capture, count, end)
    capture.release()
    if not count:
        raise DataError(f"{name}: no frame of the video can be decoded")
    unused = [_BESIDE if kind == np.uint16 else _PICTURES]
    state: dict[str, Any] = {"next": count}

    def read(index: int) -> np.ndarray:
        if index < state["next"]:
            if "capture" in state:
                state["capture"].release()
            state["capture"], state["next"] = _opened(path)[0], 0
        while state["next"] < index:
            state["capture"].grab()
            state["next"] += 1
        with quiet():
            whole, image = state["capture"].read()
        state["next"] += 1
        if not whole:
            raise DataError(f"{name}: frame {index + 1} of {count} cannot be decoded")
        if kind is None:
            return one_channel(image[..., ::-1], name, unused)
        if kind == np.uint8 and image.ndim == 3:  # by OpenCV before 4.6: three times the same
            image = np.ascontiguousarray(image[..., 0])
        if image.ndim != 2 or image.dtype != kind:
            raise DataError(
                f"{name}: says gray {np.dtype(kind)}, and this OpenCV ({_opencv()}) decodes it as "
                f"{image.dtype} {image.shape}; 4.6 and newer leave it as it is"
            )
        return image

    stack = Stack(name, "VIDEO", [Part(count, flat=count == 1)], read, unused, lacks)
    stack.closing.callback(lambda: state["capture"].release() if "capture" in state else None)
    return stack


def _position(capture: Any) -> float:
    """When the frame that was grabbed is shown, seconds."""
    import cv2

    return float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000.0


def _lacks(path: Path, capture: Any, count: int, end: float) -> list[str]:
    """What the file says it has and has not.

    Both the number of frames and the time of the last one have to fall short: frames that a
    recorder dropped are counted by some containers, and a Matroska file has a duration alone.

    Args:
        path: of the video.
        capture: of it, as it was opened.
        count: frames that could be read.
        end: when the last one is shown, seconds.
    """
    import cv2

    said = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rate = capture.get(cv2.CAP_PROP_FPS)
    if not (0 < said < _MOST_FRAMES and rate > 0):  # it does not say
        return []
    counted = path.suffix.lower() != ".mkv"
    least, share = _SLACK if counted else _SLACK_OF_DURATION
    slack = max(least, share * said)
    if said - count <= slack or said - 1 - end * rate <= slack:
        return []
    how = f"has {said:.0f} frames" if counted else f"lasts as long as {said:.0f} frames"
    return [f"{path}: says that it {how}, and {count} can be read; it is truncated or damaged"]


def _opencv() -> str:
    import cv2

    return str(cv2.__version__)


def _size(capture: Any) -> tuple[int, int]:
    import cv2

    sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
    width, height = (int(capture.get(side)) for side in sides)
    return width, height


def _opened(path: Path) -> tuple[Any, Any]:
    """A reader at the first frame, and the type of gray pixels; None for colour.

    Raises:
        DataError: it is no video that can be decoded, or not without losing values.
    """
    import cv2

    if not path.stat().st_size:
        raise DataError(f"{path}: is empty (0 bytes; {_ACCEPTED})")
    with quiet():
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    if not capture.isOpened():
        raise DataError(f"{path}: cannot be decoded as video; {_ACCEPTED}")
    name = int(capture.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)).to_bytes(4, "little", signed=False)
    if name in _GRAY:
        capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        return capture, _GRAY[name]
    if name not in _COLOUR:
        capture.release()
        raise DataError(f"{path}: is a video of pixel format {name!r}; {_ACCEPTED}")
    return capture, None
