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

"""The arguments that say how frames are reduced, the same for every command that scores."""

from __future__ import annotations

import argparse

from difiisr_ros.commands.numbers import real
from difiisr_ros.lab.frames.degrade import CAMERA, NOISE_PERCENT


def add_degradation_arguments(parser: argparse._ActionsContainer) -> None:
    """Declare ``--degradation`` and ``--noise``; their values are checked by
    :func:`difiisr_ros.lab.frames.degrade.check_degradation`."""
    parser.add_argument(
        "--degradation",
        default=CAMERA,
        metavar="NAME",
        help="how frames are reduced x4 to be scored: by a simulated 'camera' (optics' blur, area "
        "sampling, row and column pattern, noise, whole counts; the default), or 'reduced' by "
        "Pillow's antialiased bicubic",
    )
    parser.add_argument(
        "--noise",
        type=real(),
        default=NOISE_PERCENT,
        metavar="PERCENT",
        help=f"white noise of the simulated camera, %% of the range ({NOISE_PERCENT:g})",
    )
