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

"""Options of ``difiisr upscale`` that were given and that nothing reads, in sentences."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from difiisr_ros.commands.result_arguments import not_used
from difiisr_ros.commands.upscale_bag import CONVENTIONS
from difiisr_ros.io.recorded_results import NAMESPACE
from difiisr_ros.models.model_files import EMBEDDED
from difiisr_ros.options import UpscaleOptions
from difiisr_ros.quality import preset

_NAMESPACE, _CONVENTION = "namespace", "camera_info_convention"
#: Options on bags, and what they are where nobody gives them.
DEFAULTS = {
    "topic": None,
    _NAMESPACE: NAMESPACE,
    _CONVENTION: CONVENTIONS[0],
    "rate": 30.0,
    "storage": None,
}
#: Whether IN and OUT are bags -> the options that are for other kinds of IN and OUT.
_OF_BAGS = {
    (False, False): ("topic", _NAMESPACE, _CONVENTION, "rate", "storage"),
    (True, False): (_NAMESPACE, _CONVENTION, "rate", "storage"),
    (False, True): ("topic", _NAMESPACE, _CONVENTION, "storage"),
    (True, True): ("rate",),
}
_FOR = {
    "topic": "for a bag",
    _NAMESPACE: "for a bag that becomes a bag",
    _CONVENTION: "for a bag that becomes a bag",
    "rate": "for files that become a bag",
    "storage": "for a bag that becomes a bag",
}


def unread(args: argparse.Namespace, bags: tuple[bool, bool]) -> Iterator[str]:
    """What was given and has no effect.

    Args:
        args: of ``difiisr upscale``.
        bags: whether IN is a bag, and whether OUT becomes one.
    """
    if (words := not_used(args)) is not None:
        yield words
    if args.range_mode != UpscaleOptions.range_mode and args.model in EMBEDDED:
        why = "for published models: others see most of the scene as their range"
        yield _words("range_mode", args.range_mode, why)
    elif args.range_mode != "fixed":
        for name in ("range_min", "range_max"):
            if (value := getattr(args, name)) is not None:
                yield _words(name, value, "for --range-mode fixed")
    guided = {"visual_scale": args.visual_scale, "perceptual_scale": args.perceptual_scale}
    guided |= preset(args.quality)
    if args.guidance_gradient != UpscaleOptions.guidance_gradient and not (
        guided["visual_scale"] or guided["perceptual_scale"]
    ):
        why = "for --visual-scale and --perceptual-scale"
        yield _words("guidance_gradient", args.guidance_gradient, why)
    for name in _OF_BAGS[bags]:
        value = getattr(args, name)
        if value != DEFAULTS[name]:
            shown = " ".join(value) if isinstance(value, list) else value
            yield _words(name, shown, _FOR[name])
    if args.recursive and not args.input.is_dir():
        yield "not used: --recursive, which is for a folder"


def _words(name: str, value: object, why: str) -> str:
    return f"not used: --{name.replace('_', '-')} {value}, which is {why}"
