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

"""Frames with boxes: a folder of frames and a COCO annotation file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.errors import DataError
from difiisr_ros.io.frame_files import FramePlace, places_in


@dataclass(frozen=True)
class BoxedImage:
    """One frame of a data set and its objects."""

    image_id: int
    place: FramePlace
    boxes: np.ndarray
    """n x 4, float32, pixels: left, top, right, bottom; (0, 0) is the image's corner."""
    labels: np.ndarray
    """n, int64: index into the classes asked for."""


@dataclass(frozen=True)
class BoxSet:
    """The images of a folder that an annotation file describes."""

    images: list[BoxedImage]
    annotations: dict[str, Any]
    """The file's content, for COCO's own evaluation."""
    category_ids: list[int]
    """Class index to the file's category id."""


def default_annotations(folder: Path) -> Path:
    """``train.json`` beside ``train/``."""
    return folder.with_name(folder.name + ".json")


def category_names(annotations: Path) -> list[str]:
    """Classes that a COCO object detection file has boxes of, in the file's order.

    Raises:
        DataError: no such file, or not COCO's format.
    """
    content = _read_json(annotations)
    try:
        used = {entry["category_id"] for entry in content["annotations"]}
        return [str(c["name"]) for c in content["categories"] if c["id"] in used]
    except (KeyError, TypeError) as error:
        raise _no_coco(annotations, error) from error


def read_boxes(folder: Path, annotations: Path, classes: Sequence[str]) -> BoxSet:
    """Read a COCO object detection file; boxes of other classes are left out.

    A ``file_name`` is that of a file, or of a frame in it by its number from 1: ``flight.seq#3``.
    Of a file with several frames its name alone is the first.

    Crowd regions (``iscrowd``) are no single objects and are left out of ``images``; COCO's
    evaluation ignores what is detected in them.

    Raises:
        DataError: no such file or folder, not COCO's format, a frame that is missing, or none of
            ``classes`` in it.
    """
    content = _read_json(annotations)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder of images")
    place_of = _Places(folder if folder.is_dir() else folder.parent)
    try:
        ids = {str(entry["name"]): int(entry["id"]) for entry in content["categories"]}
        missing = [name for name in classes if name not in ids]
        if missing:
            raise DataError(
                f"{annotations}: has no class {', '.join(missing)}; it has {', '.join(ids)}"
            )
        category_ids = [ids[name] for name in classes]
        label_of = {category: label for label, category in enumerate(category_ids)}
        objects: dict[int, list[tuple[list[float], int]]] = {}
        for entry in content["annotations"]:
            if entry["category_id"] not in label_of or entry.get("iscrowd"):
                continue
            left, top, width, height = (float(value) for value in entry["bbox"])
            if width > 0 and height > 0:
                objects.setdefault(int(entry["image_id"]), []).append(
                    ([left, top, left + width, top + height], label_of[entry["category_id"]])
                )
        images = [
            _boxed(int(entry["id"]), place_of(str(entry["file_name"])), objects)
            for entry in content["images"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise _no_coco(annotations, error) from error
    if not images:
        raise DataError(f"{annotations}: names no images")
    return BoxSet(images, content, category_ids)


def _no_coco(annotations: Path, error: Exception) -> DataError:
    return DataError(
        f"{annotations}: is not a COCO object detection file: "
        f"{type(error).__name__} {error}; expected are images (id, file_name), categories "
        "(id, name) and annotations (image_id, category_id, bbox)"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{path}: is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: is not a COCO annotation file, it holds no object")
    return content


def _boxed(
    image_id: int, place: FramePlace, objects: dict[int, list[tuple[list[float], int]]]
) -> BoxedImage:
    found = objects.get(image_id, [])
    boxes = np.array([box for box, _ in found], np.float32).reshape(-1, 4)
    return BoxedImage(image_id, place, boxes, np.array([label for _, label in found], np.int64))


class _Places:
    """Frames of a folder by the names that annotations have for them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[Path, list[FramePlace]] = {}

    def __call__(self, name: str) -> FramePlace:
        path, number = self._folder / name, 1
        if not path.is_file():
            file, _, page = name.rpartition("#")
            path = self._folder / file
            if not (file and page.isdecimal() and path.is_file()):
                raise DataError(
                    f"{self._folder / name}: no such image, though the annotations name it"
                )
            number = int(page)
        if path not in self._known:
            self._known[path] = places_in(path)
        places = self._known[path]
        if not 1 <= number <= len(places):
            raise DataError(
                f"{self._folder / name}: the annotations name it, and {path} has {len(places)} "
                "frames"
            )
        return places[number - 1]
