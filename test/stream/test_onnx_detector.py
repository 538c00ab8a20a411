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

"""A user's ONNX detector: both layouts, their pictures and boxes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.errors import ModelError
from difiisr_ros.models.detector.yolo_layouts import layout_of, network_input, read_output
from difiisr_ros.stream.detectors import load_detector

pytest.importorskip("onnxruntime", reason="a user's detector runs in ONNX Runtime")
onnx = pytest.importorskip("onnx", reason="the tests write their own graphs")

SIDE = 64
CELLS = SIDE**2 // 64 + SIDE**2 // 256 + SIDE**2 // 1024


def write_graph(path, output, names=None, channels=3):
    """A detector that finds the same in every picture."""
    from onnx import TensorProto, helper

    size = [1, channels, SIDE, SIDE]
    nodes = [
        # Uses its input, as ONNX Runtime drops what it does not.
        helper.make_node("ReduceMax", ["images"], ["top"], keepdims=1),
        helper.make_node("Sub", ["top", "top"], ["nothing"]),
        helper.make_node("Reshape", ["nothing", "shape"], ["none"]),
        helper.make_node("Add", ["found", "none"], ["output0"]),
    ]
    found = helper.make_tensor("found", TensorProto.FLOAT, output.shape, output.ravel().tolist())
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, size)],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, output.shape)],
        [found, shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if names is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = "names", str(names)
    onnx.save(model, path)
    return str(path)


def yolov8(*rows, count=100):
    """1 x (4 + 2) x n: centre, size and two scores in the input's pixels."""
    output = np.zeros((1, 6, count), np.float32)
    for i, row in enumerate(rows):
        output[0, :, i] = row
    return output


def yolox(cell, row):
    """1 x n x (5 + 2), with one row that says something."""
    output = np.zeros((1, CELLS, 7), np.float32)
    output[0, cell] = row
    return output


def test_yolov8_boxes_come_back_in_the_frames_pixels_best_first(tmp_path):
    # A frame of 32x16 lies in 64x64 enlarged by 2, 16 input pixels below the upper edge.
    rows = ([20, 26, 8, 12, 0.2, 0.6], [40, 40, 16, 8, 0.9, 0.1], [40.5, 40, 16, 8, 0.8, 0.1])
    path = write_graph(tmp_path / "d.onnx", yolov8(*rows), names={1: "car", 0: "person"})
    detector = load_detector(path)
    assert (detector.layout, detector.classes) == ("yolov8", ("person", "car"))
    frame = np.arange(16 * 32, dtype=np.uint16).reshape(16, 32)
    found = detector.detect(frame, min_score=0.3)
    np.testing.assert_allclose(found.boxes, [[16, 10, 24, 14], [8, 2, 12, 8]])
    np.testing.assert_allclose(found.scores, [0.9, 0.6])
    assert found.labels.tolist() == [0, 1]
    assert len(detector.detect(frame, min_score=0.7)) == 1


def test_yolox_rows_count_from_their_cell(tmp_path):
    # The second row of cells at stride 8, column 3: centre (3.5, 1.5) * 8, size e^0 * 8.
    row = [0.5, 0.5, 0.0, np.log(2.0), 0.5, 0.1, 0.8]
    detector = load_detector(write_graph(tmp_path / "d.onnx", yolox(8 + 3, row)))
    assert (detector.layout, detector.classes) == ("yolox", ("0", "1"))
    found = detector.detect(np.zeros((64, 64), np.uint8), min_score=0.3)
    np.testing.assert_allclose(found.boxes, [[24, 4, 32, 20]], rtol=1e-6)
    np.testing.assert_allclose(found.scores, [0.4])
    assert found.labels.tolist() == [1]


@pytest.mark.parametrize(("layout", "top", "white"), [("yolov8", 16, 1.0), ("yolox", 0, 255.0)])
def test_the_picture_lies_where_the_layout_wants_it(layout, top, white):
    tensor, box = network_input(np.full((16, 32), 255.0, np.float32), 64, 64, layout)
    assert tensor.shape == (1, 3, 64, 64) and tensor.dtype == np.float32
    covered = tensor[0, 0] == white
    assert covered.sum() == 32 * 64 and covered[top : top + 32].all()
    np.testing.assert_allclose(tensor[0, 0][~covered], white * 114 / 255, rtol=1e-6)
    assert (box.scale, box.left, box.top) == (2.0, 0, top)


@pytest.mark.parametrize(
    ("output", "options", "said"),
    [
        (np.zeros((1, 3, 100), np.float32), {}, "neither of layout yolov8"),
        (np.zeros((1, 7), np.float32), {}, "neither of layout yolov8"),
        (yolov8(), {"layout": "yolox"}, "has 84 rows, not 6"),
        (yolov8(), {"classes": ["person"]}, "knows 2 classes, but 1 are named: person"),
    ],
)
def test_what_is_no_such_detector_is_refused(tmp_path, output, options, said):
    path = write_graph(tmp_path / "d.onnx", output)
    with pytest.raises(ModelError, match=said):
        load_detector(path, **options)


def test_what_is_no_graph_is_refused_by_name(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.onnx: no such file"):
        load_detector(str(tmp_path / "nowhere.onnx"))
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"no graph")
    with pytest.raises(ModelError, match=r"broken\.onnx: ONNX Runtime cannot load it"):
        load_detector(str(broken))
    gray = write_graph(tmp_path / "gray.onnx", yolov8(), channels=1)
    with pytest.raises(ModelError, match="1 x 3 x height x width"):
        load_detector(gray)


def test_layouts_are_told_apart_by_shape():
    assert layout_of((1, 84, 8400)) == "yolov8"
    assert layout_of((1, 8400, 85)) == "yolox"


def test_nothing_found_is_no_error():
    found = read_output(yolov8(), "yolov8", SIDE, SIDE, 0.3)
    assert len(found) == 0 and found.boxes.shape == (0, 4)
