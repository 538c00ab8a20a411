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

"""The profile that ``difiisr calibrate`` finds where it is to write one: what of it stays."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from difiisr_ros.commands.earlier_output import refuse_foreign
from difiisr_ros.commands.pixel_arguments import camera_of, pixel_arguments
from difiisr_ros.core.camera_profile import CameraProfile, resolve_camera
from difiisr_ros.errors import DataError, OptionError

#: Keys that are declared; the others are measured, or follow from what is.
_DECLARED = ("kelvin_per_count", "kelvin_offset", "missing", "crop", "byte_order")
_FILES = ("bad_pixels", "pattern")


def declared_camera(args: argparse.Namespace) -> tuple[CameraProfile, list[str]]:
    """What is declared of the camera, and the keys of it that the profile in ``--out`` has.

    By ``--camera`` and the options beside it; where no profile is named, by the one that is there.

    Raises:
        DataError, OptionError: a file or value that cannot be used, or what is there is no
            profile, or one that would lose what it declares.
    """
    out: Path | None = args.out
    if out is None or not out.is_file() or not out.stat().st_size:
        return camera_of(args), []
    try:
        earlier = CameraProfile.read(out)
    except (DataError, OptionError) as error:
        raise DataError(
            f"{error}; it is there already, and a camera profile alone is replaced: choose another "
            "name, or move it away"
        ) from error
    if args.camera is None:
        kept = _said(earlier, (*_DECLARED, *_FILES))
        return resolve_camera(out, pixel_arguments(args)), kept
    camera = camera_of(args)
    lost = [key for key in _said(earlier, _DECLARED) if key not in _said(camera, _DECLARED)]
    if lost:
        raise DataError(
            f"{out}: is there already and has {', '.join(lost)}, which neither --camera "
            f"{args.camera} nor an option says; choose another name, or leave --camera out"
        )
    return camera, []


def refuse_other_masks(mask: Path | None, pattern: Path | None) -> None:
    """Raise DataError where files beside the profile are there and are not what it refers to."""
    refuse_foreign(mask, "mask of bad pixels", _is_mask)
    refuse_foreign(pattern, "fixed pattern", _is_pattern)


def _said(profile: CameraProfile, keys: tuple[str, ...]) -> list[str]:
    defaults = {field.name: field.default for field in fields(CameraProfile)}
    return [key for key in keys if getattr(profile, key) != defaults[key]]


def _is_mask(path: Path) -> bool:
    import cv2
    import numpy as np

    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    return image is not None and image.ndim == 2 and bool(np.isin(image, (0, 255)).all())


def _is_pattern(path: Path) -> bool:
    from difiisr_ros.core.fixed_pattern import FixedPattern

    FixedPattern.read(path)
    return True
