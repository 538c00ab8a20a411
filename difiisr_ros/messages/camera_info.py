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

"""The camera model of an upscaled image.

Works on any object with the fields of ``sensor_msgs/CameraInfo`` (rclpy's or rosbags'), so that
the node and the bag tools share it; ROS is not imported.
"""

from __future__ import annotations

import copy
from typing import Any

from difiisr_ros.core.crop import NO_CROP, Crop
from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.core.region import Region
from difiisr_ros.errors import FrameError, OptionError

#: Where the centre of a pixel lies when an image is resampled.
CONVENTIONS = ("pixel_center", "image_proc")

# Row-major positions in K (3x3) and P (3x4), along rows and along columns. Focal lengths, skew, and
# in P the translations (Tx, Ty of a stereo pair) are lengths in pixels; the principal point is a
# position.
_K_LENGTHS, _K_CENTRE = ((0, 1), (4,)), (2, 5)
_P_LENGTHS, _P_CENTRE = ((0, 1, 3), (5, 7)), (2, 6)

_ROI = ("x_offset", "y_offset", "width", "height")


def scale_camera_info(
    info: Any, scale: int, convention: str = "pixel_center", crop: Crop = NO_CROP
) -> Any:
    """The ``CameraInfo`` that describes the same view with ``scale`` times the pixels each way.

    Width, height, K, P and the region of interest are scaled; D, R, the distortion model and the
    binning describe the lens and the sensor, and stay (REP 104). Width and height are those of the
    calibration, which differ from the image's when a camera bins or crops; that stays so.

    Args:
        info: fields of ``sensor_msgs/CameraInfo``; not modified.
        scale: a whole number.
        convention: ``pixel_center``: a pixel's coordinates are those of its centre, so the
            principal point moves to ``scale * (c + 0.5) - 0.5``; this is what resampling
            (``cv2.resize``, bicubic, this package) does to the image. ``image_proc``:
            ``scale * c``, as image_proc's resize node computes it; at scale 4 it is 1.5 pixels
            less.
        crop: image pixels that were left out before: see :func:`crop_camera_info`.

    Returns:
        A new message of the same type. Matrices of an uncalibrated camera (focal length 0) stay
        as they are.

    Raises:
        OptionError: an unknown convention, or a scale that is not a positive whole number.
        FrameError: a size that, scaled, does not fit the message's 32 bits, or one that the crop
            leaves nothing of.
    """
    shift = half_pixel(convention)
    if int(scale) != scale or scale < 1:
        raise OptionError(f"scale is {scale}; accepted are positive whole numbers")
    scale = int(scale)
    info = crop_camera_info(info, crop)
    _check_sizes(info, scale)
    scaled = copy.deepcopy(info)
    scaled.width = info.width * scale
    scaled.height = info.height * scale
    _map_matrices(scaled, (scale, scale), (0.0, 0.0), shift)
    # An offset is a whole number of pixels before the region's first one, so it scales without
    # the half pixel. An all-zero region means the whole image, and stays all-zero.
    for field in _ROI:
        setattr(scaled.roi, field, getattr(info.roi, field) * scale)
    return scaled


def result_camera_info(
    info: Any,
    geometry: OutputGeometry,
    region: Region | None = None,
    convention: str = "pixel_center",
    crop: Crop = NO_CROP,
) -> Any:
    """The ``CameraInfo`` of a result of any size, of the whole frame or of a region.

    At a whole scale it is that of :func:`scale_camera_info`. A region becomes its ``roi``, which is
    added to one that the camera has, with ``do_rectify`` set; size, K and P stay those of the whole
    scaled frame, as in image_proc's crop_decimate.

    A result of another size is described as a camera of its own: width and height are the result's,
    and two scales, bars, what was cut off, a region, and the camera's own binning and ``roi`` are
    all in K and P, exactly; binning and ``roi`` are zero.

    Args:
        info, convention, crop: as of :func:`scale_camera_info`.
        geometry: of the result, by :meth:`difiisr_ros.pipeline.SuperResolver.geometry`.
        region: what of the frame, as the crop leaves it, the result shows; None: all.

    Raises:
        OptionError, FrameError: as :func:`scale_camera_info` does.
    """
    if geometry.is_plain:
        scaled = scale_camera_info(info, geometry.scale, convention, crop)
        return scaled if region is None else _with_region(scaled, region.times(geometry.scale))
    shift = half_pixel(convention)
    info = crop_camera_info(info, crop)
    result = copy.deepcopy(info)
    result.width, result.height = geometry.size
    scales, moves = [], []
    for scale, bars, bins, offset, start in (
        (geometry.x_scale, geometry.left, info.binning_x, info.roi.x_offset, region and region.x),
        (geometry.y_scale, geometry.top, info.binning_y, info.roi.y_offset, region and region.y),
    ):
        binned = max(bins, 1)
        scales.append(scale / binned)
        moves.append(bars - scale * (offset / binned + (start or 0)))
    _map_matrices(result, (scales[0], scales[1]), (moves[0], moves[1]), shift)
    result.binning_x = result.binning_y = 0
    for field in _ROI:
        setattr(result.roi, field, 0)
    result.roi.do_rectify = False
    return result


def _with_region(scaled: Any, part: Region) -> Any:
    """A scaled message, changed to be of a part of its image; pixels of the image."""
    roi, bins = scaled.roi, (max(scaled.binning_x, 1), max(scaled.binning_y, 1))
    roi.x_offset, roi.y_offset = roi.x_offset + bins[0] * part.x, roi.y_offset + bins[1] * part.y
    roi.width, roi.height = bins[0] * part.width, bins[1] * part.height
    roi.do_rectify = True
    _check_sizes(scaled, 1)
    return scaled


def crop_camera_info(info: Any, crop: Crop) -> Any:
    """The ``CameraInfo`` of an image whose borders were cut off.

    Where it has no region of interest, its size becomes that of what is left, and the principal
    point moves with it, as consumers expect that know nothing of regions. Where it has one, that
    describes the image, and is what the crop makes smaller; size, K and P, which belong to the
    whole calibration, stay, as in image_proc's crop_decimate. With binning one image pixel is
    several of the calibration.

    Returns:
        A new message of the same type, or the given one where nothing is cut off.

    Raises:
        FrameError: nothing is left of the size or of the region.
    """
    if crop == NO_CROP:
        return info
    cropped = copy.deepcopy(info)
    bins = max(info.binning_x, 1), max(info.binning_y, 1)
    left, top = crop.left * bins[0], crop.top * bins[1]
    lost = left + crop.right * bins[0], top + crop.bottom * bins[1]
    region = info.roi if info.roi.width or info.roi.height else None
    area = cropped.roi if region is not None else cropped
    if lost[0] >= area.width or lost[1] >= area.height:
        raise FrameError(
            f"camera_info is of {area.width}x{area.height} pixels, of which crop "
            f"({crop.describe()}) leaves nothing"
        )
    area.width, area.height = area.width - lost[0], area.height - lost[1]
    if region is not None:
        area.x_offset, area.y_offset = region.x_offset + left, region.y_offset + top
        return cropped
    for matrix, (x, y) in ((cropped.k, _K_CENTRE), (cropped.p, _P_CENTRE)):
        if matrix[0] != 0.0:  # else uncalibrated
            matrix[x], matrix[y] = matrix[x] - left, matrix[y] - top
    return cropped


def _check_sizes(info: Any, scale: int) -> None:
    sizes = {name: getattr(info, name) for name in ("width", "height")}
    sizes.update({f"roi.{name}": getattr(info.roi, name) for name in _ROI})
    for name, value in sizes.items():
        if value * scale >= 1 << 32:
            raise FrameError(
                f"camera_info has {name} {value}, which is no image's: x{scale} it does not fit "
                "32 bits"
            )


def half_pixel(convention: str) -> float:
    """How far the first pixel's edge lies before position 0, in pixels; see scale_camera_info."""
    if convention not in CONVENTIONS:
        raise OptionError(
            f"camera_info_convention is '{convention}'; accepted are {', '.join(CONVENTIONS)}"
        )
    return 0.5 if convention == "pixel_center" else 0.0


def _map_matrices(
    info: Any, scales: tuple[float, float], moves: tuple[float, float], shift: float
) -> None:
    """Scale K and P along rows and columns, and then move the principal point."""
    for matrix, lengths, centre in (
        (info.k, _K_LENGTHS, _K_CENTRE),
        (info.p, _P_LENGTHS, _P_CENTRE),
    ):
        if matrix[0] == 0.0:
            continue  # uncalibrated: a principal point of 1.5 would look like a calibration
        for scale, move, along, c in zip(scales, moves, lengths, centre):
            for i in along:
                matrix[i] = matrix[i] * scale
            matrix[c] = scale * (matrix[c] + shift) - shift + move
