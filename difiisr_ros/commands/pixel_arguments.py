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

"""The arguments on what of a camera's frames is a measurement, the same for every command."""

from __future__ import annotations

import argparse
from typing import Any

from difiisr_ros.core.camera_profile import AUTO, BYTE_ORDERS, CameraProfile, resolve_camera

NAMES = ("missing", "crop", "bad_pixels", "byte_order")
_CROP = "camera_crop"  # in the namespace: a training has a crop of another kind


def add_pixel_arguments(
    parser: argparse.ArgumentParser, *, profile: bool = False, training: bool = False
) -> None:
    """Declare what :func:`camera_of` reads; options win over keys of a camera profile.

    Args:
        parser: the command's.
        profile: declare ``--camera`` too, for commands whose engine has none.
        training: ``--crop`` is the side of what is trained on.
    """
    group = parser.add_argument_group("the camera's pixels")
    if profile:
        group.add_argument(
            "--camera",
            metavar="FILE",
            help="profile of the camera, whose keys hold where the options below say nothing",
        )
    group.add_argument(
        "--missing",
        metavar="VALUES",
        help="values that stand for no measurement, such as 0,65535 or -9999..-9000; "
        "results have them where the frame had, other commands fill them in",
    )
    group.add_argument(
        *(("--camera-crop",) if training else ("--crop", "--camera-crop")),
        dest=_CROP,
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
    return {name: getattr(args, _CROP if name == "crop" else name) for name in NAMES}


def camera_of(args: argparse.Namespace) -> CameraProfile:
    """The profile that ``--camera`` names, with what was given beside it.

    Raises:
        DataError, OptionError: a file or a value that cannot be used.
    """
    return resolve_camera(args.camera or AUTO, pixel_arguments(args))
