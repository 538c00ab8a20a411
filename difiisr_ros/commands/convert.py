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

"""``difiisr convert``: one model file of the checkpoints of a published model."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from difiisr_ros.commands.earlier_output import refuse_foreign
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, camera_of
from difiisr_ros.core.camera_profile import AUTO, CameraProfile
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.io.write_stack import check_target

if TYPE_CHECKING:
    from difiisr_ros.models.guidance_priors import GuidancePriors
    from difiisr_ros.models.published.config import PublishedConfig

HELP = "Make one model file of a published model's checkpoints."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "denoiser", type=Path, metavar="DENOISER", help="checkpoint of the denoiser: DifIISR.pth"
    )
    parser.add_argument(
        "autoencoder",
        type=Path,
        metavar="AUTOENCODER",
        help="checkpoint of its autoencoder: autoencoder_vq_f4.pth",
    )
    parser.add_argument(
        "output", type=Path, metavar="OUT", help="the file to write, NAME.safetensors"
    )
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="YAML or JSON of the published form, for networks of other sizes or schedules; "
        "default: the published DifIISR's",
    )
    parser.add_argument(
        "--half", action="store_true", help="store float16: half the size, and a little less exact"
    )
    parser.add_argument(
        "--unpadded-autoencoder",
        action="store_true",
        help="let it work on the frame itself, without the padding to multiples of 64: less work "
        "for 160x120 and other such sizes, but not exactly the release's result",
    )
    parser.add_argument(
        "--frames",
        type=Path,
        metavar="DIR",
        help="HR frames of your camera's kind, a folder or a file, to fit to this model what "
        "guidance expects: makes perceptual guidance possible and visual guidance exacter; seconds "
        "a frame on a CPU",
    )
    parser.add_argument(
        "--frames-count", type=int, default=48, metavar="N", help="of them to use (default: 48)"
    )
    parser.add_argument("--licence", default="", help="terms of the weights, for the file's facts")
    add_pixel_arguments(parser, profile=True)


def run(args: argparse.Namespace) -> int:
    """Write the file. Raises DataError, ModelError and OptionError."""
    from difiisr_ros.models.published.config import PublishedConfig, read_config_file
    from difiisr_ros.models.published.files import describe, read_checkpoint, save_published
    from difiisr_ros.models.published.kind import is_published

    sources = (args.denoiser, args.autoencoder)
    if args.output.suffix != ".safetensors":
        raise OptionError(f"the output must be named NAME.safetensors, got {args.output}")
    for source in sources:
        if not source.is_file():
            raise DataError(f"{source}: no such file")
        if source.resolve() == args.output.resolve():
            raise DataError(f"{args.output}: is an input, which is never overwritten")
    if args.frames_count < 1:
        raise OptionError(f"--frames-count must be 1 or more, got {args.frames_count}")
    camera = camera_of(args)
    if args.frames is None and camera != CameraProfile(source=AUTO):
        raise OptionError(
            "--camera and the options on its pixels are for --frames, which is not given"
        )
    check_target(args.output)
    refuse_foreign(args.output, "converted model", lambda path: is_published(str(path)))
    config = read_config_file(args.config) if args.config else PublishedConfig()
    if args.unpadded_autoencoder:
        config = replace(config, pad_autoencoder=False)
    denoiser, autoencoder = (read_checkpoint(source) for source in sources)
    facts: dict[str, Any] = {
        "sources": [describe(source) for source in sources],
        "licence": args.licence or "not stated; that of the checkpoints",
    }
    priors = None
    if args.frames:
        priors, count = _fit(args, config, camera)
        facts["guidance_fitted_to"] = f"{count} frames of {args.frames.name}"
    try:
        save_published(args.output, (denoiser, autoencoder), config, facts, args.half, priors)
    except OSError as error:
        raise DataError(f"{args.output} cannot be written: {error}") from error
    size = args.output.stat().st_size / 2**20
    name = quote(str(args.output))
    print(f"wrote {args.output}, {size:.0f} MiB; difiisr upscale --model {name} uses it")
    return 0


def _fit(
    args: argparse.Namespace, config: PublishedConfig, camera: CameraProfile
) -> tuple[GuidancePriors, int]:
    """What guidance expects of the model's answers, and how many frames it is from."""
    import torch

    from difiisr_ros.core.device import choose_device
    from difiisr_ros.lab.training.data import load_frames
    from difiisr_ros.lab.training.guidance_priors import fit_guidance_priors, published_answer
    from difiisr_ros.models.published.config import SCALE
    from difiisr_ros.models.published.files import load_published, prepare

    # The largest LR frame that is not padded: a larger one would take more time, and tell no more.
    side = SCALE * config.unet["image_size"]
    frames = load_frames(args.frames, side // 2, camera=camera)
    device = choose_device()
    model, _ = load_published(str(args.denoiser), str(args.autoencoder), config)
    answer = published_answer(prepare(model, device, torch.float32))
    count = min(args.frames_count, len(frames))
    print(f"fitting guidance to {count} frames of {args.frames}")
    return fit_guidance_priors(
        answer,
        device,
        frames,
        count=count,
        largest=side,
        degradation="reduced",  # as it was trained
    ), count
