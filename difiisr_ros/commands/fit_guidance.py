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

"""``difiisr fit-guidance``: fit what guidance expects of frames to a model, and store it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from difiisr_ros.backends.factory import THREADS
from difiisr_ros.commands.earlier_output import refuse_foreign
from difiisr_ros.commands.numbers import whole
from difiisr_ros.commands.outcome import add_strict_argument
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.errors import OptionError
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.io.write_stack import check_target
from difiisr_ros.models.features.load import ACCEPTED, split_spec
from difiisr_ros.models.model_files import EMBEDDED, model_path

HELP = "Fit what guidance expects to a model's answers to your frames, and store it in its file."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="lite, nano, a file of 'difiisr train', or one of 'difiisr convert'",
    )
    parser.add_argument(
        "frames", type=Path, metavar="FRAMES", help="HR frames of your camera's kind"
    )
    parser.add_argument(
        "--features",
        default="thermal",
        metavar="NAME",
        help=f"what perceptual guidance sees through: {ACCEPTED}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the model file to write, NAME.safetensors (MODEL itself; lite and nano are never "
        "written to)",
    )
    parser.add_argument("--count", type=int, default=120, metavar="N", help="frames to use at most")
    parser.add_argument(
        "--largest",
        type=int,
        default=0,
        metavar="PX",
        help="cut frames to this side, around their middle: less time and memory (0: whole)",
    )
    add_strict_argument(parser)
    add_pixel_arguments(parser, profile=True)
    parser.add_argument(
        "--threads", type=whole(*THREADS), default=0, metavar="N", help="CPU threads (0: all)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code. Raises DataError, ModelError and OptionError."""
    import torch

    from difiisr_ros.lab.training.fit_file import fit_file, is_fitted

    if args.count < 1:
        raise OptionError(f"--count must be 1 or more, got {args.count}")
    if args.largest and args.largest < 64:
        raise OptionError(f"--largest must be 0, or 64 or more, got {args.largest}")
    if args.out is None and args.model in EMBEDDED:
        raise OptionError(f"{args.model} is part of the package: name another file by --out")
    out = args.out or Path(args.model).expanduser()
    if out.suffix != ".safetensors":
        raise OptionError(f"--out must be named NAME.safetensors, got {out}")
    split_spec(args.features)
    camera = camera_of(args)
    check_target(out)
    if args.out is not None and out.resolve() != (model := model_path(args.model)).resolve():
        refuse_foreign(out, f"copy of {args.model}", lambda path: is_fitted(path, model))
    if args.threads:
        torch.set_num_threads(args.threads)
    begin = time.perf_counter()
    left_out = LeftOut(args.strict)
    priors = fit_file(
        args.model, args.frames, args.features, out, args.count, args.largest, left_out, camera
    )
    assert priors.features is not None
    seconds = time.perf_counter() - begin
    print(
        f"wrote {out}: visual guidance, and perceptual guidance by {priors.features.spec}, fitted "
        f"in {seconds:.0f} s{left_out.summary()}"
    )
    return 0
