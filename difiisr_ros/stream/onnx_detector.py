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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.backends.libraries import missing
from difiisr_ros.core.radiometry import ValueRange, check_frame, measure_range, normalize
from difiisr_ros.errors import ModelError, first_line
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.models.detector.yolo_layouts import layout_of, network_input, read_output

#: Side of the input where the graph leaves it open, pixels.
_USUAL_SIDE = 640
_QUIET = 4  # what does not load is reported here, in one line


class OnnxDetector:
    """The detector, ready to run.

    Args:
        path: of the ``.onnx`` file.
        layout: ``yolov8``, ``yolox``, or ``auto``: by the shape of the output.
        classes: names of the classes; none: those of the file, else their numbers.

    Raises:
        BackendUnavailable: ONNX Runtime is not installed.
        ModelError: No such file, or no such detector.
    """

    def __init__(self, path: str, layout: str = "auto", classes: Sequence[str] = ()) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise missing(error, "onnxruntime") from error
        if not Path(path).is_file():
            raise ModelError(f"detector {path}: no such file")
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
        if len(inputs) != 1 or len(shape) != 4 or shape[1] != 3 or len(outputs) < 1:
            raise ModelError(
                f"detector {path}: takes {[i.shape for i in inputs]}; accepted is one picture of "
                "1 x 3 x height x width"
            )
        self._input = inputs[0].name
        self._height, self._width = (n if isinstance(n, int) else _USUAL_SIDE for n in shape[2:])
        found = self._run(np.zeros((1, 3, self._height, self._width), np.float32))
        self.layout = layout_of(found.shape) if layout == "auto" else layout
        read_output(found, self.layout, self._height, self._width, min_score=1.0)
        kept = found.shape[1] - 4 if self.layout == "yolov8" else found.shape[2] - 5
        self.classes = tuple(classes) or self._names() or tuple(str(i) for i in range(kept))
        if len(self.classes) != kept:
            raise ModelError(
                f"detector {path}: knows {kept} classes, but {len(self.classes)} are named: "
                f"{', '.join(self.classes)}"
            )

    def detect(
        self, frame: np.ndarray, value_range: ValueRange | None = None, min_score: float = 0.01
    ) -> Detections:
        """Find objects in one frame.

        Args:
            frame: H x W, uint8, uint16 or float32, any size.
            value_range: counts that become black and white; None for the frame's 1st and 99th
                percentile.
            min_score: weaker objects are left out.

        Raises:
            FrameError: not such a frame.
        """
        check_frame(frame)
        unit = normalize(frame, value_range or measure_range(frame))
        gray = 255.0 * np.clip(unit, 0.0, 1.0).astype(np.float32)
        tensor, box = network_input(gray, self._height, self._width, self.layout)
        output = self._run(tensor)
        found = read_output(output, self.layout, self._height, self._width, min_score)
        boxes = box.to_frame(found.boxes, *frame.shape)
        return Detections(boxes, found.scores, found.labels)

    def _run(self, tensor: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._input: tensor})[0]

    def _names(self) -> tuple[str, ...]:
        """The classes that Ultralytics' exports carry, by their numbers."""
        text = self._session.get_modelmeta().custom_metadata_map.get("names", "")
        try:
            names: Any = ast.literal_eval(text or "{}")
            return tuple(str(names[number]) for number in sorted(names))
        except (ValueError, SyntaxError, TypeError):
            return ()
