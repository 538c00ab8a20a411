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

"""The frames that an evaluation upscales as a bag, so that a node can be played the same ones.

In a self-referenced evaluation these are the degraded frames: what is played is what the engine
would be given offline, and the truth stays in the original bag, matched by header stamp.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.crop import Crop
from difiisr_ros.errors import DataError
from difiisr_ros.io.bags import CAMERA_INFO, BagReader, BagWriter, camera_info_topic_for
from difiisr_ros.lab.frames.degrade import SCALE
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED
from difiisr_ros.lab.frames.streams import SELF_REFERENCED, Sample, Stream
from difiisr_ros.messages.camera_info import crop_camera_info


def write_lr(
    streams: Sequence[Stream],
    path: str | os.PathLike[str],
    camera: CameraProfile = NOTHING_DECLARED,
) -> str:
    """Write the LR frames of a stream as a new bag, with their stamps and recording times.

    The camera's calibration is written once, cropped and reduced with the frames. These have been
    put right: whoever upscales them must not crop them again.

    Args:
        streams: One camera of one bag.
        path: The new bag.
        camera: What of the recorded frames is a measurement, as the streams were told.

    Returns:
        What was written, and what whoever plays it has to know.

    Raises:
        DataError: Several streams, files instead of a bag, stamps that are not unique, a frame
            that cannot be read, or a bag that cannot be written.
    """
    from tqdm import tqdm

    if len(streams) != 1:
        raise DataError(
            f"{len(streams)} cameras cannot be played as one: choose a topic "
            f"({', '.join(s.label for s in streams)})"
        )
    (stream,) = streams
    if stream.topic is None:
        raise DataError(
            f"{stream.label}: image files have no stamps to match results by; use a bag"
        )
    topic = stream.topic.removesuffix("/compressed")
    names: dict[int, str] = {}
    frame_id = ""
    with BagWriter(path) as writer:
        # disable=None: no bar where stderr is not a terminal (CI, a log file).
        for sample in tqdm(stream.samples(), total=len(stream), unit="frame", disable=None):
            if sample.stamp_ns in names:
                raise DataError(
                    f"{stream.label}: {names[sample.stamp_ns]} and {sample.name} have the same "
                    f"stamp, {sample.stamp_ns} ns, so that their results could not be told apart"
                )
            if not names:
                frame_id = _write_calibration(stream, topic, sample, writer, camera.crop)
            names[sample.stamp_ns] = sample.name
            writer.write_image(topic, sample.log_time_ns, sample.lr, _header(sample, frame_id))
        if not names:
            raise DataError(f"{stream.label}: has no frame to play")
    line = f"{len(names)} frames of {stream.label} -> {Path(path)}"
    if camera.of_the_scene() == camera:
        return line
    return (
        f"{line}\nmissing, crop, bad_pixels, pattern and byte_order are applied in it: play it "
        "into a node that has none of these"
    )


def _header(sample: Sample, frame_id: str) -> Any:
    sec, nanosec = divmod(sample.stamp_ns, 10**9)
    return SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec), frame_id=frame_id)


def _write_calibration(
    stream: Stream, topic: str, first: Sample, writer: BagWriter, crop: Crop
) -> str:
    """Write the camera's first ``CameraInfo``; returns its frame_id, empty where there is none."""
    info_topic = camera_info_topic_for(topic)
    with BagReader(stream.path, salvage=True) as reader:
        info = reader.first_camera_info(info_topic)
    if info is None:
        return ""
    info = crop_camera_info(info, crop)
    if stream.mode == SELF_REFERENCED:
        info = _reduced(info)
    writer.write(info_topic, CAMERA_INFO, first.log_time_ns, info)
    return str(info.header.frame_id)


def _reduced(info: Any) -> Any:
    """A ``CameraInfo`` of an image with a quarter of the pixels each way; pixel centres stay."""
    info = copy.deepcopy(info)
    info.width, info.height = info.width // SCALE, info.height // SCALE
    for matrix, lengths, centre in (
        (info.k, (0, 1, 4), (2, 5)),
        (info.p, (0, 1, 3, 5, 7), (2, 6)),
    ):
        if matrix[0] == 0.0:
            continue  # uncalibrated
        for i in lengths:
            matrix[i] /= SCALE
        for i in centre:
            matrix[i] = (matrix[i] + 0.5) / SCALE - 0.5
    for name in ("x_offset", "y_offset", "width", "height"):
        setattr(info.roi, name, getattr(info.roi, name) // SCALE)
    return info
