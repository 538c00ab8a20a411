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

"""Classes of detectors and of annotation files, matched by their names.

A detector that was trained on COCO says ``truck`` and ``bus`` where this package's annotations say
``other_vehicle``, one of another thermal set ``pedestrian`` or ``people``. What has the same name
is the same; else what has the same meaning here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from difiisr_ros.core.radiometry import ValueRange
from difiisr_ros.errors import DataError
from difiisr_ros.models.detector.boxes import NMS_IOU, Detections, FindsObjects, suppress

#: Classes of this package's detectors, and of the annotations that they were trained on.
PACKAGE = ("person", "car", "bicycle", "other_vehicle")
#: Names of other sets -> the package's.
MEANING = {
    "people": "person",
    "pedestrian": "person",
    "human": "person",
    "bike": "bicycle",
    "cycle": "bicycle",
    "automobile": "car",
    "van": "car",
    "truck": "other_vehicle",
    "bus": "other_vehicle",
    "lorry": "other_vehicle",
    "othervehicle": "other_vehicle",
}
#: COCO's 80 classes in the order of published detectors, which often do not carry them.
COCO = tuple(
    """person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,
    stop sign,parking meter,bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,
    umbrella,handbag,tie,suitcase,frisbee,skis,snowboard,sports ball,kite,baseball bat,
    baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,cup,fork,knife,spoon,bowl,
    banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,potted plant,
    bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,
    refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush""".replace(
        "\n    ", ""
    ).split(",")
)


def match_classes(
    theirs: Sequence[str], wanted: Sequence[str], given: Mapping[str, str] | None = None
) -> dict[int, str]:
    """Which of the wanted classes each class of a detector is.

    Args:
        theirs: the detector's classes, in order.
        wanted: the annotations' classes.
        given: a detector's class -> a wanted one, said by the user; goes before names.

    Returns:
        Number of the detector's class -> wanted class; without those that are none of them.

    Raises:
        DataError: none is.
    """
    by_name = {_plain(name): name for name in wanted}
    by_meaning = {MEANING.get(plain, plain): name for plain, name in by_name.items()}
    given = {_plain(name): target for name, target in (given or {}).items()}
    found = {}
    for label, name in enumerate(theirs):
        plain = _plain(name)
        target = given.get(plain) or by_name.get(plain)
        target = target or by_meaning.get(MEANING.get(plain, plain))
        if target in wanted:
            found[label] = str(target)
    if not found:
        known = ", ".join(theirs[:12]) + (" ..." if len(theirs) > 12 else "")
        raise DataError(
            f"no class of the detector ({known}) is one of the boxes' ({', '.join(wanted)}); name "
            "its classes, or map them by same_as, in NAME.detector.yaml beside NAME.onnx"
        )
    return found


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "").replace("-", "").replace("_", "")


class RenamedDetector:
    """A detector that speaks of other classes than its own; what is none of them is left out.

    Args:
        detector: what finds.
        names: see :func:`match_classes`.
    """

    def __init__(self, detector: FindsObjects, names: Mapping[int, str]) -> None:
        self._detector = detector
        self.classes = tuple(dict.fromkeys(names.values()))
        self._label_of = np.full(len(detector.classes), -1, np.int64)
        for label, name in names.items():
            self._label_of[label] = self.classes.index(name)

    def detect(
        self, frame: np.ndarray, value_range: ValueRange | None = None, min_score: float = 0.01
    ) -> Detections:
        """See :class:`FindsObjects`."""
        found = self._detector.detect(frame, value_range, min_score)
        labels = self._label_of[found.labels]
        kept = np.flatnonzero(labels >= 0)
        boxes, labels = found.boxes[kept], labels[kept]
        # A van that is a bus and a truck, too, is one object of one class now.
        stay = suppress(boxes, labels, NMS_IOU)
        return Detections(boxes[stay], found.scores[kept][stay], labels[stay])


def names_in(listed: Any) -> tuple[str, ...]:
    """Class names of a list, or of numbers with names, in order.

    Raises:
        ValueError: neither.
    """
    if isinstance(listed, dict):
        numbers = sorted(int(number) for number in listed)
        if numbers != list(range(len(numbers))):
            raise ValueError(f"class numbers are not 0 to {len(numbers) - 1}: {numbers}")
        by_number = {int(number): name for number, name in listed.items()}
        return tuple(str(by_number[number]) for number in numbers)
    if isinstance(listed, (list, tuple)):
        return tuple(str(name) for name in listed)
    raise ValueError(f"expected a list of names, got {listed!r}")
