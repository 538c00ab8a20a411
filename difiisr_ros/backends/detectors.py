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

"""A detector by its name: a shipped one, one of our own training, or a user's ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from difiisr_ros.backends.libraries import check_torch, missing
from difiisr_ros.errors import OptionError
from difiisr_ros.models.detector.boxes import FindsObjects
from difiisr_ros.models.detector.onnx_config import (
    AUTO,
    OnnxDetectorConfig,
    config_beside,
    read_detector_config,
)

#: What grades results unless asked otherwise: another than the detector that guides them.
JUDGE = "detector_judge"


def is_onnx(detector: str) -> bool:
    """Whether it is a user's ONNX file."""
    return detector.lower().endswith(".onnx")


def onnx_config(detector: str, config: Path | None = None) -> OnnxDetectorConfig:
    """What is said of a user's ONNX file: in ``config``, else in the YAML beside it.

    Raises:
        OptionError: a configuration for a detector that needs none.
        ModelError: it cannot be used.
    """
    if not is_onnx(detector):
        if config is not None:
            raise OptionError(f"a configuration is for .onnx files; {detector} says all itself")
        return OnnxDetectorConfig()
    path = config or config_beside(Path(detector))
    return OnnxDetectorConfig() if path is None else read_detector_config(path)


def load_detector(
    detector: str,
    layout: str = AUTO,
    classes: Sequence[str] = (),
    config: Path | None = None,
) -> FindsObjects:
    """The detector, ready to run.

    Args:
        detector: ``detector_judge``, ``detector``, a file of 'difiisr train-detector', or an
            ``.onnx`` file of YOLOX's or YOLOv8's layout.
        layout, classes: of an ONNX file; go before what else is said of it.
        config: YAML of an ONNX file, see :mod:`difiisr_ros.models.detector.onnx_config`.

    Raises:
        ModelError: It cannot be loaded.
        OptionError: a configuration for a detector that needs none.
        BackendUnavailable: A library that it needs is missing.
    """
    said = onnx_config(detector, config)
    if is_onnx(detector):
        from difiisr_ros.backends.onnx_detector import OnnxDetector

        said = replace(
            said,
            layout=said.layout if layout == AUTO else layout,
            names=tuple(classes) or said.names,
        )
        return OnnxDetector(detector, said)
    check_torch()
    try:
        from difiisr_ros.models.detector.detector import Detector
    except ImportError as error:
        raise missing(error, "torch") from error
    return Detector.load(detector)
