"""``difiisr upscale IN OUT``: an image, a folder of frames, or a bag, four times the size."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.commands.engine_arguments import add_engine_arguments, engine_arguments
from difiisr_ros.commands.upscale_bag import CONVENTIONS, STORAGES, upscale_bag
from difiisr_ros.errors import DataError, DifiisrError
from difiisr_ros.io.bags import is_bag
from difiisr_ros.io.images import IMAGE_SUFFIXES, list_images, read_image, write_image

HELP = "Super-resolve an image, a folder of frames or a rosbag2 bag x4."
EXIT_SOME_FAILED = 2

_log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """What has been done so far."""

    done: int = 0
    #: Name and reason of every frame that could not be upscaled.
    failed: list[tuple[str, str]] = field(default_factory=list)
    #: What a bag has lost, in sentences.
    notices: list[str] = field(default_factory=list)

    def fail(self, name: str, error: DifiisrError) -> None:
        """Note a frame that could not be upscaled, and say so at once."""
        self.failed.append((name, str(error)))
        _log.error("left out: %s", error if name in str(error) else f"{name}: {error}")

    def notice(self, sentence: str) -> None:
        """Note what was missing before we came, and say so."""
        self.notices.append(sentence)
        _log.warning("%s", sentence)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "input",
        type=Path,
        metavar="IN",
        help="an image (PNG, TIFF, JPEG, BMP, PGM; 8 or 16 bits, float32 TIFF), a folder of them, "
        "or a bag",
    )
    parser.add_argument(
        "output",
        type=Path,
        metavar="OUT",
        help="an image file or a folder for an image, a folder for a folder, a new bag for a bag",
    )
    parser.add_argument(
        "--num-steps", type=int, metavar="N", help="diffusion steps of the model (1)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was done as JSON")
    group = parser.add_argument_group("bags")
    group.add_argument(
        "--topic",
        action="append",
        metavar="TOPIC",
        help="image topic to upscale, may be repeated; default: all that are not results",
    )
    group.add_argument(
        "--namespace",
        default="sr",
        help="results of /cam/image_raw go to /cam/NAMESPACE/image_raw",
    )
    group.add_argument(
        "--camera-info-convention",
        choices=CONVENTIONS,
        default=CONVENTIONS[0],
        help="how the principal point is scaled",
    )
    group.add_argument("--storage", choices=STORAGES, help="of the new bag; default: as the old")
    add_engine_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Upscale; 0 when all of it was, 2 when something had to be left out.

    Raises:
        DataError, OptionError, ModelError, BackendUnavailable: Nothing could be done.
    """
    from difiisr_ros.pipeline import SuperResolver

    bag = is_bag(args.input)
    targets = [] if bag else _image_targets(args.input, args.output)
    if bag and args.output.resolve() == args.input.resolve():
        raise DataError(f"{args.output}: is the input, which is never overwritten")
    resolver = SuperResolver.load(**engine_arguments(args))
    outcome = Outcome()
    try:
        info = resolver.info
        if info.fallback:
            _log.warning("running %s instead: %s", info.backend, info.fallback)
        started = time.perf_counter()
        if bag:
            upscale_bag(
                args.input,
                args.output,
                resolver,
                outcome,
                topics=args.topic,
                namespace=args.namespace,
                convention=args.camera_info_convention,
                storage=args.storage,
            )
        else:
            _upscale_images(targets, resolver, outcome)
        seconds = time.perf_counter() - started
    finally:
        resolver.close()
    report = _report(args, info.as_dict(), outcome, seconds)
    if args.json:
        write_atomically(args.json, (json.dumps(report, indent=2) + "\n").encode())
    _print(report)
    return EXIT_SOME_FAILED if outcome.failed else 0


def _image_targets(source: Path, output: Path) -> list[tuple[Path, Path]]:
    """What to read and where to write it.

    Raises:
        DataError: The input is missing or unusable, or an output would overwrite an input.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    if source.is_dir():
        if output.is_file():
            raise DataError(f"{output}: is a file, but the results of a folder need a folder")
        files = list_images(source)
        targets = list(zip(files, _names(files, output)))
    elif output.is_dir() or not output.suffix:
        targets = [(source, _names([source], output)[0])]
    else:
        if output.suffix.lower() not in IMAGE_SUFFIXES:
            raise DataError(
                f"{output}: unknown image format {output.suffix}; accepted are "
                f"{', '.join(IMAGE_SUFFIXES)}"
            )
        targets = [(source, output)]
    inputs = {path.resolve() for path, _ in targets}
    for _, target in targets:
        if target.resolve() in inputs:
            raise DataError(
                f"{target}: is an input, which is never overwritten; choose another OUT"
            )
    return targets


def _names(files: list[Path], folder: Path) -> list[Path]:
    """Output files in a folder: names kept, lossy and rare formats as PNG, all different."""
    kept = {p.name.lower() for p in files if p.suffix.lower() in (".png", ".tif", ".tiff")}
    names = []
    for path in files:
        name = path.name
        if name.lower() not in kept:
            name = f"{path.stem}.png"
            if name.lower() in kept:  # a.jpg beside a.png
                name = f"{path.stem}_{path.suffix[1:]}.png"
            kept.add(name.lower())
        names.append(folder / name)
    return names


def _upscale_images(targets: list[tuple[Path, Path]], resolver: Any, outcome: Outcome) -> None:
    from tqdm import tqdm

    single = len(targets) == 1
    for source, target in tqdm(targets, unit="frame", disable=True if single else None):
        try:
            write_image(target, resolver.upscale(read_image(source)))
        except DifiisrError as error:
            if single:
                raise DataError(
                    str(error) if str(source) in str(error) else f"{source}: {error}"
                ) from error
            outcome.fail(str(source), error)
        else:
            outcome.done += 1


def _report(
    args: argparse.Namespace, info: dict[str, Any], outcome: Outcome, seconds: float
) -> dict[str, Any]:
    return {
        "input": str(args.input),
        "output": str(args.output),
        "frames": outcome.done,
        "failed": [{"name": name, "reason": reason} for name, reason in outcome.failed],
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
        },
    }


def _print(report: dict[str, Any]) -> None:
    engine = report["engine"]
    frames = "1 frame" if report["frames"] == 1 else f"{report['frames']} frames"
    print(
        f"{frames} -> {report['output']} in {report['seconds']:.1f} s "
        f"({engine['model']}, {engine['backend']} on {engine['device']}, {engine['precision']})"
    )
    if report["failed"]:
        print(f"{len(report['failed'])} left out, see above", file=sys.stderr)
