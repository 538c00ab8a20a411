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

"""OpenCV's decoder for pictures, asked by messages and by files alike."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np


def imdecode(data: Any) -> tuple[np.ndarray | None, str]:
    """What OpenCV makes of a picture's bytes, and what it says where that is nothing.

    Returns:
        H x W, or H x W x channels in the order B, G, R, A, of the stored depth; or None.
    """
    import cv2

    try:
        with quiet():
            return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED), ""
    except cv2.error as error:
        return None, str(error.err)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """OpenCV logs to stderr in its own words what is wrong with data; ours says more."""
    import cv2

    log = getattr(cv2.utils, "logging", None)
    if log is None:  # a build without logging has nothing to silence
        yield
        return
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)
