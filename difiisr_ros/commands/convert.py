"""``difiisr convert``: one model file of the checkpoints of a published model."""

from __future__ import annotations

import argparse
from pathlib import Path

from difiisr_ros.errors import DataError, OptionError

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
    parser.add_argument("--licence", default="", help="terms of the weights, for the file's facts")


def run(args: argparse.Namespace) -> int:
    """Write the file. Raises DataError, ModelError and OptionError."""
    from difiisr_ros.models.published_config import PublishedConfig, read_config_file
    from difiisr_ros.models.published_files import describe, read_checkpoint, save_published

    sources = (args.denoiser, args.autoencoder)
    if args.output.suffix != ".safetensors":
        raise OptionError(f"the output must be named NAME.safetensors, got {args.output}")
    for source in sources:
        if not source.is_file():
            raise DataError(f"{source}: no such file")
        if source.resolve() == args.output.resolve():
            raise DataError(f"{args.output}: is an input, which is never overwritten")
    config = read_config_file(args.config) if args.config else PublishedConfig()
    denoiser, autoencoder = (read_checkpoint(source) for source in sources)
    facts = {
        "sources": [describe(source) for source in sources],
        "licence": args.licence or "not stated; that of the checkpoints",
    }
    try:
        save_published(args.output, (denoiser, autoencoder), config, facts, half=args.half)
    except OSError as error:
        raise DataError(f"{args.output} cannot be written: {error}") from error
    size = args.output.stat().st_size / 2**20
    print(f"wrote {args.output}, {size:.0f} MiB; use it as --model {args.output}")
    return 0
