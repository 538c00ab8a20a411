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

"""ONNX models as one of the methods: layouts, types, ranges and scales are found, or refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="needs ONNX Runtime: pip install difiisr_ros[onnx]")
pytest.importorskip("onnx", reason="the models of this test are made by onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

from difiisr_ros import cli
from difiisr_ros.errors import ModelError
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation.onnx_model import OnnxModel

TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}


def make(
    path,
    *,
    layout="NCHW",
    channels=1,
    scale=4,
    low=0.0,
    high=1.0,
    kind="float32",
    size=(None, None),
    multiple=1,
    negative=False,
):
    """A bilinear x4 model that clips to its own range, so that any other one shows."""
    nodes, constants = [], []

    def constant(name, values):
        constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    x = "input"
    if kind != "float32":
        nodes.append(helper.make_node("Cast", [x], ["as_float"], to=TensorProto.FLOAT))
        x = "as_float"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [x], ["nchw"], perm=[0, 3, 1, 2]))
        x = "nchw"
    if multiple > 1:  # a pixel unshuffle fails on sides that are no multiple
        nodes.append(helper.make_node("SpaceToDepth", [x], ["deep"], blocksize=multiple))
        nodes.append(helper.make_node("DepthToSpace", ["deep"], ["flat"], blocksize=multiple))
        x = "flat"
    limits = [constant("low", np.float32(low)), constant("high", np.float32(high))]
    nodes.append(helper.make_node("Clip", [x, *limits], ["clipped"]))
    x = "clipped"
    if negative:
        nodes.append(helper.make_node("Neg", [x], ["negative"]))
        x = "negative"
    scales = constant("scales", np.array([1, 1, scale, scale], np.float32))
    nodes.append(
        helper.make_node(
            "Resize",
            [x, "", scales],
            ["large"],
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )
    )
    x = "large"
    if layout == "NHWC":
        nodes.append(helper.make_node("Transpose", [x], ["back"], perm=[0, 2, 3, 1]))
        x = "back"
    if kind != "float32":
        if kind == "uint8":
            nodes.append(helper.make_node("Round", [x], ["whole"]))
            x = "whole"
        nodes.append(helper.make_node("Cast", [x], ["typed"], to=TYPES[kind]))
        x = "typed"
    nodes.append(helper.make_node("Identity", [x], ["output"]))
    sides = [side if side is not None else name for side, name in zip(size, ("h", "w"))]
    shape = [1, channels, *sides] if layout == "NCHW" else [1, *sides, channels]
    graph = helper.make_graph(
        nodes,
        "sr",
        [helper.make_tensor_value_info("input", TYPES[kind], shape)],
        [helper.make_tensor_value_info("output", TYPES[kind], [None] * 4)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def frame(dtype=np.uint8, height=24, width=36) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    unit = 0.5 + 0.25 * np.sin(rows / 5) + 0.2 * np.cos(columns / 7)
    low, span = {np.uint8: (0, 255), np.uint16: (29000, 900), np.float32: (280, 20)}[dtype]
    return (unit * span + low).astype(dtype)


def truth(lr: np.ndarray) -> np.ndarray:
    """Bilinear x4 with aligned pixel centres."""
    import cv2

    size = (lr.shape[1] * 4, lr.shape[0] * 4)
    return cv2.resize(lr.astype(np.float64), size, interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("limits", [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0)])
def test_layout_channels_and_range_are_found(tmp_path, layout, channels, limits):
    path = make(
        tmp_path / "m.onnx", layout=layout, channels=channels, low=limits[0], high=limits[1]
    )
    model = OnnxModel(path, frame())
    assert model.details["layout"] == layout and model.details["channels"] == channels
    assert model.details["input_range"] == f"{limits[0]:g}..{limits[1]:g}"
    result = model.upscale(frame())
    assert result.dtype == np.uint8
    assert np.abs(result - truth(frame())).max() <= 0.51


@pytest.mark.parametrize("kind", ["float32", "float16", "uint8"])
def test_types_of_models(tmp_path, kind):
    high = 255.0 if kind == "uint8" else 1.0
    model = OnnxModel(make(tmp_path / "m.onnx", kind=kind, high=high), frame())
    assert model.details["input_type"] == kind
    tolerance = {"float32": 0.51, "float16": 1.0, "uint8": 1.51}[kind]
    assert np.abs(model.upscale(frame()) - truth(frame())).max() <= tolerance


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_counts_are_scaled_to_the_models_range_and_back(tmp_path, dtype):
    lr = frame(dtype)
    result = OnnxModel(make(tmp_path / "m.onnx"), lr).upscale(lr)
    assert result.dtype == dtype
    assert np.abs(result - truth(lr)).max() <= (0.51 if dtype == np.uint16 else 1e-3)


def test_frames_are_padded_to_what_the_model_needs(tmp_path):
    lr = frame(height=27, width=37)
    model = OnnxModel(make(tmp_path / "m.onnx", multiple=8), lr)
    assert model.details["padded_to_multiple_of"] == 8
    assert model.upscale(lr).shape == (108, 148)
    assert np.abs(model.upscale(lr) - truth(lr))[:-16, :-16].max() <= 0.51
    assert model.upscale(frame(height=30, width=41)).shape == (120, 164)  # another size, later


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scale": 2}, r"is a x2 model .*compared are x4 models"),
        ({"channels": 4}, "fixed number of 1 or 3 channels"),
        ({"size": (20, 36)}, "takes a height of 20 only, the frames have 36x24"),
        ({"negative": True}, "does not give a smooth ramp back"),
        ({"low": 0.0, "high": 1e-3}, "does not give a smooth ramp back"),
    ],
)
def test_other_models_are_refused(tmp_path, options, said):
    with pytest.raises(ModelError, match=said) as error:
        OnnxModel(make(tmp_path / "m.onnx", **options), frame())
    assert "m.onnx" in str(error.value)


def test_a_fixed_size_that_fits_is_taken(tmp_path):
    model = OnnxModel(make(tmp_path / "m.onnx", size=(24, 36)), frame())
    assert model.upscale(frame()).shape == (96, 144)
    with pytest.raises(ModelError, match="takes a height of 24 only"):
        model.upscale(frame(height=20))


def test_two_inputs_wrong_rank_and_no_model_at_all(tmp_path):
    value = helper.make_tensor_value_info
    out = [value("y", TensorProto.FLOAT, [None] * 4)]

    def save(name, node, inputs):
        graph = helper.make_graph([node], "g", inputs, out)
        opsets = [helper.make_opsetid("", 17)]
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / name)

    inputs = [value(name, TensorProto.FLOAT, [1, 1, "h", "w"]) for name in ("image", "noise")]
    save("two.onnx", helper.make_node("Add", ["image", "noise"], ["y"]), inputs)
    with pytest.raises(ModelError, match=r"takes 2 inputs .image, noise."):
        OnnxModel(tmp_path / "two.onnx", frame())
    flat = [value("x", TensorProto.FLOAT, ["h", "w"])]
    save("flat.onnx", helper.make_node("Identity", ["x"], ["y"]), flat)
    with pytest.raises(ModelError, match="takes 2 dimensions"):
        OnnxModel(tmp_path / "flat.onnx", frame())
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(ModelError, match="cannot be loaded as an ONNX model"):
        OnnxModel(tmp_path / "text.onnx", frame())


def test_in_the_command(tmp_path, capsys):
    for index in range(2):
        write_image(tmp_path / "d" / f"{index}.png", frame(height=96, width=144) + index)
    make(tmp_path / "theirs.onnx", channels=3)
    out = tmp_path / "r.json"
    command = ["evaluate", str(tmp_path / "d"), "--backend", "bicubic", "--json", str(out)]
    assert cli.main([*command, "--compare", str(tmp_path / "theirs.onnx")]) == 0
    report = json.loads(out.read_text())
    assert report["methods"]["theirs"]["psnr"] > 25
    assert report["settings"]["methods"]["theirs"]["layout"] == "NCHW"
    assert "onnxruntime" in report["versions"]
    assert "theirs against bicubic" in capsys.readouterr().out
    make(tmp_path / "theirs.onnx", scale=2)
    assert cli.main([*command, "--compare", str(tmp_path / "theirs.onnx")]) == 2
    assert "is a x2 model" in capsys.readouterr().err
