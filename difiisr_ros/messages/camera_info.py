"""The camera model of an upscaled image.

Works on any object with the fields of ``sensor_msgs/CameraInfo`` (rclpy's or rosbags'), so that
the node and the bag tools share it; ROS is not imported.
"""

from __future__ import annotations

import copy
from typing import Any

from difiisr_ros.errors import FrameError, OptionError

#: Where the centre of a pixel lies when an image is resampled.
CONVENTIONS = ("pixel_center", "image_proc")

# Row-major positions in K (3x3) and P (3x4). Focal lengths, skew, and in P the translations
# (Tx, Ty of a stereo pair) are lengths in pixels; the principal point is a position.
_K_LENGTHS, _K_CENTRE = (0, 1, 4), (2, 5)
_P_LENGTHS, _P_CENTRE = (0, 1, 3, 5, 7), (2, 6)

_ROI = ("x_offset", "y_offset", "width", "height")


def scale_camera_info(info: Any, scale: int, convention: str = "pixel_center") -> Any:
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

    Returns:
        A new message of the same type. Matrices of an uncalibrated camera (focal length 0) stay
        as they are.

    Raises:
        OptionError: an unknown convention, or a scale that is not a positive whole number.
        FrameError: a size that, scaled, does not fit the message's 32 bits.
    """
    if convention not in CONVENTIONS:
        raise OptionError(
            f"camera_info_convention is '{convention}'; accepted are {', '.join(CONVENTIONS)}"
        )
    if int(scale) != scale or scale < 1:
        raise OptionError(f"scale is {scale}; accepted are positive whole numbers")
    scale = int(scale)
    shift = 0.5 if convention == "pixel_center" else 0.0
    _check_sizes(info, scale)
    scaled = copy.deepcopy(info)
    scaled.width = info.width * scale
    scaled.height = info.height * scale
    _scale_matrix(scaled.k, scale, shift, _K_LENGTHS, _K_CENTRE)
    _scale_matrix(scaled.p, scale, shift, _P_LENGTHS, _P_CENTRE)
    # An offset is a whole number of pixels before the region's first one, so it scales without
    # the half pixel. An all-zero region means the whole image, and stays all-zero.
    for field in _ROI:
        setattr(scaled.roi, field, getattr(info.roi, field) * scale)
    return scaled


def _check_sizes(info: Any, scale: int) -> None:
    sizes = {name: getattr(info, name) for name in ("width", "height")}
    sizes.update({f"roi.{name}": getattr(info.roi, name) for name in _ROI})
    for name, value in sizes.items():
        if value * scale >= 1 << 32:
            raise FrameError(
                f"camera_info has {name} {value}, which is no image's: x{scale} it does not fit "
                "32 bits"
            )


def _scale_matrix(
    matrix: Any, scale: int, shift: float, lengths: tuple[int, ...], centre: tuple[int, ...]
) -> None:
    if matrix[0] == 0.0:
        return  # uncalibrated: a principal point of 1.5 would look like a calibration
    for i in lengths:
        matrix[i] = matrix[i] * scale
    for i in centre:
        matrix[i] = scale * (matrix[i] + shift) - shift
