"""Results of an earlier upscale in a bag are known by what they are, whatever they are called."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros.cli import main
from difiisr_ros.io.bags import BagReader, BagWriter
from difiisr_ros.io.recorded_results import recorded_results

T0 = 1_700_000_000_000_000_000
STEP = 33_000_000


def scene(seed, i, shape=(24, 32)):
    noise = np.random.default_rng(seed).normal(size=(shape[0], shape[1] + 100)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 2.0)[:, i : i + shape[1]]
    return (29000 + 3000 * blurred).astype(np.uint16)


def up(frame):
    return cv2.resize(frame, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)


class Header:
    frame_id = "cam"

    def __init__(self, ns):
        self.stamp = type("Stamp", (), {"sec": ns // 10**9, "nanosec": ns % 10**9})


def record(path, topics, count=8):
    """topics: name -> (frame from i, first i, delay in frames)."""
    with BagWriter(path) as writer:
        for i in range(count):
            for topic, (make, first, delay) in topics.items():
                if i - delay >= first:
                    j = i - delay
                    writer.write_image(topic, T0 + STEP * i, make(j), Header(T0 + STEP * j))
    return path


def found(path, namespace="sr"):
    with BagReader(path) as reader:
        return recorded_results(reader, namespace)


def camera(seed=0):
    return lambda i: scene(seed, i)


def test_a_second_namespace_does_not_upscale_the_first_ones_results(tmp_path, capsys):
    record(tmp_path / "bag", {"/cam/image_raw": (camera(), 0, 0)})
    last = tmp_path / "bag"
    for name in ("sr", "sr2", "third"):
        out, report = tmp_path / name, tmp_path / f"{name}.json"
        arguments = ["upscale", last, out, "--namespace", name, "--backend", "bicubic"]
        assert main([*map(str, arguments), "--json", str(report)]) == 0
        assert json.loads(report.read_text())["frames"] == 8
        last = out
    with BagReader(last) as reader:
        assert reader.image_topics() == [
            "/cam/image_raw", "/cam/sr/image_raw", "/cam/sr2/image_raw", "/cam/third/image_raw",
        ]  # fmt: skip
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("not used: ") and "/cam/sr2/image_raw" in said, said
    assert found(last) == {
        "/cam/sr/image_raw": "named /sr/",
        "/cam/sr2/image_raw": "of /cam/image_raw",
        "/cam/third/image_raw": "of /cam/image_raw",
    }


def test_a_nodes_remapped_results_that_begin_late(tmp_path):
    """The node was loading its model while the recorder ran, and mapped to 8 bits."""

    def shown(i):
        return cv2.normalize(up(scene(0, i)), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)

    path = record(
        tmp_path / "bag",
        {"/flir/raw": (camera(), 0, 0), "/detector/input": (shown, 60, 3)},
        count=90,
    )
    assert found(path) == {"/detector/input": "of /flir/raw"}


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (lambda i: up(scene(1, i)), "another scene, as a second camera sees it"),
        (lambda i: 60000 - up(scene(0, i)), "another band"),
        (lambda i: cv2.resize(scene(0, i), None, fx=2, fy=2), "twice the size"),
        (lambda i: np.full((96, 128), 30000, np.uint16), "flat: nothing is known"),
    ],
)
def test_cameras_that_are_triggered_together_are_cameras(tmp_path, other, why):
    path = record(tmp_path / "bag", {"/a": (camera(), 0, 0), "/b": (other, 0, 0)})
    assert found(path) == {}, why


def test_what_a_node_said_of_itself(tmp_path):
    """The input may not be in the bag at all."""
    from rosbags.typesys import Stores, get_typestore

    types = get_typestore(Stores.ROS2_JAZZY).types
    array, status, pair = (
        types[f"diagnostic_msgs/msg/{n}"]
        for n in ("DiagnosticArray", "DiagnosticStatus", "KeyValue")
    )
    stamp = types["builtin_interfaces/msg/Time"](0, 0)
    values = [pair("topic", "/enhanced"), pair("frames published", "3")]
    message = array(
        types["std_msgs/msg/Header"](stamp, ""),
        [status(0, "super_resolution: front inference", "", "", values)],
    )
    with BagWriter(tmp_path / "bag") as writer:
        writer.write("/diagnostics", array.__msgtype__, T0, message)
        writer.write_image("/enhanced", T0 + 1, up(scene(0, 0)))
        writer.write_image("/visible", T0 + 2, scene(0, 0))
    assert found(tmp_path / "bag") == {"/enhanced": "by recorded diagnostics"}


def test_one_topic_is_a_camera_and_names_decide_alone(tmp_path):
    assert found(record(tmp_path / "a", {"/x/y": (camera(), 0, 0)})) == {}
    path = record(tmp_path / "b", {"/cam/x4/image_raw": (camera(), 0, 0)})
    assert found(path, "x4") == {"/cam/x4/image_raw": "named /x4/"}


def test_evaluate_leaves_results_out_too(tmp_path):
    from difiisr_ros.lab.frames.open_streams import open_streams
    from difiisr_ros.lab.frames.streams import StreamOptions

    def result(i):
        return up(scene(0, i))

    path = record(tmp_path / "bag", {"/cam": (camera(), 0, 0), "/detector/in": (result, 0, 0)})
    (stream,) = open_streams((path,), StreamOptions())
    assert stream.topic == "/cam"
    assert any("/detector/in (super-resolved already, of /cam)" in n for n in stream.notices)
