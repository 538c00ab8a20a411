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

"""``difiisr upscale IN OUT``: a file or a folder of frames, or a bag, at another size."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.commands.earlier_output import refuse_other_json
from difiisr_ros.commands.engine_arguments import add_engine_arguments, load_engine
from difiisr_ros.commands.numbers import real
from difiisr_ros.commands.outcome import Outcome
from difiisr_ros.commands.own_results import refuse_inputs, refuse_within
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.commands.result_arguments import add_result_arguments, result_arguments
from difiisr_ros.commands.stream_arguments import (
    StreamMemories,
    add_stream_argument,
    memory_options,
)
from difiisr_ros.commands.unread_options import DEFAULTS, unread
from difiisr_ros.commands.upscale_bag import CONVENTIONS, STORAGES, upscale_bag
from difiisr_ros.commands.upscale_between import BAGS, FILES, bag_to_files, files_to_bag
from difiisr_ros.commands.upscale_files import Job, plan_files, upscale_files
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.bags import is_bag
from difiisr_ros.io.stack import COUNTS, UNITS, ReadOptions
from difiisr_ros.io.write_stack import check_folder, check_target

HELP = "Super-resolve an image, a folder of frames or a rosbag2 bag."
EXIT_SOME_FAILED = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "input",
        type=Path,
        metavar="IN",
        help="a file of frames (PNG, TIFF with any number of pages, JPEG, BMP, PGM, FLIR's "
        "radiometric JPEG, FFF and SEQ, .npy, .npz, .csv of numbers, a video), a folder of them, "
        "or a bag",
    )
    parser.add_argument(
        "output",
        action=_Output,
        metavar="OUT",
        help="a file or a folder for a file, a folder for a folder, a new bag for a bag; of a bag "
        "NAME.png or NAME.tiff writes a file for each frame, and NAME.mcap makes a bag of files; "
        "NAME/ is a folder, whatever its ending; never the input or in it",
    )
    parser.add_argument(
        "--num-steps", type=int, metavar="N", help="diffusion steps of the model (1)"
    )
    add_stream_argument(parser)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was done as JSON")
    parser.add_argument(
        "--strict", action="store_true",
        help="exit with 2 where anything had to be left out or a file ends early, not only where "
        "nothing is left",
    )  # fmt: skip
    files = parser.add_argument_group("files")
    files.add_argument(
        "--recursive", action="store_true", help="take a folder's sub-folders too; OUT mirrors them"
    )
    existing = files.add_mutually_exclusive_group()
    existing.add_argument(
        "--skip-existing", action="store_true", help="leave results as they are that are there"
    )
    existing.add_argument(
        "--overwrite", action="store_true", help="replace files that are there, whatever they are"
    )
    files.add_argument(
        "--preview", action="store_true",
        help="beside each result of more than 8 bits a picture to look at, of its first frame: "
        "NAME_preview.png, false colours",
    )  # fmt: skip
    files.add_argument(
        "--unit", choices=UNITS, default=COUNTS,
        help="counts as they are, or temperatures (float32): by the constants in FLIR's files, of "
        "others by kelvin_per_count and kelvin_offset of the profile (--camera FILE)",
    )  # fmt: skip
    files.add_argument(
        "--allow-preview", action="store_true",
        help="take the 8-bit picture of a radiometric JPEG, without its temperatures",
    )  # fmt: skip
    group = parser.add_argument_group("bags")
    group.add_argument(
        "--topic",
        action="append",
        metavar="TOPIC",
        help="image topic to upscale, may be repeated; default: all that are not results",
    )
    group.add_argument(
        "--namespace",
        default=DEFAULTS["namespace"],
        help="results of /cam/image_raw go to /cam/NAMESPACE/image_raw",
    )
    group.add_argument(
        "--camera-info-convention",
        choices=CONVENTIONS,
        default=DEFAULTS["camera_info_convention"],
        help="how the principal point is scaled",
    )
    group.add_argument(
        "--rate", type=real(0.001), default=DEFAULTS["rate"], metavar="HZ",
        help="of files that become a bag and have no stamps in their names",
    )  # fmt: skip
    group.add_argument("--storage", choices=STORAGES, help="of the new bag; default: as the old")
    add_result_arguments(parser)
    add_pixel_arguments(parser)
    add_engine_arguments(parser, fallback=True)


class _Output(argparse.Action):
    """A path, and whether a slash at its end says that it is a folder, which a path has not."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option: str | None = None
    ) -> None:
        namespace.output = Path(values)
        namespace.output_is_folder = values.endswith(("/", os.sep))


def run(args: argparse.Namespace) -> int:
    """Upscale; 0 when done, 2 when nothing could be used, or, with --strict, not all.

    Raises:
        DataError, OptionError, ModelError, BackendUnavailable: Nothing could be done, or a result
            could not be written.
    """
    bag = is_bag(args.input)
    outcome = Outcome()
    jobs: list[Job] = []
    camera = camera_of(args)
    memories = StreamMemories(memory_options(args))
    ending = "" if args.output_is_folder else args.output.suffix.lower()
    options = ReadOptions(
        args.unit, args.allow_preview, args.max_input_pixels, camera.byte_order, camera.temperatures
    )
    if args.stream and args.skip_existing:
        raise OptionError(
            "--skip-existing is not for --stream, where a result depends on the frames before; "
            "--overwrite makes all of them anew"
        )
    if bag or ending in BAGS:
        _refuse_what_is_for_files(args)
        if not args.input.exists():
            raise DataError(f"{args.input}: no such file or folder")
        refuse_within(args.output, args.input)
        _check_unit(args, camera)
    else:
        jobs = plan_files(
            args.input, args.output, options, outcome,
            recursive=args.recursive, skip_existing=args.skip_existing, overwrite=args.overwrite,
            preview=args.preview, into_folder=args.output_is_folder,
        )  # fmt: skip
    if args.json:
        refuse_inputs(args.json, [args.input])
        if args.json.resolve() == args.output.resolve():
            raise OptionError(f"--json {args.json}: is OUT")
        check_target(args.json)
        if not args.overwrite:
            refuse_other_json(args.json, ("input", "output", "frames", "failed", "engine"))
    if bag and ending in FILES:
        check_target(args.output)
    elif bag or ending in BAGS:
        check_folder(args.output)
    resolver = load_engine(args, camera=camera, **result_arguments(args))
    for words in unread(args, (bag, ending in BAGS or (bag and ending not in FILES))):
        outcome.notice(words)
    try:
        started = time.perf_counter()
        if bag and ending in FILES:
            bag_to_files(
                args.input, args.output, resolver, outcome, args.topic, args.unit, memories
            )
        elif not bag and ending in BAGS:
            files_to_bag(args.input, args.output, resolver, outcome, args.rate, options, memories)
        elif bag:
            upscale_bag(
                args.input,
                args.output,
                resolver,
                outcome,
                topics=args.topic,
                namespace=args.namespace,
                convention=args.camera_info_convention,
                storage=args.storage,
                unit=args.unit,
                memories=memories,
            )
        else:
            upscale_files(jobs, resolver, options, outcome, memories)
        seconds = time.perf_counter() - started
        info = resolver.info  # what has run, also where it changed on the way
    finally:
        resolver.close()
    report = _report(args, info.as_dict(), outcome, seconds)
    if args.json:
        write_atomically(args.json, (json.dumps(report, indent=2) + "\n").encode())
    _print(report, outcome)
    nothing = outcome.failed.items and not outcome.done and not outcome.skipped
    not_all = bool(outcome.failed.items) or outcome.incomplete
    return EXIT_SOME_FAILED if nothing or (args.strict and not_all) else 0


def _refuse_what_is_for_files(args: argparse.Namespace) -> None:
    """Raise OptionError for an option that a bag has no use for."""
    for name, default in (
        ("recursive", False), ("skip_existing", False), ("overwrite", False), ("preview", False),
        ("allow_preview", False),
    ):  # fmt: skip
        if getattr(args, name) != default:
            raise OptionError(
                f"--{name.replace('_', '-')} is for files, and {args.input} or {args.output} is a "
                "bag"
            )


def _check_unit(args: argparse.Namespace, camera: CameraProfile) -> None:
    """Raise OptionError where a bag's results cannot be what was asked for."""
    if args.unit == COUNTS:
        return
    if not is_bag(args.input):
        raise OptionError(
            f"--unit {args.unit} is not for files that become a bag: {args.output} would hold "
            "frames in counts and results in another unit; upscale the files, or the bag after"
        )
    if args.output.suffix.lower() == ".png" and not args.output_is_folder:
        raise OptionError(
            f"{args.output}: .png holds whole numbers, and --unit {args.unit} gives float32; "
            "accepted are .tif and .tiff, or a bag"
        )
    if camera.temperatures is None:
        raise OptionError(
            f"--unit {args.unit}: nothing says what a count of {args.input} is; kelvin_per_count "
            "in the camera's profile does (--camera FILE)"
        )


def _report(
    args: argparse.Namespace, info: dict[str, Any], outcome: Outcome, seconds: float
) -> dict[str, Any]:
    return {
        "input": str(args.input),
        "output": str(args.output),
        "frames": outcome.done,
        "failed": [{"name": name, "reason": reason} for name, reason in outcome.failed.items],
        "skipped": outcome.skipped,
        "not_used": [{"name": name, "what": what} for name, what in outcome.not_used],
        "notices": outcome.notices,
        "seconds": round(seconds, 3),
        "frames_per_second": round(outcome.done / max(seconds, 1e-9), 2),
        "engine": info,
        "settings": {
            "num_steps": info["num_steps"],
            "guidance": info["guidance"],
            "seed": args.seed,
            "consistency": args.consistency,
            "range_mode": args.range_mode,
            "unit": args.unit,
            "stream": args.stream,
        },
    }


def _print(report: dict[str, Any], outcome: Outcome) -> None:
    engine = report["engine"]
    frames = "1 frame" if report["frames"] == 1 else f"{report['frames']} frames"
    skipped = f" ({outcome.skipped} files were there already)" if outcome.skipped else ""
    print(
        f"{frames} -> {report['output']} in {report['seconds']:.1f} s "
        f"({engine['model']}, {engine['backend']} on {engine['device']}, {engine['precision']})"
        f"{skipped}"
    )
    if outcome.failed.items:
        print(f"{len(outcome.failed.items)} left out, see above", file=sys.stderr)
    if outcome.not_used:
        print(f"not used: {outcome.not_used_in_words()}", file=sys.stderr)
