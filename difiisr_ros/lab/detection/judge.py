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

"""A detector that judges upscaled frames, and the boxes that it is judged by."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from difiisr_ros.backends.detectors import is_onnx, load_detector, onnx_config
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import DataError
from difiisr_ros.io.frame_files import find_frames
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.detection.boxes import BoxedImage, BoxSet, category_names, read_boxes
from difiisr_ros.lab.frames.degrade import crop_to_scale
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED, read_right, reading
from difiisr_ros.models.detector.boxes import FindsObjects
from difiisr_ros.models.detector.class_names import PACKAGE, RenamedDetector, match_classes


def load_judge(
    detector: str, folder: Path, annotations: Path, config: Path | None = None
) -> tuple[FindsObjects, BoxSet]:
    """The detector in terms of the annotations' classes, and the frames with boxes of these.

    A detector of this package must find all its classes in the file; of a user's, those classes
    count that both have, by their names (see :mod:`difiisr_ros.models.detector.class_names`).

    Args:
        detector, config: see :func:`difiisr_ros.backends.detectors.load_detector`.
        folder: of frames.
        annotations: their boxes in COCO's format.

    Raises:
        DataError: the boxes cannot be used, or none of their classes is known to the detector.
        ModelError: the detector cannot be loaded.
        OptionError: a configuration for a detector that needs none.
        BackendUnavailable: a library that it needs is missing.
    """
    judge = load_detector(detector, config=config)
    if is_onnx(detector):
        said = onnx_config(detector, config).same_as
        judge = RenamedDetector(
            judge, match_classes(judge.classes, category_names(annotations), said)
        )
    return judge, read_boxes(folder, annotations, judge.classes)


def agreeing_judge(
    detector: str,
    folder: Path,
    min_score: float,
    left_out: LeftOut,
    camera: CameraProfile = NOTHING_DECLARED,
    config: Path | None = None,
) -> tuple[FindsObjects, BoxSet]:
    """The detector, and what it finds in the frames themselves, as if that were the truth.

    For frames without boxes: it tells whether upscaled frames look to a detector as the camera's
    own full frames do, and not whether it is right about these. Of a user's detector with classes
    that thermal annotations know (:data:`difiisr_ros.models.detector.class_names.PACKAGE`) only
    these count.

    Args:
        detector, folder, config: see :func:`load_judge`.
        min_score: what is found with less is not taken for true.
        left_out: takes the frames that cannot be read.
        camera: what of the frames is a measurement.

    Raises:
        DataError: no frame can be read, or nothing is found in any; and what ``left_out`` raises.
        ModelError, OptionError, BackendUnavailable: see :func:`load_judge`.
    """
    judge = load_detector(detector, config=config)
    if is_onnx(detector):
        said = onnx_config(detector, config).same_as
        with contextlib.suppress(DataError):  # of quite other things: all its own classes count
            judge = RenamedDetector(judge, match_classes(judge.classes, PACKAGE, said))
    images: list[BoxedImage] = []
    annotations: list[dict[str, Any]] = []
    given = find_frames(folder)
    with reading(camera, folder, given.not_used) as reader:
        for number, place in enumerate(given.places):
            frame = left_out.read(place, lambda place: read_right(place, camera, reader))
            if frame is None:
                continue
            found = judge.detect(crop_to_scale(frame), min_score=min_score).before(camera.crop)
            images.append(BoxedImage(number, place, found.boxes, found.labels))
            annotations += [
                {
                    "image_id": number,
                    "category_id": int(label),
                    "bbox": [float(v) for v in (left, top, right - left, bottom - top)],
                }
                for (left, top, right, bottom), label in zip(found.boxes, found.labels)
            ]
    if not annotations:
        raise DataError(f"{folder}: {detector} finds nothing in its frames with {min_score:g}")
    content = {
        "images": [{"id": image.image_id, "file_name": image.place.name} for image in images],
        "categories": [{"id": i, "name": name} for i, name in enumerate(judge.classes)],
        "annotations": annotations,
    }
    return judge, BoxSet(images, content, list(range(len(judge.classes))))
