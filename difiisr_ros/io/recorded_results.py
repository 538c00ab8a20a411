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

"""Which image topics of a bag are results of an earlier upscale, whatever they are called.

Two marks, each sufficient: a name with ``/sr/`` in it, as the node and ``difiisr upscale`` give by
default; or the pictures themselves: four times or twice the size of another topic's with the same
stamps, and the same scene. A truth that was recorded beside a camera's frames has the second mark
too: upscaling it is no use either. Two cameras that are triggered together have equal stamps, but
see the scene from two places, or in another band. Results of another size, of a region, or as large
as the frames are known by their names alone: pictures cannot tell them from a camera's.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from typing import NamedTuple

import cv2
import numpy as np

from difiisr_ros.core.scale import SCALES
from difiisr_ros.io.bags import BagReader
from difiisr_ros.io.other_cameras import other_cameras

NAMESPACE = "sr"
_LOOKED_AT = 20  # messages a topic; the first of a recording often lack their results
_PAIRS = 3  # that are compared; more of a flat scene
_SIDE = 160  # pixels of what frames are reduced to, to be compared
_ALIKE = 0.95
"""Correlation of a frame and a picture, both reduced; results have 0.99, a second camera in another
place or band less than 0.9."""


class ImageTopics(NamedTuple):
    """Image topics of a bag."""

    cameras: list[str]
    """Of thermal cameras, sorted."""
    results: dict[str, str]
    """Topic -> what shows that it holds results."""
    others: dict[str, str]
    """Topic -> colour or depth, beside thermal cameras."""


class _Frame(NamedTuple):
    shape: tuple[int, ...]
    small: np.ndarray


def recorded_results(reader: BagReader, namespace: str = NAMESPACE) -> dict[str, str]:
    """Image topics that hold results -> what shows it, in words.

    Reads the beginning of the bag where names leave more than one topic.

    Args:
        reader: the bag.
        namespace: what results are called beside ``sr``.
    """
    topics = reader.image_topics()
    found = {}
    for topic in topics:
        for name in (NAMESPACE, namespace):
            if name in topic.split("/")[:-1]:
                found[topic] = f"named /{name}/"
    if len(topics) - len(found) > 1:
        frames = _beginning(reader, len(topics))
        # The largest scale first: x4 is also x2 of a result of x2.
        for scale in sorted(set(SCALES) - {1}, reverse=True):
            for topic, camera in itertools.permutations(frames, 2):
                known = topic in found
                if not known and _shows_the_same(frames[topic], frames[camera], scale):
                    found[topic] = f"{camera} x{scale}"
    return found


def sort_topics(reader: BagReader, namespace: str = NAMESPACE) -> ImageTopics:
    """A bag's image topics by what they are; arguments as of :func:`recorded_results`."""
    results = recorded_results(reader, namespace)
    topics = [topic for topic in reader.image_topics() if topic not in results]
    others = other_cameras(reader, topics)
    return ImageTopics([topic for topic in topics if topic not in others], results, others)


def _beginning(reader: BagReader, topics: int) -> dict[str, dict[int, _Frame]]:
    """The first frames of all topics, reduced, by topic and stamp."""
    frames: dict[str, dict[int, _Frame]] = defaultdict(dict)
    with BagReader(reader.path, salvage=True) as apart:  # what it notices is not the reader's
        records = apart.read_images(on_error=lambda *_what_is_unusable: None)
        for record in itertools.islice(records, topics * _LOOKED_AT):
            stamp = record.message.header.stamp
            known = frames[record.topic]
            known.setdefault(stamp.sec * 10**9 + stamp.nanosec, _reduce(record.frame))
    return dict(frames)


def _reduce(frame: np.ndarray) -> _Frame:
    small: np.ndarray = frame.astype(np.float32)
    share = _SIDE / max(frame.shape)
    if share < 1:
        size = tuple(max(1, round(share * side)) for side in frame.shape[::-1])
        small = cv2.resize(small, size, interpolation=cv2.INTER_AREA)
    return _Frame(frame.shape, small)


def _shows_the_same(pictures: dict[int, _Frame], frames: dict[int, _Frame], scale: int) -> bool:
    """Whether every picture that has a frame's stamp is that frame, ``scale`` times the size."""
    pairs = [(pictures[stamp], frames[stamp]) for stamp in pictures if stamp in frames]
    if any(a.shape != tuple(scale * side for side in b.shape) for a, b in pairs):
        return False
    alike = [_correlation(picture.small, frame.small) for picture, frame in pairs]
    told = [value for value in alike if value is not None][:_PAIRS]
    return bool(told) and min(told) >= _ALIKE


def _correlation(picture: np.ndarray, frame: np.ndarray) -> float | None:
    """Of the pixels; None where one of them is flat and tells nothing."""
    size = frame.shape[::-1]
    a = cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.float64)
    b = frame.astype(np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    if not known.any():
        return None
    a, b = a[known] - a[known].mean(), b[known] - b[known].mean()
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / norm if norm else None
