"""The ``difiisr calibrate`` command: a camera profile from the camera's own frames."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

HELP = "Measure a camera's noise and blur from its frames and write its profile."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "data", metavar="DATA", help="bag, folder of frames, or image of one camera"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="write the profile here (camera.yaml)"
    )
    parser.add_argument("--topic", metavar="NAME", help="image topic of a bag with several")
    parser.add_argument(
        "--frames",
        type=int,
        default=60,
        metavar="N",
        help="measure as many frames, evenly spaced",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="write a report to look at here (HTML)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers to FILE")


def run(args: argparse.Namespace) -> int:
    """Measure, print, write; 0, or 1 where neither noise nor blur could be measured.

    Raises:
        DataError: the source cannot be read or an output cannot be written.
        OptionError: a number of frames below 1.
    """
    from difiisr_ros.atomic_write import write_atomically
    from difiisr_ros.commands.own_results import refuse_inputs
    from difiisr_ros.errors import OptionError
    from difiisr_ros.io.frames import open_source
    from difiisr_ros.io.write_stack import check_target
    from difiisr_ros.lab.calibration.measure import calibrate, sample_frames
    from difiisr_ros.lab.calibration.record import as_lines, as_profile

    if args.frames < 1:
        raise OptionError(f"--frames must be 1 or more, got {args.frames}")
    for output in filter(None, (args.out, args.report, args.json)):
        refuse_inputs(output, [Path(args.data)])
    check_target(args.out, args.report, args.json)
    source = open_source(args.data, topic=args.topic)
    found = calibrate(sample_frames((f.image for f in source.frames()), args.frames))
    print("\n".join(as_lines(found, source.name)))
    profile = as_profile(found, source.name)
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
    known = profile.noise is not None or profile.blur is not None
    if args.out and known:
        profile.write(args.out)
        print(f"profile        {args.out}; use it as --camera {args.out}, camera:={args.out}")
    elif args.out:
        print("profile        not written: neither noise nor blur is known")
    return 0 if known else 1
