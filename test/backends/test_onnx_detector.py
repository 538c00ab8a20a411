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

from difiisr_ros.backends.detectors import load_detector
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models.detector.onnx_config import OnnxDetectorConfig, read_detector_config
from difiisr_ros.models.detector.yolo_layouts import (
    layout_of,
    network_input,
    read_output,
    usual_picture,
)

pytest.importorskip("onnxruntime", reason="a user's detector runs in ONNX Runtime")
onnx = pytest.importorskip("onnx", reason="the tests write their own graphs")

SIDE = 64
CELLS = SIDE**2 // 64 + SIDE**2 // 256 + SIDE**2 // 1024


def write_graph(path, output, names=None, channels=3, size=(SIDE, SIDE), facts=()):
    """A detector that finds the same in every picture."""
    from onnx import TensorProto, helper

    size = [1, channels, *size]
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
    for key, value in dict(facts).items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
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
    tensor, box = network_input(np.ones((16, 32), np.float32), usual_picture(layout, 64, 64))
    assert tensor.shape == (1, 3, 64, 64) and tensor.dtype == np.float32
    covered = tensor[0, 0] == white
    assert covered.sum() == 32 * 64 and covered[top : top + 32].all()
    np.testing.assert_allclose(tensor[0, 0][~covered], white * 114 / 255, rtol=1e-6)
    assert (box.across, box.down, box.left, box.top) == (2.0, 2.0, 0, top)


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
    gray = write_graph(tmp_path / "gray.onnx", yolov8(), channels=2)
    with pytest.raises(ModelError, match="1 x 3 x height x width"):
        load_detector(gray)


def test_layouts_are_told_apart_by_shape():
    assert layout_of((1, 84, 8400)) == "yolov8"
    assert layout_of((1, 8400, 85)) == "yolox"


def test_nothing_found_is_no_error():
    found = read_output(yolov8(), "yolov8", SIDE, SIDE, 0.3)
    assert len(found) == 0 and found.boxes.shape == (0, 4)


def test_a_yolox_with_its_decoding_inside_has_pixels(tmp_path):
    output = np.full((1, CELLS, 7), 30.0, np.float32)
    output[..., 4:] = 0
    output[0, 5] = [20, 24, 8, 16, 0.5, 0.8, 0.1]
    detector = load_detector(write_graph(tmp_path / "d.onnx", output))
    found = detector.detect(np.zeros((64, 64), np.uint8), min_score=0.3)
    np.testing.assert_allclose(found.boxes, [[16, 16, 24, 32]])


def test_an_open_size_is_the_files_or_the_configurations(tmp_path):
    size = ("height", "width")
    path = write_graph(tmp_path / "d.onnx", yolov8(), size=size, facts={"imgsz": "[96, 128]"})
    assert (load_detector(path)._picture.height, load_detector(path)._picture.width) == (96, 128)
    (tmp_path / "d.detector.yaml").write_text("size: [32, 64]")
    assert load_detector(path)._picture.width == 64
    other = tmp_path / "other.yaml"
    other.write_text("size: 256")
    assert load_detector(path, config=other)._picture.width == 256


def test_a_detector_of_one_channel_and_coco_by_their_number(tmp_path):
    eighty = np.zeros((1, 84, 100), np.float32)
    detector = load_detector(write_graph(tmp_path / "d.onnx", eighty, channels=1))
    assert detector.classes[:3] == ("person", "bicycle", "car") and len(detector.classes) == 80
    assert len(detector.detect(np.zeros((20, 30), np.uint16))) == 0


def test_another_task_is_named(tmp_path):
    path = write_graph(tmp_path / "d.onnx", yolov8(), facts={"task": "segment"})
    with pytest.raises(ModelError, match="is for the task segment; accepted: detect"):
        load_detector(path)


def test_normalisation_and_place_are_as_said():
    usual = usual_picture("yolox", 64, 64)
    said = OnnxDetectorConfig(
        place="stretch", white=1.0, mean=(0.1, 0.2, 0.3), std=(0.5,), channels="bgr"
    )
    tensor, box = network_input(np.ones((16, 32), np.float32), said.picture(usual))
    np.testing.assert_allclose(tensor[0, :, 0, 0], [1.4, 1.6, 1.8], rtol=1e-6)
    assert (box.across, box.down) == (2.0, 4.0)
    np.testing.assert_allclose(box.to_frame(np.array([[8, 8, 16, 16]]), 16, 32), [[4, 2, 8, 4]])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("layout: ssd", "layout must be one of auto, yolov8, yolox, got 'ssd'"),
        ("letterbox: true", "unknown letterbox; accepted: layout, names"),
        ("[1, 2]", "holds no keys"),
        ("names: {0: person, 2: car}", "class numbers are not 0 to 1"),
        ("names: person", "expected a list of names"),
        ("size: [0, 640]", "size must be height and width"),
        ("white: 1000", r"white must be in 1\.\.255"),
        ("std: [0, 1, 1]", "std must be in"),
        ("same_as: [car]", "same_as maps classes"),
        (": :", "cannot be read as YAML"),
    ],
)
def test_a_configuration_that_cannot_be_is_named(tmp_path, text, said):
    path = tmp_path / "d.detector.yaml"
    path.write_text(text)
    with pytest.raises(ModelError, match=said) as raised:
        read_detector_config(path)
    assert str(path) in str(raised.value)


def test_a_configuration_is_for_a_users_detector(tmp_path):
    with pytest.raises(OptionError, match=r"for \.onnx files; detector_judge says all itself"):
        load_detector("detector_judge", config=tmp_path / "any.yaml")
