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

"""The arguments that choose size and part of the results, for commands that write them."""

from __future__ import annotations

import argparse
from typing import Any

from difiisr_ros.core.output_geometry import OUTPUT_FITS
from difiisr_ros.options import UpscaleOptions, not_read


def add_result_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what :func:`result_arguments` reads."""
    default = UpscaleOptions()
    group = parser.add_argument_group("results")
    group.add_argument(
        "--output-size",
        type=_size,
        default=default.output_size,
        metavar="WxH",
        help="size of the results, instead of --scale; 0 for a side keeps the frame's shape: 640x0",
    )
    group.add_argument(
        "--output-fit",
        choices=OUTPUT_FITS,
        default=default.output_fit,
        help="how a frame fits an --output-size of another shape: letterbox shows it whole, "
        "between bars, and crop its middle",
    )
    group.add_argument(
        "--roi",
        type=_roi,
        default=default.roi,
        metavar="X,Y,W,H",
        help="upscale this part of each frame alone: first column and row, width and height in "
        "camera pixels of what a crop leaves",
    )


def result_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of :meth:`SuperResolver.load` that the arguments name."""
    return {"output_size": args.output_size, "output_fit": args.output_fit, "roi": args.roi}


def not_used(args: argparse.Namespace) -> str | None:
    """What was given and has no effect, in a sentence; None where everything has one."""
    why = {
        "scale": f"--scale {args.scale}, which --output-size decides",
        "output_fit": f"--output-fit {args.output_fit}, which is for an --output-size of two sides",
    }
    name = not_read(args.scale, args.output_size, args.output_fit)
    return None if name is None else f"not used: {why[name]}"


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    return width, height


def _roi(text: str) -> tuple[int, int, int, int]:
    x, y, width, height = (int(part) for part in text.split(","))
    return x, y, width, height


_size.__name__ = "size WxH"
_roi.__name__ = "region X,Y,W,H"
