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

"""The mapping of boxes by the calibrations of camera and result, found by stamp. No ROS here."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from difiisr_ros.messages.box_mapping import BoxMapping, mapping_between

_KEPT = 256
"""Messages of each topic: a detector may be some seconds behind."""


class StampedMappings:
    """Remembers the ``CameraInfo`` of camera and results.

    Args:
        coordinates, convention: see :func:`difiisr_ros.messages.box_mapping.mapping_between`.
    """

    def __init__(self, coordinates: str, convention: str) -> None:
        self._how = coordinates, convention
        self._cameras: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._results: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def camera(self, info: Any) -> None:
        """One of the camera has come."""
        _keep(self._cameras, info)

    def result(self, info: Any) -> None:
        """One of a result has come."""
        _keep(self._results, info)

    def of(self, stamp: Any) -> BoxMapping | str:
        """The mapping for what was found in the result with this header stamp.

        The result's calibration must have the stamp, as its region may move from frame to frame;
        the camera's is that with the stamp, else the latest.

        Returns:
            The mapping, or in words what has not come for it.

        Raises:
            FrameError: a calibration that is none.
        """
        key = stamp.sec, stamp.nanosec
        result = self._results.get(key)
        if result is None:
            return "no camera_info of a result has their stamp"
        if not self._cameras:
            return "no camera_info of the camera has come"
        camera = self._cameras.get(key) or self._cameras[next(reversed(self._cameras))]
        return mapping_between(result, camera, *self._how)


def _keep(infos: OrderedDict[tuple[int, int], Any], info: Any) -> None:
    key = info.header.stamp.sec, info.header.stamp.nanosec
    infos[key] = info
    infos.move_to_end(key)
    while len(infos) > _KEPT:
        infos.popitem(last=False)
