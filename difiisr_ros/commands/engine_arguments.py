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

"""The arguments that choose the engine, the same for every command that upscales."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from difiisr_ros.backends.factory import BACKENDS, PRECISIONS, THREADS
from difiisr_ros.backends.onnx_providers import PROVIDERS, check_provider
from difiisr_ros.commands.numbers import SEEDS, real, whole
from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.core.guidance import GRADIENTS
from difiisr_ros.core.radiometry import RANGE_MODES
from difiisr_ros.core.scale import SCALE, SCALES
from difiisr_ros.core.tiling import LEAST_TILE
from difiisr_ros.errors import BackendUnavailable, OptionError
from difiisr_ros.options import UpscaleOptions
from difiisr_ros.quality import CUSTOM, QUALITIES, preset

if TYPE_CHECKING:
    from difiisr_ros.pipeline import SuperResolver

_ALIGN = 8  # pixels that tiles begin and end at


def add_engine_arguments(parser: argparse.ArgumentParser, *, fallback: bool = False) -> None:
    """Declare what :func:`engine_arguments` reads; ``--num-steps`` is the command's (None unless
    given). With ``fallback`` what :func:`load_engine` reads, too: commands that measure have none,
    because their numbers would be something else's."""
    default = UpscaleOptions()
    group = parser.add_argument_group("engine")
    group.add_argument(
        "--model", default="lite", help="'lite' or the faster 'nano' (embedded), or a model file"
    )
    group.add_argument(
        "--autoencoder",
        default="",
        metavar="FILE",
        help="autoencoder's checkpoint, where --model is a published denoiser's",
    )
    group.add_argument(
        "--camera",
        default=AUTO,
        metavar="FILE",
        help="what is known of the camera: a profile that 'difiisr calibrate' wrote, 'auto' "
        "(nothing; noise estimated from each frame), or 'reduced' (frames reduced by "
        "antialiased bicubic)",
    )
    add_scale_argument(group)
    group.add_argument("--backend", choices=BACKENDS, default="auto", help="what runs the model")
    group.add_argument(
        "--engine-file",
        default="",
        metavar="FILE",
        help="TensorRT engine that 'difiisr export' wrote, for --backend tensorrt or tensorrt_rtx",
    )
    group.add_argument(
        "--provider",
        choices=PROVIDERS,
        default="auto",
        help="ONNX Runtime's execution provider, for --backend onnx, which need not be said then",
    )
    group.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:N; with --provider openvino, webgpu or nv_tensorrt_rtx also "
        "gpu or gpu:N, npu or npu:N",
    )
    group.add_argument("--precision", choices=PRECISIONS, default="auto", help="of the network")
    group.add_argument(
        "--seed",
        type=whole(*SEEDS),
        default=default.seed,
        metavar="N",
        help="of the diffusion noise",
    )
    group.add_argument(
        "--consistency",
        type=int,
        default=default.consistency,
        metavar="N",
        help="how often, 0 to 4, the result is pulled to what the camera measured",
    )
    group.add_argument(
        "--overshoot",
        type=real(),
        default=default.overshoot,
        metavar="A",
        help="how far a result may leave what the camera's 3x3 pixels span, 0 to 1 of that span",
    )
    group.add_argument(
        "--quality",
        choices=QUALITIES,
        default=CUSTOM,
        help="preset of steps and guidance, instead of the arguments for them",
    )
    for name, what in (("visual", "spectrum"), ("perceptual", "features")):
        group.add_argument(
            f"--{name}-scale",
            type=real(),
            default=0.0,
            metavar="S",
            help=f"{name} guidance, 0 (off) to 2: how far the {what} of sharp frames is aimed at",
        )
    group.add_argument(
        "--guidance-gradient",
        choices=GRADIENTS,
        default=default.guidance_gradient,
        help="exact goes through the network: slower",
    )
    group.add_argument(
        "--range-mode",
        choices=RANGE_MODES,
        default=default.range_mode,
        help="what published models see as 0 and 1, where others see most of the scene; 'fixed' "
        "needs --range-min and --range-max",
    )
    for name in ("--range-min", "--range-max"):
        group.add_argument(name, type=real(), metavar="COUNTS", help="in the frames' units")
    group.add_argument(
        "--threads",
        type=whole(*THREADS),
        default=0,
        metavar="N",
        help="CPU threads; 0 leaves the choice to the backend",
    )
    group.add_argument(
        "--max-input-pixels", type=int, metavar="N", default=default.max_input_pixels,
        help="refuse larger frames, rather than run the machine out of memory",
    )  # fmt: skip
    group.add_argument(
        "--tile-size", type=int, metavar="PX", default=default.tile_size,
        help="upscale frames with a longer side in tiles of this size, which bounds memory; 0: "
        "never",
    )  # fmt: skip
    if fallback:
        group.add_argument(
            "--allow-fallback",
            action="store_true",
            help="run what there is where backend, device or precision cannot be had, instead of "
            "ending with exit code 2",
        )


def add_scale_argument(parser: argparse._ActionsContainer) -> None:
    """Declare ``--scale``."""
    parser.add_argument(
        "--scale",
        type=int,
        choices=SCALES,
        default=SCALE,
        help="how many times larger results are: 4, or 2 and 1, which are means of that",
    )


def load_engine(args: argparse.Namespace, **options: Any) -> SuperResolver:
    """The engine that the arguments name: exactly that, unless a fallback is allowed.

    Args:
        args: of a parser that :func:`add_engine_arguments` has given ``fallback``.
        options: more of :meth:`SuperResolver.load`'s, or others than the arguments say.

    Raises:
        DifiisrError: it cannot be loaded; where something else would run, how to allow that.
    """
    from difiisr_ros.pipeline import SuperResolver

    how = {**engine_arguments(args), **options}
    try:
        return SuperResolver.load(**how, strict_backend=not args.allow_fallback)
    except BackendUnavailable as error:
        raise BackendUnavailable(f"{error} (--allow-fallback runs what there is)") from error


def engine_arguments(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of :meth:`SuperResolver.load`, which checks their values.

    With ``num_steps`` where the command takes one number of steps.

    Raises:
        OptionError: a quality together with what it decides, or a provider with a backend that has
            none.
    """
    check_provider(args.provider, args.backend)
    options = {
        "model": args.model,
        "autoencoder": args.autoencoder,
        "camera": args.camera,
        "backend": args.backend,
        "engine_file": args.engine_file,
        "provider": args.provider,
        "device": args.device,
        "precision": args.precision,
        "scale": args.scale,
        "seed": args.seed,
        "consistency": args.consistency,
        "overshoot": args.overshoot,
        "visual_scale": args.visual_scale,
        "perceptual_scale": args.perceptual_scale,
        "guidance_gradient": args.guidance_gradient,
        "range_mode": args.range_mode,
        "range_min": args.range_min,
        "range_max": args.range_max,
        "num_threads": args.threads,
        "max_input_pixels": args.max_input_pixels,
        "tile_size": args.tile_size,
        "tile_overlap": _tile_overlap(args.tile_size),
    }
    if isinstance(args.num_steps, int):  # several are the command's own business
        options["num_steps"] = args.num_steps
    chosen = preset(args.quality)
    for name in chosen:
        if options.get(name, 0) or (name == "num_steps" and args.num_steps is not None):
            raise OptionError(
                f"--quality {args.quality} decides --{name.replace('_', '-')}; give one of them"
            )
    return {**options, **chosen}


def _tile_overlap(tile_size: int) -> int:
    """What neighbouring tiles share: a quarter at most, which small ones need.

    Raises:
        OptionError: a tile that is too small to have neighbours.
    """
    overlap = UpscaleOptions().tile_overlap
    if not tile_size:
        return overlap
    if tile_size < LEAST_TILE:
        raise OptionError(f"--tile-size must be 0, or {LEAST_TILE} or more, got {tile_size}")
    return min(overlap, tile_size // 4 // _ALIGN * _ALIGN)
