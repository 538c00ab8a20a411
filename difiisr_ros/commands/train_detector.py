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

"""``difiisr train-detector``: train the detector on annotated thermal frames."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from difiisr_ros.backends.factory import THREADS
from difiisr_ros.commands.earlier_output import refuse_other_json
from difiisr_ros.commands.model_target import put_in_place, run_places
from difiisr_ros.commands.numbers import SEEDS, real, whole
from difiisr_ros.commands.outcome import add_strict_argument
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.errors import OptionError
from difiisr_ros.io.write_stack import check_folder, check_target

HELP = "Train the detector on a folder of frames with boxes."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "data", type=Path, metavar="DIR", help="folder of frames to train on, or a file"
    )
    parser.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE",
        help="their boxes in COCO's format (default: DIR.json)",
    )
    parser.add_argument(
        "--validation",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of frames that choose the best weights; never trained on",
    )
    parser.add_argument(
        "--validation-boxes",
        type=Path,
        metavar="FILE",
        help="their boxes (default: the folder's name with .json)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/detector"),
        metavar="OUT",
        help="folder of the run, where an interrupted one is continued; or NAME.safetensors, the "
        "file to write, with the run beside it in NAME.run",
    )
    parser.add_argument("--steps", type=int, default=10_000, metavar="N", help="training steps")
    parser.add_argument("--batch", type=int, default=16, metavar="N", help="crops a step")
    parser.add_argument(
        "--crop", type=int, default=256, metavar="PX", help="side of the crops, a multiple of 32"
    )
    parser.add_argument(
        "--learning-rate",
        type=real(),
        default=2e-3,
        metavar="LR",
        help="peak of the schedule",
    )
    parser.add_argument(
        "--channels",
        type=_five_numbers,
        default=(16, 32, 48, 96, 128),
        metavar="N,N,N,N,N",
        help="of the stages at stride 2, 4, 8, 16 and 32 (default: 16,32,48,96,128)",
    )
    parser.add_argument("--head-channels", type=int, default=32, metavar="N", help="of the head")
    parser.add_argument(
        "--classes",
        default="person,car,bicycle,other_vehicle",
        metavar="NAME,...",
        help="category names of the annotation file",
    )
    parser.add_argument(
        "--rare-below",
        type=real(),
        default=0.25,
        metavar="F",
        help="show classes that a smaller share of the frames has more often; 0: no class",
    )
    parser.add_argument(
        "--seed", type=whole(*SEEDS), default=0, metavar="N", help="of weights and crops"
    )
    parser.add_argument("--data-name", default="", help="what the frames are, for the model file")
    parser.add_argument("--data-licence", default="", help="their licence, for the model file")
    add_strict_argument(parser)
    add_pixel_arguments(parser, profile=True, training=True)
    parser.add_argument(
        "--threads", type=whole(*THREADS), default=0, metavar="N", help="CPU threads (0: all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the mAP history as JSON")


def _five_numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if len(numbers) != 5 or min(numbers) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not five whole numbers above 0")
    return numbers


_five_numbers.__name__ = "list of whole numbers"  # argparse names the type in its message


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code. Raises DataError and OptionError."""
    import pycocotools.cocoeval  # noqa: F401  # the first validation is too late to miss it
    import torch

    from difiisr_ros.atomic_write import write_atomically
    from difiisr_ros.lab.detection.boxes import default_annotations, read_boxes
    from difiisr_ros.lab.detection.train import DetectorTrainer, TrainSettings
    from difiisr_ros.models.detector.model import DetectorConfig

    if args.crop < 64 or args.crop % 32:
        raise OptionError(f"--crop must be a multiple of 32 from 64 up, got {args.crop}")
    for name in ("steps", "batch", "learning_rate", "head_channels"):
        if not getattr(args, name) > 0:
            raise OptionError(f"--{name.replace('_', '-')} must be above 0")
    if not 0 <= args.rare_below <= 1:
        raise OptionError(f"--rare-below must be in [0, 1], got {args.rare_below}")
    if args.threads:
        torch.set_num_threads(args.threads)
    camera = camera_of(args)
    folder, file = run_places(args.out)
    check_folder(folder)
    check_target(file, args.json)
    refuse_other_json(args.json, ("history", "model"))
    classes = tuple(args.classes.split(","))
    data = read_boxes(args.data, args.boxes or default_annotations(args.data), classes)
    validation = read_boxes(
        args.validation, args.validation_boxes or default_annotations(args.validation), classes
    )
    settings = TrainSettings(
        steps=args.steps,
        batch=args.batch,
        crop=args.crop,
        learning_rate=args.learning_rate,
        rare_below=args.rare_below,
        seed=args.seed,
        data_name=args.data_name or args.data.name,
        data_licence=args.data_licence,
        config=DetectorConfig(args.channels, head_channels=args.head_channels, classes=classes),
    )
    trainer = DetectorTrainer(data, validation, folder, settings, args.strict, camera)
    if trainer.resume():
        print(f"continuing {folder} at step {trainer.step}, {trainer.elapsed / 60:.1f} minutes")
    path = put_in_place(trainer.run(), file)
    print(f"wrote {path}{trainer.left_out.summary()}")
    if args.json:
        report = {
            "history": trainer.history,
            "model": str(path),
            "left_out": trainer.left_out.sentences(),
        }
        write_atomically(args.json, (json.dumps(report, indent=2) + "\n").encode())
    return 0
