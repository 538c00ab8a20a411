"""Which image topics of a bag are results of an earlier upscale, whatever they are called.

Three marks, each sufficient: a name with ``/sr/`` in it, as node and ``difiisr upscale`` give by
default; a node that said in recorded diagnostics that it publishes there; or the pictures
themselves: four times the size of another topic's with the same stamps, and the same scene when
reduced to it. Two cameras that are triggered together have equal stamps too, but see the scene from
two places, or in another band.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import cv2
import numpy as np

from difiisr_ros.core.resample import SCALE
from difiisr_ros.errors import DifiisrError
from difiisr_ros.io.bags import BagReader
from difiisr_ros.messages.cdr import stamp_of

DEFAULT_NAMESPACE = "sr"
_DIAGNOSTICS = "diagnostic_msgs/msg/DiagnosticArray"
_LOOKED_AT = 100  # messages of diagnostics; a node reports once a second
_LOOKED_AT_FRAMES = 5  # of each topic
_EARLIER_NS = 10**10  # by which a frame may have been recorded before its result
_ALIKE = 0.95
"""Correlation of a frame and a picture reduced to its size; results have 0.99, a second camera of
another place or band less than 0.9."""


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
    first = {topic: _first_frames(reader, topic) for topic in topics} if len(topics) > 1 else {}
    for topic, camera in itertools.product(unknown, topics):
        if topic not in found and first and _are_results(reader, first[topic], camera, first):
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


def _frames(
    reader: BagReader, topic: str, start: int | None, stop: int | None, wanted: set[int] | None
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Log time, stamp and frame of usable messages; None wanted: of all stamps."""
    for connection, log_time, data in reader.read_raw([topic], start, stop):
        try:
            stamp = stamp_of(data)
            if wanted is None or stamp in wanted:
                frame = reader.read_image(connection, log_time, data).frame
                yield log_time, stamp, np.array(frame)
        except DifiisrError:
            continue  # what cannot be read is neither camera nor result


def _first_frames(reader: BagReader, topic: str) -> list[tuple[int, int, np.ndarray]]:
    return list(itertools.islice(_frames(reader, topic, None, None, None), _LOOKED_AT_FRAMES))


def _are_results(
    reader: BagReader,
    pictures: list[tuple[int, int, np.ndarray]],
    camera: str,
    first: dict[str, list[tuple[int, int, np.ndarray]]],
) -> bool:
    """Whether the pictures with stamps of a camera's frames are these, four times the size."""
    sizes = {tuple(SCALE * side for side in frame.shape) for _, _, frame in first[camera]}
    by_stamp = {stamp: picture for _, stamp, picture in pictures if picture.shape in sizes}
    if not by_stamp:
        return False
    # A node that was loading its model publishes later than the camera.
    times = [log_time for log_time, _, _ in pictures]
    window = min(times) - _EARLIER_NS, max(times) + 1
    pairs = _frames(reader, camera, *window, set(by_stamp))
    verdicts = [_is_result(by_stamp[stamp], frame) for _, stamp, frame in pairs]
    known = [verdict for verdict in verdicts if verdict is not None]
    return bool(known) and all(known)


def _is_result(picture: np.ndarray, frame: np.ndarray) -> bool | None:
    """Whether a picture shows a frame's scene; None where a flat one cannot tell."""
    height, width = frame.shape
    if picture.shape != (SCALE * height, SCALE * width):
        return False
    reduced = cv2.resize(
        picture.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA
    ).astype(np.float64)
    known = np.isfinite(reduced) & np.isfinite(frame)
    a, b = reduced[known], frame[known].astype(np.float64)
    if a.size == 0 or not np.ptp(a) or not np.ptp(b):
        return None
    return float(np.corrcoef(a, b)[0, 1]) >= _ALIKE
