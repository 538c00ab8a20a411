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

"""The ``difiisr calibrate`` command: a camera profile from the camera's own frames."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from difiisr_ros.commands.pixel_arguments import add_pixel_arguments

if TYPE_CHECKING:
    import numpy as np

    from difiisr_ros.core.camera_profile import CameraProfile
    from difiisr_ros.lab.calibration.fixed import PatternSearch

HELP = "Measure a camera's noise, blur and fixed pattern from its frames and write its profile."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "data", metavar="DATA", help="bag, folder of frames, or image of one camera"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE",
        help="write the profile here (camera.yaml); of one that is there, what is not measured "
        "holds and stays",
    )  # fmt: skip
    parser.add_argument("--topic", metavar="NAME", help="image topic of a bag with several")
    parser.add_argument(
        "--frames",
        type=int,
        default=60,
        metavar="N",
        help="measure as many frames, evenly spaced",
    )
    parser.add_argument(
        "--pattern",
        choices=("auto", "flat", "off"),
        default="auto",
        help="fixed pattern of the pixels: learn it where the camera moves or sees an even surface "
        "(auto), take the frames as of an even surface (flat), or leave it out (off)",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report to look at here (HTML)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")
    add_pixel_arguments(parser, profile=True)


def run(args: argparse.Namespace) -> int:
    """Measure, print, write; 0, or 1 where neither noise, blur nor pattern could be measured.

    Raises:
        DataError: the source cannot be read, or an output cannot be written or is somebody's.
        OptionError: a number of frames below 1.
    """
    from dataclasses import replace
    from datetime import date

    import numpy as np

    from difiisr_ros.atomic_write import write_atomically
    from difiisr_ros.commands.earlier_output import refuse_other_json, refuse_other_page
    from difiisr_ros.commands.earlier_profile import declared_camera, refuse_other_masks
    from difiisr_ros.commands.own_results import refuse_inputs
    from difiisr_ros.core.bad_pixels import write_bad_pixels
    from difiisr_ros.core.fixed_pattern import FixedPattern
    from difiisr_ros.errors import OptionError
    from difiisr_ros.io.frames import open_source
    from difiisr_ros.io.write_stack import check_target
    from difiisr_ros.lab.calibration.fixed import PatternSearch
    from difiisr_ros.lab.calibration.measure import calibrate, sample_frames
    from difiisr_ros.lab.calibration.record import as_lines, as_profile

    if args.frames < 1:
        raise OptionError(f"--frames must be 1 or more, got {args.frames}")
    declared, kept = declared_camera(args)
    mask_file = args.out and args.out.with_name(f"{args.out.stem}_bad_pixels.png")
    pattern_file = args.out and args.out.with_name(f"{args.out.stem}_pattern.npz")
    outputs = (args.out, args.report, args.json, mask_file, pattern_file)
    for output in filter(None, outputs):
        refuse_inputs(output, [Path(args.data)])
    check_target(*outputs)
    refuse_other_masks(mask_file, pattern_file)
    refuse_other_page(args.report, "Camera calibration")
    refuse_other_json(args.json, ("noise", "blur", "blur_error"))
    if kept:
        print(f"as in          {args.out}, which is there: {', '.join(kept)}")
    source = open_source(args.data, topic=args.topic, byte_order=declared.byte_order)
    search = PatternSearch(declared, args.pattern)
    pictures = (_seen(f.image, declared, search) for f in source.frames())
    sample = sample_frames(pictures, args.frames, declared.missing)
    pattern = search.found()
    if declared.pattern is not None and isinstance(pattern, str):
        sample = replace(sample, offsets=_declared_offsets(sample.frames[0].shape, declared))
    found = calibrate(sample, pattern)
    print("\n".join(as_lines(found, source.name)))
    measured = as_profile(found, source.name)
    profile = replace(
        declared,
        **{
            name: getattr(measured, name) for name in ("noise", "blur", "blur_error", "calibration")
        },
    )
    if args.json:
        numbers = {
            "noise": profile.noise,
            "blur": profile.blur,
            "blur_error": profile.blur_error,
            **profile.calibration,
        }
        write_atomically(
            args.json, (json.dumps(numbers, indent=2, allow_nan=False) + "\n").encode()
        )
    if args.report:
        from difiisr_ros.lab.calibration.report_html import write_html

        write_html(found, source.name, args.report)
        print(f"report         {args.report}")
    known = (profile.noise, profile.blur, found.fixed) != (None, None, None)
    if args.out and known:
        if found.stuck_certain and len(found.stuck):
            mask = _mask(found.stuck, found.sample.frames[0].shape, declared)
            write_bad_pixels(mask_file, mask)
            profile = replace(profile, bad_pixels=str(mask_file))
            print(f"bad pixels     {mask_file} ({int(mask.sum())})")
        if found.fixed is not None:
            top, bottom, left, right = declared.crop
            offsets = np.pad(found.fixed.offsets, ((top, bottom), (left, right)))
            today = date.today().isoformat()
            FixedPattern(offsets, found.fixed.frames, today, source.name).write(pattern_file)
            profile = replace(profile, pattern=str(pattern_file))
            print(f"offsets        {pattern_file}")
        profile.write(args.out)
        here, anywhere = quote(str(args.out)), quote(f"camera:={args.out.absolute()}")
        print(f"profile        {args.out}; use it as --camera {here}, {anywhere}")
    elif args.out:
        print("profile        not written: neither noise, blur nor pattern is known")
    return 0 if known else 1


def _seen(frame: np.ndarray, camera: CameraProfile, search: PatternSearch) -> np.ndarray:
    search.look(frame)
    return _picture(frame, camera)


def _picture(frame: np.ndarray, camera: CameraProfile) -> np.ndarray:
    """What a frame has of the scene: cropped, and filled in at pixels that are known to be bad."""
    from dataclasses import replace

    from difiisr_ros.lab.frames.put_right import put_right

    if camera.bad_pixels is None:
        return camera.crop.of(frame)
    return put_right(frame, replace(camera, missing=(), pattern=None))


def _declared_offsets(shape: tuple[int, ...], camera: CameraProfile) -> np.ndarray:
    """Of the profile that was given, for frames as cropped."""
    from difiisr_ros.errors import DataError

    offsets = camera.crop.of(camera.fixed_pattern.offsets)
    if offsets.shape != shape:
        raise DataError(
            f"{camera.pattern}: is of {offsets.shape[1]}x{offsets.shape[0]} pixels after the crop, "
            f"the frames have {shape[1]}x{shape[0]}; accepted is a pattern of the camera's size"
        )
    return offsets


def _mask(stuck: np.ndarray, shape: tuple[int, ...], camera: CameraProfile) -> np.ndarray:
    """The mask of pixels that do not measure, of the camera's size: before the crop."""
    import numpy as np

    if camera.bad_pixels is not None:
        mask = camera.bad_mask.copy()
    else:
        crop = camera.crop
        height, width = shape
        mask = np.zeros((height + crop.top + crop.bottom, width + crop.left + crop.right), bool)
    mask[stuck[:, 0] + camera.crop.top, stuck[:, 1] + camera.crop.left] = True
    return mask
