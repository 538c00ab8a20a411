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

"""``difiisr export OUT``: the whole sampler as one graph, for other runtimes than PyTorch.

TensorRT engines are built by :mod:`difiisr_ros.commands.export_tensorrt`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.commands.earlier_output import refuse_foreign, refuse_other_json
from difiisr_ros.commands.engine_arguments import add_scale_argument
from difiisr_ros.commands.export_tensorrt import (
    add_tensorrt_arguments,
    build_engine,
    check_not_asked,
)
from difiisr_ros.errors import BackendUnavailable, OptionError
from difiisr_ros.export.facts import FORMAT, PRECISIONS, PROJECTIONS, GraphOptions
from difiisr_ros.export.graph_file import read_graph_file
from difiisr_ros.io.write_stack import check_target

HELP = "Write the whole sampler as one ONNX graph, or build a TensorRT engine of it."
EXIT_DIFFERS = 1

FORMATS = ("onnx", "tensorrt")
#: LR frames that an open graph is checked with: batch, height, width; odd ones and a single pixel.
_CHECKED = ((1, 24, 32), (1, 25, 33), (3, 31, 18), (1, 1, 1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    default = GraphOptions()
    parser.add_argument(
        "output", type=Path, nargs="?", metavar="OUT", help="the file to write, NAME.onnx"
    )
    parser.add_argument("--format", choices=FORMATS, default="onnx", help="what to write")
    add_tensorrt_arguments(parser)
    parser.add_argument(
        "--model", default="lite", help="'lite' or the faster 'nano' (embedded), or a model file"
    )
    parser.add_argument(
        "--num-steps",
        "--steps",
        type=int,
        default=default.num_steps,
        metavar="K",
        help="diffusion steps, unrolled",
    )
    add_scale_argument(parser)
    parser.add_argument(
        "--consistency",
        type=int,
        default=default.consistency,
        metavar="N",
        help="how often the result is pulled to what the camera measured, 0 to 4",
    )
    parser.add_argument(
        "--projection",
        choices=PROJECTIONS,
        default=default.projection,
        help="how: 'wide' for frames of cameras (default), 'exact' for frames that were reduced "
        "by antialiased bicubic (camera 'reduced')",
    )
    parser.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="of the network; resampling and sampler are fp32 "
        f"(default: {default.precision}; for tensorrt: fp16)",
    )
    parser.add_argument(
        "--guidance",
        choices=("none", "visual"),
        default="none",
        help="put the closed form of a guidance into the graph, with its scale as an input",
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--dynamic", action="store_true", help="take frames of any size, also odd ones (default)"
    )
    size.add_argument(
        "--size",
        type=_size,
        metavar="WxH",
        help="take LR frames of this size only: 160x120; for tensorrt, be fastest at it",
    )
    parser.add_argument(
        "--batch",
        type=_batch,
        default="dynamic",
        metavar="N",
        help="frames at once, or 'dynamic' for any number",
    )
    parser.add_argument(
        "--opset", type=int, default=17, metavar="N", help="ONNX operator set, 17 to 20"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the graph; 1 where it does not compute what PyTorch computes."""
    guidance = "" if args.guidance == "none" else args.guidance
    precision = args.precision or ("fp16" if args.format == "tensorrt" else GraphOptions.precision)
    options = GraphOptions(
        args.num_steps, args.consistency, precision, guidance, args.projection, args.scale
    )
    check_target(args.output, args.json)
    refuse_other_json(args.json, ("file", "nodes"), ("file", "plan_bytes"))
    if args.format == "tensorrt":
        report = build_engine(args, options)
    else:
        report = _write_onnx(args, options)
    if args.json is not None:
        write_atomically(args.json, (json.dumps(report, indent=2) + "\n").encode())
    return EXIT_DIFFERS if report.get("agrees") is False else 0


def _write_onnx(args: argparse.Namespace, options: GraphOptions) -> dict[str, Any]:
    check_not_asked(args)
    if args.output is None or args.output.suffix != ".onnx":
        raise OptionError(f"the output must be named NAME.onnx, got {args.output or 'none'}")
    refuse_foreign(args.output, "graph that this command writes", _is_graph)
    try:
        import onnx
    except ImportError as error:
        raise BackendUnavailable(
            f"the export needs onnx: pip install difiisr_ros[onnx] ({error})"
        ) from error
    from difiisr_ros.export.onnx_writer import GraphShape, export_onnx
    from difiisr_ros.export.tensorrt_operators import refused_by_tensorrt

    width, height = args.size or (None, None)
    shape = GraphShape(None if args.batch == "dynamic" else args.batch, height, width)
    data = export_onnx(args.model, options, shape, args.opset)
    model = onnx.load_from_string(data)
    write_atomically(args.output, data)
    print(f"wrote    {args.output}, {len(data) / 2**20:.1f} MiB, {len(model.graph.node)} nodes")
    refused = refused_by_tensorrt(model)
    print("TensorRT takes all operators" if not refused else f"TensorRT refuses {refused}")
    return {
        "file": str(args.output),
        "bytes": len(data),
        "nodes": len(model.graph.node),
        "refused_by_tensorrt": refused,
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
        **_check(data, args.model, options, shape),
    }


def _is_graph(path: Path) -> bool:
    return read_graph_file(path.read_bytes(), str(path)).metadata.get("format") == FORMAT


def _check(data: bytes, model: str, options: GraphOptions, shape: Any) -> dict[str, Any]:
    from difiisr_ros.export.check import compare_with_torch

    sizes = [
        (shape.batch or batch, shape.height or height, shape.width or width)
        for batch, height, width in _CHECKED
    ]
    try:
        found = compare_with_torch(data, model, options, list(dict.fromkeys(sizes)))
    except BackendUnavailable as error:
        print(f"not run: {error}")
        return {"agrees": None, "checks": []}
    checks = []
    for each in found:
        batch, height, width = each.size
        print(
            f"{batch} x {width}x{height}: {each.largest:.1e} from PyTorch fp32 at most, "
            f"{each.mean:.1e} on average{'' if each.good else ': TOO FAR'}"
        )
        checks.append(
            {
                "batch": batch,
                "height": height,
                "width": width,
                "largest": each.largest,
                "mean": each.mean,
                "tolerance": each.tolerance,
            }
        )
    return {"agrees": all(each.good for each in found), "checks": checks}


def _size(text: str) -> tuple[int, int]:
    width, height = (int(part) for part in text.lower().split("x"))
    return width, height


def _batch(text: str) -> int | str:
    return text if text == "dynamic" else int(text)


# argparse names these where a value does not parse.
_size.__name__ = "size WxH"
_batch.__name__ = "batch"
