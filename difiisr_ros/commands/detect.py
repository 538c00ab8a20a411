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

"""``difiisr detect``: run the detector on frames, or score it against boxes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.commands.degradation_arguments import add_degradation_arguments
from difiisr_ros.commands.detector_arguments import add_detector_arguments
from difiisr_ros.commands.earlier_output import refuse_other_json
from difiisr_ros.commands.engine_arguments import add_engine_arguments, engine_arguments
from difiisr_ros.commands.numbers import real
from difiisr_ros.commands.outcome import add_strict_argument
from difiisr_ros.commands.own_results import OwnResults, refuse_inputs, refuse_within
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.core.camera_profile import CameraProfile, resolve_camera
from difiisr_ros.errors import DataError, FrameError, OptionError
from difiisr_ros.io.frame_files import FramePlace
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.io.write_stack import check_target
from difiisr_ros.lab.frames.degrade import CAMERA, check_degradation, known_camera

HELP = "Run the detector on frames; with boxes, score it on HR frames and on upscaled LR ones."
METHODS = ("bicubic", "bicubic_pillow", "lanczos", "difiisr")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "data", type=Path, metavar="DATA", help="folder of frames, or a file of them"
    )
    parser.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE",
        help="their boxes in COCO's format, file_name NAME or NAME#FRAME: score instead of listing "
        "what is found",
    )
    parser.add_argument(
        "--agreement",
        action="store_true",
        help="score without boxes: what the detector finds in the frames themselves, with "
        "--min-score or better, is what it should find in the upscaled ones",
    )
    add_detector_arguments(parser)
    parser.add_argument(
        "--methods",
        type=_methods,
        default=["bicubic"],
        metavar="NAME[,...]",
        help=f"what restores the frames after a reduction x4, of {', '.join(METHODS)} (bicubic); "
        "the detector is shown what --scale makes, at x1 the reduced frame itself or difiisr's",
    )
    add_degradation_arguments(parser)
    parser.add_argument("--num-steps", type=int, metavar="N", help="sampler steps of difiisr (1)")
    parser.add_argument(
        "--min-objects",
        type=int,
        default=20,
        metavar="N",
        help="classes with fewer objects are left out of the means",
    )
    parser.add_argument(
        "--resamples",
        type=int,
        default=1000,
        metavar="N",
        help="of the bootstrap over images that gives the 95 %% intervals",
    )
    parser.add_argument(
        "--min-score",
        type=real(),
        default=0.3,
        metavar="S",
        help="weaker objects are not listed; scoring takes all",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the numbers, or the boxes found"
    )
    parser.add_argument(
        "--draw",
        type=Path,
        metavar="DIR",
        help="write the frames here with the boxes found; without --boxes",
    )
    add_strict_argument(parser)
    add_pixel_arguments(parser)
    add_engine_arguments(parser)
    parser.set_defaults(camera=None)  # None: not given, so that the degradation decides


def _methods(text: str) -> list[str]:
    names = text.split(",")
    unknown = [name for name in names if name not in METHODS]
    if unknown or len(set(names)) != len(names):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a list of different ones of {', '.join(METHODS)}"
        )
    return names


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        DifiisrError: input or an option that cannot be used.
    """
    if args.min_objects < 1 or args.resamples < 1:
        raise OptionError("--min-objects and --resamples must be at least 1")
    if not 0 <= args.min_score < 1:
        raise OptionError(f"--min-score must be in [0, 1), got {args.min_score}")
    check_degradation(args.degradation, args.noise)
    scores = args.agreement or args.boxes is not None
    if args.draw and scores:
        raise OptionError("--draw goes with listing what is found; leave --boxes, --agreement out")
    if args.agreement and args.boxes:
        raise OptionError("--agreement is for frames without --boxes")
    if args.json:
        refuse_inputs(args.json, [args.data, *filter(None, [args.boxes])])
    camera = camera_of(args)
    check_target(args.json)
    refuse_other_json(args.json, ("frames", "left_out"), ("images", "left_out"))
    left_out = LeftOut(args.strict)
    report = _score(args, camera, left_out) if scores else _list(args, camera, left_out)
    report["left_out"] = left_out.sentences()
    if left_out.items:
        print(f"{len(left_out.items)} left out, see above", file=sys.stderr)
    if args.json:
        from difiisr_ros.atomic_write import write_atomically

        write_atomically(args.json, (json.dumps(report, indent=2, allow_nan=False) + "\n").encode())
    return 0


def _list(args: argparse.Namespace, camera: CameraProfile, left_out: LeftOut) -> dict[str, Any]:
    from difiisr_ros.backends.detectors import load_detector
    from difiisr_ros.io.frame_files import find_frames
    from difiisr_ros.io.images import write_image
    from difiisr_ros.lab.detection.draw import draw_boxes
    from difiisr_ros.lab.frames.put_right import read_right, reading

    given = find_frames(args.data)
    pictures = _pictures(given.places)
    own = None if args.draw is None else OwnResults(args.draw, "detect")
    if own is not None:
        refuse_within(args.draw, args.data, "written into")
        own.check(pictures.values())
    detector = load_detector(args.detector, config=args.detector_config)
    frames: dict[str, list[dict[str, Any]]] = {}
    with reading(camera, args.data, given.not_used) as reader:
        for place, picture in pictures.items():
            try:
                image = read_right(place, camera, reader)
                found = detector.detect(image, min_score=args.min_score)
            except (DataError, FrameError) as error:
                left_out.add(str(place), error)
                continue
            if own is not None:
                write_image(args.draw / picture, draw_boxes(image, found, detector.classes))
                own.note([picture])
            found = found.before(camera.crop)
            frames[place.name] = [
                {
                    "class": detector.classes[label],
                    "score": round(float(score), 4),
                    "box": [round(float(side), 1) for side in box],
                }
                for box, score, label in zip(found.boxes, found.scores, found.labels)
            ]
            print(f"{place.name}: {_summary(frames[place.name])}")
    if not frames:
        raise DataError(f"{args.data}: none of its images can be used")
    return {"detector": args.detector, "box": "left, top, right, bottom", "frames": frames}


def _pictures(places: list[FramePlace]) -> dict[FramePlace, str]:
    """Names of the pictures with the frames' boxes, all different."""
    names: dict[FramePlace, str] = {}
    taken: set[str] = set()
    for place in places:
        name = f"{place.stem}.png"
        while name.lower() in taken:  # a.npy beside a.png
            name = f"{name.removesuffix('.png')}_{place.path.suffix[1:]}.png"
        taken.add(name.lower())
        names[place] = name
    return names


def _summary(objects: list[dict[str, Any]]) -> str:
    names = [entry["class"] for entry in objects]
    counts = [f"{names.count(name)} {name}" for name in dict.fromkeys(names)]
    return ", ".join(counts) or "nothing"


def _score(args: argparse.Namespace, camera: CameraProfile, left_out: LeftOut) -> dict[str, Any]:
    from difiisr_ros.lab.detection.judge import agreeing_judge, load_judge
    from difiisr_ros.lab.detection.score import score, score_table
    from difiisr_ros.lab.evaluation.methods import bicubic_upscale, lanczos_upscale, pillow_upscale
    from difiisr_ros.lab.evaluation.results import degradation
    from difiisr_ros.pipeline import SuperResolver

    if args.agreement:
        detector, box_set = agreeing_judge(
            args.detector, args.data, args.min_score, left_out, camera, args.detector_config
        )
    else:
        detector, box_set = load_judge(args.detector, args.data, args.boxes, args.detector_config)
    methods: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "bicubic": partial(bicubic_upscale, scale=args.scale),
        "bicubic_pillow": partial(pillow_upscale, scale=args.scale),
        "lanczos": partial(lanczos_upscale, scale=args.scale),
    }
    resolver = None
    if "difiisr" in args.methods:
        # Never another backend than the one asked for: the numbers would be something else's.
        engine = {
            **engine_arguments(args),
            # What is reduced here has been put right before.
            "camera": resolve_camera(known_camera(args.camera, args.degradation)).of_the_scene(),
        }
        resolver = SuperResolver.load(strict_backend=True, **engine)
        methods["difiisr"] = resolver.upscale
    try:
        report = score(
            detector,
            box_set,
            {name: methods[name] for name in args.methods},
            degradation=args.degradation,
            noise_percent=args.noise,
            min_objects=args.min_objects,
            resamples=args.resamples,
            left_out=left_out,
            camera=camera,
            scale=args.scale,
        )
    finally:
        if resolver is not None:
            resolver.close()
    how: dict[str, Any] = {"degradation": args.degradation}
    if args.degradation == CAMERA:
        how["noise_percent"] = args.noise
    classes = ", ".join(report["averaged"]) or "no class"
    print(
        f"{report['images']} frames of {args.data} ({degradation(how)}), results x{args.scale}, "
        f"{args.detector}; means over {classes}; [95 % interval by bootstrap over images]"
    )
    if args.agreement:
        print(f"Truth: what it finds in the frames themselves with {args.min_score:g} or better")
    print(score_table(report))
    report["settings"] = {
        "path": str(args.data),
        "detector": args.detector,
        "truth": "agreement" if args.agreement else str(args.boxes),
        **how,
        "scale": args.scale,
        "engine": resolver.info.as_dict() if resolver else None,
        "resamples": args.resamples,
        "min_objects": args.min_objects,
    }
    return report
