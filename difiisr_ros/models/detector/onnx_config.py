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

"""What a detector's file does not say of itself: a small YAML beside it.

# yolox_nano.detector.yaml, beside yolox_nano.onnx; every line may be left out
layout: yolox               # yolov8, or auto
names: [person, car]        # the classes in their order, or {0: person, 1: car}; coco for COCO's
same_as: {truck: other_vehicle}     # a class of these -> one of the boxes'
size: [416, 416]            # height and width of the input, where the graph leaves it open
place: corner               # centre (bars on both sides), corner, stretch
white: 255                  # what a white pixel is: 1 or 255
bar: 114                    # gray of what the frame does not cover, of 255
mean: [123.7, 116.3, 103.5] # normalisation (value - mean) / std, of R, G and B
std: [58.4, 57.1, 57.4]
channels: bgr               # order of the input's channels: rgb or bgr
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from difiisr_ros.errors import ModelError
from difiisr_ros.models.detector.class_names import COCO, names_in
from difiisr_ros.models.detector.yolo_layouts import LAYOUTS, PLACES, Picture

AUTO = "auto"
ORDERS = ("rgb", "bgr")


@dataclass(frozen=True)
class OnnxDetectorConfig:
    """See the module's text; None, or empty: as the file says, else as its layout has it."""

    layout: str = AUTO
    names: tuple[str, ...] = ()
    same_as: Mapping[str, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    place: str | None = None
    white: float | None = None
    bar: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    channels: str | None = None

    def picture(self, usual: Picture) -> Picture:
        """What the network takes: what is said here, else the usual."""
        found = usual
        if self.place is not None:
            found = replace(found, place=self.place)
        if self.white is not None:
            found = replace(found, white=self.white)
        if self.bar is not None:
            found = replace(found, bar=self.bar / 255)
        turned = -1 if self.channels == "bgr" else 1
        for name in ("mean", "std"):
            values = getattr(self, name)
            if values is not None:
                found = replace(found, **{name: values[::turned]})
        return found


def config_beside(detector: Path) -> Path | None:
    """``NAME.detector.yaml`` of ``NAME.onnx``, if there is one."""
    found = detector.with_suffix(".detector.yaml")
    return found if found.is_file() else None


def read_detector_config(path: Path) -> OnnxDetectorConfig:
    """Read such a file.

    Raises:
        ModelError: missing, no YAML, or with a key or value that is not known, naming it.
    """
    import yaml

    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(f"{path}: cannot be read as YAML: {error}") from error
    known = [f.name for f in fields(OnnxDetectorConfig)]
    if not isinstance(tree, dict):
        raise ModelError(f"{path}: holds no keys; accepted: {', '.join(known)}")
    unknown = [str(key) for key in tree if key not in known]
    if unknown:
        raise ModelError(f"{path}: unknown {', '.join(unknown)}; accepted: {', '.join(known)}")
    try:
        return OnnxDetectorConfig(**{key: _READ[key](value) for key, value in tree.items()})
    except (TypeError, ValueError) as error:
        raise ModelError(f"{path}: {error}") from error


def _one_of(name: str, *accepted: str) -> Any:
    def read(value: Any) -> str:
        if value not in accepted:
            raise ValueError(f"{name} must be one of {', '.join(accepted)}, got {value!r}")
        return str(value)

    return read


def _names(value: Any) -> tuple[str, ...]:
    return COCO if value == "coco" else names_in(value)


def _same_as(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError(f"same_as maps classes, as {{truck: other_vehicle}}, got {value!r}")
    return {str(theirs): str(ours) for theirs, ours in value.items()}


def _size(value: Any) -> tuple[int, int]:
    sides = [value, value] if isinstance(value, int) else value
    if not isinstance(sides, list) or len(sides) != 2 or not all(_is_side(s) for s in sides):
        raise ValueError(f"size must be height and width in pixels, 32 to 4096, got {value!r}")
    return sides[0], sides[1]


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and 32 <= value <= 4096


def _number(name: str, low: float, high: float) -> Any:
    def read(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{name} must be a number, got {value!r}")
        if not low <= value <= high:
            raise ValueError(f"{name} must be in {low:g}..{high:g}, got {value!r}")
        return float(value)

    return read


def _of_channels(name: str, low: float) -> Any:
    number = _number(name, low, 1e4)

    def read(value: Any) -> tuple[float, ...]:
        values = value if isinstance(value, list) else [value]
        if len(values) not in (1, 3):
            raise ValueError(f"{name} must be one number or three, got {value!r}")
        return tuple(number(each) for each in values)

    return read


_READ = {
    "layout": _one_of("layout", AUTO, *LAYOUTS),
    "names": _names,
    "same_as": _same_as,
    "size": _size,
    "place": _one_of("place", *PLACES),
    "white": _number("white", 1.0, 255.0),
    "bar": _number("bar", 0.0, 255.0),
    "mean": _of_channels("mean", -1e4),
    "std": _of_channels("std", 1e-6),
    "channels": _one_of("channels", *ORDERS),
}
