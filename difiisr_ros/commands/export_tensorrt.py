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

"""``difiisr export --format tensorrt``: build an engine into the cache, where it is looked for."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.backends.factory import AUTO
from difiisr_ros.backends.tensorrt_flavour import FLAVOURS, RTX, STANDARD
from difiisr_ros.commands.earlier_output import refuse_foreign, refuse_other_json
from difiisr_ros.errors import BackendUnavailable, OptionError
from difiisr_ros.export.facts import GraphOptions

DEFAULT_SIZE = (160, 120)


def add_tensorrt_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what only ``--format tensorrt`` has."""
    group = parser.add_argument_group("tensorrt")
    group.add_argument(
        "--build-only", action="store_true", help="build into the cache, and write no file"
    )
    group.add_argument(
        "--fixed",
        action="store_true",
        help="an engine for frames of --size (and --batch) alone, instead of for 8 to 640 pixels",
    )
    group.add_argument(
        "--backend",
        choices=FLAVOURS,
        help="tensorrt: the standard library, or TensorRT-RTX where that is not installed; "
        "tensorrt_rtx: that, which needs no GPU (default: tensorrt, or tensorrt_rtx with --target)",
    )
    group.add_argument(
        "--device",
        default=AUTO,
        help="auto, cuda or cuda:N; an engine of the standard library is for its kind",
    )
    group.add_argument(
        "--target",
        type=_targets,
        default=(),
        metavar="SM,...",
        help="GPUs to build for with TensorRT-RTX, by compute capability: sm75,sm86 for 7.5 and "
        "8.6 (default: sm80,sm86,sm89,sm120)",
    )


def check_not_asked(args: argparse.Namespace) -> None:
    """Raise OptionError where something only TensorRT has is asked of another format."""
    for name in ("build_only", "fixed", "backend", "target"):
        if getattr(args, name):
            raise OptionError(f"--{name.replace('_', '-')} needs --format tensorrt")


def build_engine(args: argparse.Namespace, options: GraphOptions) -> dict[str, Any]:
    """Build the engine, or find it in the cache, and return what its JSON file says.

    Raises:
        OptionError: arguments that do not go together.
        BackendUnavailable: TensorRT is missing, or the GPU that its standard library needs, or the
            engine cannot be built or kept.
    """
    if args.output is None and not args.build_only:
        raise OptionError("give the file to write, NAME.plan, or --build-only")
    if args.output is not None and (args.build_only or args.output.suffix != ".plan"):
        raise OptionError(
            "an engine is written to NAME.plan, and with --build-only to no file; "
            f"got {args.output}"
        )
    refuse_others(args.output)
    try:
        from difiisr_ros.backends.tensorrt_backend import TensorRTBackend
    except ImportError as error:
        raise BackendUnavailable(f"building an engine needs PyTorch ({error})") from error
    width, height = args.size or DEFAULT_SIZE
    batch = 1 if args.batch == "dynamic" else args.batch
    backend = TensorRTBackend(
        args.model,
        args.device,
        options.precision,
        flavour=args.backend or (RTX if args.target else STANDARD),
        build_only=True,
        targets=args.target,
    )
    backend.load()
    path = backend.prepare(options, (batch, height, width), args.fixed)
    backend.close()
    facts = json.loads(path.with_suffix(".json").read_text())
    print(f"engine   {path}, {facts['plan_bytes'] / 2**20:.1f} MiB, for {_takes(facts)}")
    print(f"by       {backend.library}, {facts['build_seconds']:g} s")
    if args.output is not None:
        write_atomically(args.output, path.read_bytes())
        beside = args.output.with_suffix(".json")
        write_atomically(beside, path.with_suffix(".json").read_bytes())
        print(f"wrote    {args.output}, and {beside}, which says what it is")
    return {"file": str(args.output or path), **facts}


def refuse_others(engine: Path | None) -> None:
    """Raise DataError where files are there that are no engine and no facts of one."""
    if engine is None:
        return
    facts = engine.with_suffix(".json")
    refuse_other_json(facts, ("key", "plan_bytes"))
    # An engine is the library's own; only the file beside it says whose it is.
    refuse_foreign(engine, "engine that this command writes", lambda _engine: facts.is_file())


def _takes(facts: dict[str, Any]) -> str:
    shapes = facts["key"]["shapes"]
    (least, low_height, low_width), (most, height, width) = shapes["least"], shapes["largest"]
    if shapes["least"] == shapes["largest"]:
        return f"{most} x {width}x{height} alone"
    return f"{least} to {most} frames of {low_width}x{low_height} to {width}x{height}"


def _targets(text: str) -> tuple[str, ...]:
    return tuple(part.strip().lower() for part in text.split(","))
