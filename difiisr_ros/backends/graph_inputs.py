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

"""What is known of a camera, as exported graphs and published models take it."""

from __future__ import annotations

import numpy as np

from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.guidance import Guidance
from difiisr_ros.export.facts import PROJECTIONS, GraphOptions


def projection_of(*, exact: bool) -> str:
    """Which of :data:`difiisr_ros.export.facts.PROJECTIONS` frames need that are to be projected
    exactly, or not."""
    wide, back_projected = PROJECTIONS
    return back_projected if exact else wide


def graph_of(
    num_steps: int,
    consistency: int,
    precision: str,
    guidance: Guidance,
    *,
    exact: bool,
    scale: int,
) -> GraphOptions:
    """What a graph holds that does what a backend's ``run`` is asked for."""
    visual = "visual" if guidance.visual_scale > 0 else ""
    projection = projection_of(exact=exact)
    return GraphOptions(num_steps, consistency, precision, visual, projection, scale)


def camera_rows(camera: Conditions, frames: int) -> np.ndarray:
    """What is told of each frame, frames x WIDTH, float32: contiguous and writable, a copy."""
    rows = np.broadcast_to(camera.values, (frames, camera.values.shape[1]))
    return np.array(rows, np.float32, order="C")
