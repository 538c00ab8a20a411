"""The arguments on what of a camera's frames is a measurement, the same for every command."""

from __future__ import annotations

import argparse
from typing import Any

from difiisr_ros.core.camera_profile import AUTO, BYTE_ORDERS

NAMES = ("missing", "crop", "bad_pixels", "byte_order")


def add_pixel_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what :func:`pixel_arguments` reads; they win over keys of a camera profile."""
    group = parser.add_argument_group("the camera's pixels")
    group.add_argument(
        "--missing",
        metavar="VALUES",
        help="values that stand for no measurement, such as 0,65535 or --missing=-9999..-9000; "
        "they are left alone and come back",
    )
    group.add_argument(
        "--crop",
        metavar="TOP,BOTTOM,LEFT,RIGHT",
        help="camera pixels to leave out at the borders, such as 0,2,0,0 for two rows of telemetry",
    )
    group.add_argument(
        "--bad-pixels",
        metavar="FILE",
        help="picture (PNG) of the camera's size, not black where pixels do not measure; these "
        "come back interpolated",
    )
    group.add_argument(
        "--byte-order",
        choices=BYTE_ORDERS,
        default=AUTO,
        help="of pixels of several bytes; auto: as file or message say",
    )


def pixel_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """What was given, for :func:`difiisr_ros.core.camera_profile.resolve_camera`."""
    return {name: getattr(args, name) for name in NAMES}
