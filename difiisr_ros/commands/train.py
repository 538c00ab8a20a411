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

"""``difiisr train``: train the embedded model on a folder of thermal frames."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.backends.factory import THREADS
from difiisr_ros.commands.earlier_output import refuse_other_json
from difiisr_ros.commands.model_target import put_in_place, run_places
from difiisr_ros.commands.numbers import SEEDS, real, whole
from difiisr_ros.commands.outcome import add_strict_argument
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.errors import OptionError
from difiisr_ros.io.write_stack import check_folder, check_target
from difiisr_ros.models.features.load import ACCEPTED, split_spec
from difiisr_ros.models.model_files import EMBEDDED

if TYPE_CHECKING:
    from difiisr_ros.lab.training.distill import Teacher

ENOUGH_FRAMES, ENOUGH_TO_TUNE = 200, 40
"""Frames below which a training, or the tuning of a trained model, is warned of."""
MUON_RATE = 20 / 3
"""Of Muon, in units of the learning rate of AdamW."""
PRECISIONS = ("auto", "bf16", "fp32")
HELP = "Train an embedded model on a folder of frames."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "data", type=Path, metavar="DIR", help="folder of high-resolution frames, or a file"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out/train"),
        metavar="OUT",
        help="folder of the run, where an interrupted one is continued; or NAME.safetensors, the "
        "file to write, with the run beside it in NAME.run",
    )
    parser.add_argument(
        "--minutes",
        type=real(),
        default=90.0,
        metavar="N",
        help="training time, all stages together",
    )
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="DIR",
        help="frames to measure PSNR on while training; without it every 50th frame is held out",
    )
    parser.add_argument(
        "--degradation",
        default="camera",
        metavar="KIND",
        help="camera (blur, pattern, noise as cameras have, a part reduced by bicubic) or "
        "reduced (antialiased bicubic alone)",
    )
    parser.add_argument("--batch", type=int, default=8, metavar="N", help="crops a step")
    parser.add_argument(
        "--crop",
        type=int,
        default=192,
        metavar="PX",
        help="side of the high-resolution crops, a multiple of 8",
    )
    parser.add_argument(
        "--learning-rate",
        type=real(),
        default=3e-3,
        metavar="LR",
        help="peak of the schedule, of AdamW; Muon's is 20/3 of it",
    )
    parser.add_argument(
        "--init",
        metavar="MODEL",
        help="start from this model file, or from lite or nano: fine-tuning to your own camera",
    )
    parser.add_argument(
        "--architecture",
        choices=EMBEDDED,
        default="lite",
        help="network to train: of the embedded lite, or of the faster nano; with --init it is "
        "that model's",
    )
    parser.add_argument(
        "--distill",
        metavar="MODEL",
        help="learn the results of this published model (a file of 'difiisr convert') instead of "
        "the frames themselves",
    )
    parser.add_argument(
        "--distill-steps",
        type=whole(1),
        default=1,
        metavar="N",
        help="diffusion steps that it takes",
    )
    parser.add_argument(
        "--distill-fresh",
        type=int,
        default=1,
        metavar="N",
        help="crops that it upscales for each training step",
    )
    parser.add_argument(
        "--prior-share",
        type=real(),
        default=0.6,
        metavar="F",
        help="share of the time for the one-step answer",
    )
    parser.add_argument(
        "--guided-share",
        type=real(),
        default=0.0,
        metavar="F",
        help="share of that, at its end, in which spectrum and features count beside PSNR",
    )
    parser.add_argument(
        "--few-step-share",
        type=real(),
        default=0.2,
        metavar="F",
        help="share of the time, at its end, for 2 and 4 steps as run",
    )
    parser.add_argument(
        "--spectrum-weight",
        type=real(),
        default=0.02,
        metavar="W",
        help="of the spectrum as a loss (n steps: n^2 times)",
    )
    parser.add_argument(
        "--feature-weight", type=real(), default=0.2, metavar="W", help="of the features as a loss"
    )
    parser.add_argument(
        "--features",
        default="thermal",
        metavar="NAME",
        help=f"of which network, as a loss and for guidance: {ACCEPTED}",
    )
    parser.add_argument(
        "--seed", type=whole(*SEEDS), default=0, metavar="N", help="of crops, noise and weights"
    )
    parser.add_argument("--data-name", default="", help="what the frames are, for the model file")
    parser.add_argument("--data-licence", default="", help="their licence, for the model file")
    add_strict_argument(parser)
    add_pixel_arguments(parser, profile=True, training=True)
    parser.add_argument(
        "--threads", type=whole(*THREADS), default=0, metavar="N", help="CPU threads (0: all)"
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="auto",
        help="bf16 takes little more than half of fp32's time where the device computes in it; "
        "auto: bf16 there, and fp32 for the last fifth of each stage, without which smooth frames "
        "get texture",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the PSNR history as JSON")


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code. Raises DataError and OptionError."""
    import torch

    from difiisr_ros.lab.training.degradation import DEGRADATIONS
    from difiisr_ros.lab.training.train import Trainer, TrainSettings
    from difiisr_ros.models.lite import EMBEDDED_CONFIGS

    if args.degradation not in DEGRADATIONS:
        raise OptionError(
            f"--degradation is one of {', '.join(DEGRADATIONS)}, got {args.degradation!r}"
        )
    if args.crop < 32 or args.crop % 8:
        raise OptionError(f"--crop must be a multiple of 8 from 32 up, got {args.crop}")
    for name in ("minutes", "batch", "learning_rate"):
        if not getattr(args, name) > 0:
            raise OptionError(f"--{name.replace('_', '-')} must be above 0")
    if not 0 <= args.guided_share <= 1:
        raise OptionError(f"--guided-share must be in [0, 1], got {args.guided_share}")
    for name in ("prior_share", "few_step_share"):
        if not 0 <= getattr(args, name) <= 1:
            flag = f"--{name.replace('_', '-')}"
            raise OptionError(f"{flag} must be in [0, 1], got {getattr(args, name)}")
    if args.prior_share + args.few_step_share > 1:
        raise OptionError(
            f"--prior-share and --few-step-share are at most 1 together, "
            f"got {args.prior_share} and {args.few_step_share}"
        )
    for name in ("spectrum_weight", "feature_weight"):
        if not 0 <= getattr(args, name) <= 100:
            flag = f"--{name.replace('_', '-')}"
            raise OptionError(f"{flag} must be in [0, 100], got {getattr(args, name)}")
    split_spec(args.features)
    if args.threads:
        torch.set_num_threads(args.threads)
    camera = camera_of(args)
    folder, file = run_places(args.out)
    check_folder(folder)
    check_target(file, args.json)
    refuse_other_json(args.json, ("history", "model"))
    settings = TrainSettings(
        minutes=args.minutes,
        prior_share=args.prior_share,
        batch=args.batch,
        crop=args.crop,
        learning_rate=args.learning_rate,
        muon_rate=args.learning_rate * MUON_RATE,
        guided_share=args.guided_share,
        few_step_share=args.few_step_share,
        spectrum_weight=args.spectrum_weight,
        feature_weight=args.feature_weight,
        features=args.features,
        degradation=args.degradation,
        seed=args.seed,
        data_name=args.data_name,
        data_licence=args.data_licence,
        precision=args.precision,
        config=EMBEDDED_CONFIGS[args.architecture],
    )  # fmt: skip
    trainer = Trainer(
        args.data,
        folder,
        settings,
        args.validation,
        args.init,
        _teacher(args),
        args.strict,
        camera,
    )
    first = int(os.environ.get("RANK", "0")) == 0
    if trainer.resume() and first:
        print(f"continuing {folder} at step {trainer.step}, {trainer.elapsed / 60:.1f} minutes")
    if first and (few := few_frames(len(trainer.frames), args.minutes, tuned=bool(args.init))):
        print(few, file=sys.stderr)
    path = trainer.run()
    if first:
        path = put_in_place(path, file)
        print(f"wrote {path}{trainer.left_out.summary()}")
        if trainer.verdict is not None:
            print(trainer.verdict.sentence())
        if args.json:
            report = {
                "history": trainer.history,
                "verdict": None if trainer.verdict is None else asdict(trainer.verdict),
                "model": str(path),
                "left_out": trainer.left_out.sentences(),
            }
            write_atomically(args.json, (json.dumps(report, indent=2) + "\n").encode())
    return 0


def few_frames(frames: int, minutes: float, *, tuned: bool) -> str:
    """What to say of a training that so few frames are not worth; empty where they are enough."""
    enough = ENOUGH_TO_TUNE if tuned else ENOUGH_FRAMES
    if frames >= enough or minutes < 1:
        return ""
    return (
        f"warning: {frames} frame{'s' if frames > 1 else ''} for {minutes:g} minutes: a model "
        f"learns these by heart and little else; {enough} or more, of different scenes, are worth "
        f"the time" + ("" if tuned else f", or {ENOUGH_TO_TUNE} to tune a model (--init lite)")
    )


def _teacher(args: argparse.Namespace) -> Teacher | None:
    if not args.distill:
        return None
    from difiisr_ros.core.device import current_device
    from difiisr_ros.lab.training.distill import Teacher

    if not 1 <= args.distill_fresh <= args.batch:
        raise OptionError(
            f"--distill-fresh must be in 1..{args.batch} (--batch), got {args.distill_fresh}"
        )
    return Teacher(
        args.distill, current_device(), num_steps=args.distill_steps, fresh=args.distill_fresh
    )
