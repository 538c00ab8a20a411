"""Which image topics of a bag are results of an earlier upscale, whatever they are called.

Three marks, each sufficient: a name with ``/sr/`` in it, as the node and ``difiisr upscale`` give by
default; a node that said in recorded diagnostics that it publishes there; or the pictures
themselves: four times the size of another topic's with the same stamps, and the same scene when they
are reduced to it. Two cameras that are triggered together have equal stamps too, but see the scene
from two places, or in another band.
"""

from __future__ import annotations

import itertools
from typing import Any

import cv2
import numpy as np

from difiisr_ros.core.resample import SCALE
from difiisr_ros.errors import DifiisrError
from difiisr_ros.io.bags import BagReader, frame_of
from difiisr_ros.messages.cdr import stamp_of

DEFAULT_NAMESPACE = "sr"
_DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
_LOOKED_AT = 100  # messages of diagnostics; a node reports once a second
_FRAMES = 3  # of a topic, whose results are looked for
_ALIKE = 0.95
"""Correlation of a frame and a picture reduced to its size; results have 0.99, a second camera of
another place or band less than 0.9 (0 where one of them is flat)."""


def recorded_results(reader: BagReader, namespace: str = DEFAULT_NAMESPACE) -> dict[str, str]:
    """Image topics that hold results -> how that is known, in words.

    Args:
        reader: the bag.
        namespace: what results are called beside ``sr``.
    """
    topics = reader.image_topics()
    found = {}
    said = _said_by_nodes(reader)
    for topic in topics:
        parts = topic.split("/")[:-1]
        for name in (DEFAULT_NAMESPACE, namespace):
            if name in parts:
                found[topic] = f"named /{name}/"
        if topic in said:
            found[topic] = "by recorded diagnostics"
    unknown = [topic for topic in topics if topic not in found]
    examples = {topic: _examples(reader, topic) for topic in unknown} if len(topics) > 1 else {}
    for topic, camera in itertools.permutations(examples, 2):
        if topic not in found and _are_results(examples[topic], examples[camera]):
            found[topic] = f"of {camera}"
    return found


def _said_by_nodes(reader: BagReader) -> set[str]:
    """Topics that a node's status of its inference names as those of its results."""
    topics = reader.topics_of(_DIAGNOSTICS)
    if not topics:
        return set()
    said = set()
    for connection, _, data in itertools.islice(reader.read_raw(topics), _LOOKED_AT):
        try:
            message = reader.deserialize(connection, data)
        except DifiisrError:
            continue  # it is not what this is about
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            if status.name.endswith("inference") and "frames published" in values:
                said.add(values.get("topic", ""))
    return said


def _examples(reader: BagReader, topic: str) -> dict[int, np.ndarray]:
    """The first usable frames of a topic by stamp; the first of a bag often lack results."""
    frames: dict[int, np.ndarray] = {}
    for connection, _, data in itertools.islice(reader.read_raw([topic]), 10 * _FRAMES):
        try:
            message = reader.deserialize(connection, data)
            frames[stamp_of(data)] = np.array(frame_of(message, connection.msgtype, topic))
        except DifiisrError:
            continue  # what cannot be read is neither
    return frames


def _are_results(pictures: dict[int, np.ndarray], frames: dict[int, np.ndarray]) -> bool:
    """Whether every picture that has a frame's stamp is that frame, four times the size."""
    pairs = [(pictures[stamp], frames[stamp]) for stamp in pictures if stamp in frames]
    return bool(pairs) and all(itertools.starmap(_is_result, pairs[:_FRAMES]))


def _is_result(picture: np.ndarray, frame: Any) -> bool:
    height, width = frame.shape
    if picture.shape != (SCALE * height, SCALE * width):
        return False
    reduced = cv2.resize(
        picture.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA
    ).astype(np.float64)
    known = np.isfinite(reduced) & np.isfinite(frame)
    if not known.any():
        return False
    a, b = reduced[known], frame[known].astype(np.float64)
    a, b = a - a.mean(), b - b.mean()
    if not a.any() and not b.any():
        return True  # both flat
    norm = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return norm > 0 and float((a * b).sum()) / norm >= _ALIKE
