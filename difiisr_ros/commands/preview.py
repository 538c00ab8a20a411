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

"""An 8-bit false colour picture of a result: 16-bit files look black in most viewers."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from difiisr_ros.atomic_write import write_whole
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.errors import FrameError, OutputError

_MISSING = (90, 90, 90)  # a gray that the colours do not have, BGR


def preview_of(target: Path) -> Path:
    """Where the picture of a result goes: beside it."""
    return target.with_name(f"{target.stem}_preview.png")


def write_preview(path: Path, result: np.ndarray, nodata: float | None) -> None:
    """Write a picture of the result's 1st to 99th percentile in the colours of ``inferno``.

    Args:
        path: ``.png``.
        result: H x W, of any type of number.
        nodata: a value that stands for no measurement, or None.

    Raises:
        OutputError: it cannot be written.
    """
    values = result.astype(np.float32)
    if nodata is not None:
        values[result == nodata] = np.nan
    try:
        low, high = measure_range(values)
    except FrameError:  # nothing was measured anywhere
        low, high = 0.0, 1.0
    known = np.isfinite(values)
    shown = np.where(known, (values - low) / (high - low), 0.0)
    gray = np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)
    colours = cv2.applyColorMap(gray, cv2.COLORMAP_INFERNO)
    colours[~known] = _MISSING
    try:
        write_whole(path, cv2.imencode(".png", colours)[1].tobytes())
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
