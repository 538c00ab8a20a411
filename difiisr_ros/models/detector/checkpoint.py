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

"""Detector files: safetensors whose metadata carries configuration, recipe and figures.

``detector`` (the perceptual prior) and ``detector_judge`` (the judge, of another seed and width)
are shipped with the package.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from difiisr_ros.errors import ModelError
from difiisr_ros.models.checkpoint import load_state, read_config, read_weights, write_weights
from difiisr_ros.models.detector.model import DetectorConfig, ThermalDetector
from difiisr_ros.models.model_files import WEIGHTS

FORMAT = "difiisr_ros.detector.1"
PRIOR, JUDGE = "detector", "detector_judge"
EMBEDDED = (PRIOR, JUDGE)


def detector_path(detector: str) -> Path:
    """Path of ``detector``, ``detector_judge`` (shipped with the package) or of a file.

    Raises:
        ModelError: no such file.
    """
    shipped = detector in EMBEDDED
    path = WEIGHTS / f"{detector}.safetensors" if shipped else Path(detector).expanduser()
    if not path.is_file():
        raise ModelError(
            f"detector {detector!r} is neither {' nor '.join(map(repr, EMBEDDED))} nor a file; "
            "give the path of a .safetensors file written by 'difiisr train-detector'"
        )
    return path


def save_detector(
    path: Path, network: ThermalDetector, facts: dict[str, Any], half: bool = True
) -> None:
    """Write weights (float16 by default) with the configuration and ``facts`` in the metadata.

    Normalisations are written folded into their convolutions. Atomic: the file is complete or it
    is not there.
    """
    fused = copy.deepcopy(network).eval().fuse().state_dict()
    write_weights(path, fused, FORMAT, network.config.as_dict(), facts, half)


def load_detector(detector: str = PRIOR) -> tuple[ThermalDetector, dict[str, Any]]:
    """Load an embedded detector or a file: the float32 network in evaluation mode, and its facts.

    Raises:
        ModelError: missing, truncated, not safetensors, of another format, or with keys and
            shapes that do not fit its own configuration.
    """
    path = detector_path(detector)
    state, metadata = read_weights(path, FORMAT, "detector", "difiisr train-detector")
    network = ThermalDetector(read_config(path, metadata, DetectorConfig)).eval().fuse()
    load_state(path, network, state)
    return network, json.loads(metadata.get("facts", "{}"))
