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

"""A user's ONNX detector of YOLOX's or YOLOv8's layout: numpy frame in, boxes out."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.backends.libraries import missing
from difiisr_ros.core.radiometry import ValueRange, check_frame, measure_range, normalize
from difiisr_ros.errors import ModelError, first_line
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.models.detector.class_names import COCO, names_in
from difiisr_ros.models.detector.onnx_config import AUTO, OnnxDetectorConfig
from difiisr_ros.models.detector.yolo_layouts import (
    YOLOV8,
    layout_of,
    network_input,
    read_output,
    usual_picture,
)

#: Side of the input where neither graph nor configuration gives one, pixels.
_USUAL_SIDE = 640
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
_QUIET = 4  # what does not load is reported here, in one line


class OnnxDetector:
    """The detector, ready to run.

    Args:
        path: of the ``.onnx`` file.
        config: what it does not say of itself.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed.
        ModelError: No such file, or no such detector.
    """

    def __init__(self, path: str, config: OnnxDetectorConfig | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise missing(error, "onnxruntime") from error
        if not Path(path).is_file():
            raise ModelError(f"detector {path}: no such file")
        config = config or OnnxDetectorConfig()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _QUIET
        try:
            self._session = onnxruntime.InferenceSession(
                path, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ModelError(
                f"detector {path}: ONNX Runtime cannot load it: {first_line(error)}"
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shape = inputs[0].shape
        fits = len(shape) == 4 and shape[1] in (1, 3) and inputs[0].type in _TYPES
        if len(inputs) != 1 or not fits or len(outputs) < 1:
            raise ModelError(
                f"detector {path}: takes {[(i.shape, i.type) for i in inputs]}; accepted is one "
                "picture of 1 x 3 x height x width (or 1 x 1), float32 or float16"
            )
        self._input, self._dtype = inputs[0].name, _TYPES[inputs[0].type]
        facts = self._session.get_modelmeta().custom_metadata_map
        task = facts.get("task", "detect")
        if task != "detect":
            raise ModelError(f"detector {path}: is for the task {task}; accepted: detect")
        open_size = config.size or _stored_size(facts) or (_USUAL_SIDE, _USUAL_SIDE)
        height, width = (n if isinstance(n, int) else m for n, m in zip(shape[2:], open_size))
        channels = np.zeros((1, shape[1], height, width), np.float32)
        found = self._run(path, channels)
        self.layout = layout_of(found.shape) if config.layout == AUTO else config.layout
        usual = replace(usual_picture(self.layout, height, width), channels=shape[1])
        self._picture = config.picture(usual)
        for name in ("mean", "std"):
            if len(getattr(self._picture, name)) > shape[1]:
                raise ModelError(f"detector {path}: takes one channel, and {name} is of three")
        read_output(found, self.layout, height, width, min_score=1.0)
        kept = found.shape[1] - 4 if self.layout == YOLOV8 else found.shape[2] - 5
        self.classes = config.names or _stored_names(facts) or _usual_names(kept)
        if len(self.classes) != kept:
            raise ModelError(
                f"detector {path}: knows {kept} classes, but {len(self.classes)} are named: "
                f"{', '.join(self.classes)}"
            )
        self._path = path

    def detect(
        self, frame: np.ndarray, value_range: ValueRange | None = None, min_score: float = 0.01
    ) -> Detections:
        """See :class:`difiisr_ros.models.detector.boxes.FindsObjects`."""
        frame = check_frame(frame)
        unit = normalize(frame, value_range or measure_range(frame))
        gray = np.clip(unit, 0.0, 1.0).astype(np.float32)
        tensor, box = network_input(gray, self._picture)
        output = self._run(self._path, tensor)
        height, width = self._picture.height, self._picture.width
        found = read_output(output, self.layout, height, width, min_score)
        boxes = box.to_frame(found.boxes, *frame.shape)
        return Detections(boxes, found.scores, found.labels)

    def _run(self, path: str, tensor: np.ndarray) -> np.ndarray:
        try:
            found = self._session.run(None, {self._input: tensor.astype(self._dtype)})[0]
        except Exception as error:
            raise ModelError(
                f"detector {path}: cannot run on {tensor.shape[3]}x{tensor.shape[2]}: "
                f"{first_line(error)}"
            ) from error
        return np.asarray(found, np.float32)


def _stored_names(facts: dict[str, str]) -> tuple[str, ...]:
    """The classes that Ultralytics' exports carry, by their numbers."""
    try:
        return names_in(_literal(facts.get("names", "")))
    except (ValueError, TypeError):
        return ()


def _stored_size(facts: dict[str, str]) -> tuple[int, int] | None:
    """Height and width that Ultralytics' exports carry."""
    sides = _literal(facts.get("imgsz", ""))
    if isinstance(sides, list) and len(sides) == 2 and all(isinstance(s, int) for s in sides):
        return sides[0], sides[1]
    return None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text or "None")
    except (ValueError, SyntaxError):
        return None


def _usual_names(count: int) -> tuple[str, ...]:
    """COCO's where there are as many, else numbers."""
    return COCO if count == len(COCO) else tuple(str(i) for i in range(count))
