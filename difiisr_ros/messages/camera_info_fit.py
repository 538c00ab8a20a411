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

"""Whether a ``CameraInfo`` can be that of an image. ROS is not imported."""

from __future__ import annotations

from typing import Any

from difiisr_ros.core.crop import NO_CROP, Crop
from difiisr_ros.errors import FrameError


def crop_still_to_do(info: Any, size: tuple[int, int], crop: Crop = NO_CROP) -> Crop:
    """What of an image's crop its ``CameraInfo`` still has to be cropped by.

    An image has the size of the calibration, or of its region of interest, divided by the binning:
    that is how drivers, and image_proc's crop_decimate, say what they made of the sensor's pixels.
    Sides that a driver left 0 are not known, and fit. A calibration may also be of what the crop
    leaves: rows of telemetry belong to no camera model.

    Args:
        info: fields of ``sensor_msgs/CameraInfo``.
        size: width and height of the image, before the crop.
        crop: image pixels that are left out.

    Returns:
        The crop, or none where the message is of what it leaves.

    Raises:
        FrameError: the message is of no such image.
    """
    _check_region(info)
    left = size[0] - crop.left - crop.right, size[1] - crop.top - crop.bottom
    for slack in (0, 1):  # image_proc's resize rounds an image's sides, and cuts off its info's
        for image, to_do in ((size, crop), (left, NO_CROP)):
            if _fits(info, image, slack):
                return to_do
    raise FrameError(
        f"{_described(info)} is not of an image of {size[0]}x{size[1]}; accepted is its size, or "
        "one that binning and roi make that of"
    )


def _fits(info: Any, size: tuple[int, int], slack: int) -> bool:
    """Whether the image has as many pixels as the message says, or fewer or more by the slack."""
    for image, whole, part, binning in (
        (size[0], info.width, info.roi.width, info.binning_x),
        (size[1], info.height, info.roi.height, info.binning_y),
    ):
        pixels, bins = part or whole, max(binning, 1)
        # Where the binning leaves a rest, that may be a pixel or none.
        if pixels and not (image - slack - 1) * bins < pixels < (image + slack + 1) * bins:
            return False
    return True


def _check_region(info: Any) -> None:
    roi = info.roi
    for whole, first, part in (
        (info.width, roi.x_offset, roi.width),
        (info.height, roi.y_offset, roi.height),
    ):
        if whole and part and first + part > whole:
            raise FrameError(f"{_described(info)} has a roi that reaches beyond it")


def _described(info: Any) -> str:
    roi, said = info.roi, [f"{info.width}x{info.height}"]
    if info.binning_x > 1 or info.binning_y > 1:
        said.append(f"binning {max(info.binning_x, 1)}x{max(info.binning_y, 1)}")
    if roi.width or roi.height:
        said.append(f"roi {roi.width}x{roi.height} at ({roi.x_offset}, {roi.y_offset})")
    return ", ".join(said)
