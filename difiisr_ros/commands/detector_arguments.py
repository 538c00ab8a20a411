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

"""``--detector``, alike in all commands that have one."""

from __future__ import annotations

import argparse
from pathlib import Path

from difiisr_ros.backends.detectors import JUDGE


def add_detector_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare ``--detector`` and ``--detector-config``."""
    parser.add_argument(
        "--detector",
        default=JUDGE,
        metavar="NAME",
        help="detector_judge, detector, a file of 'difiisr train-detector', or an .onnx file of "
        "YOLOX's or YOLOv8's layout, whose classes are matched by their names",
    )
    parser.add_argument(
        "--detector-config",
        type=Path,
        metavar="FILE",
        help="what an .onnx file does not say of itself: layout, names, size, place, normalisation "
        "(NAME.detector.yaml beside it)",
    )
