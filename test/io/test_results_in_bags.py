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

"""Results of an earlier upscale are recognised in a bag, by name and by what they show."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io.bags import BagReader, BagWriter
from difiisr_ros.io.frames import BagSource
from difiisr_ros.io.recorded_results import recorded_results
from difiisr_ros.lab.frames.bag_stream import bag_streams
from difiisr_ros.lab.frames.recorded import RecordedResults
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.scene.street import SyntheticScene

T0, STEP = 10**18, 10**8


@pytest.fixture(scope="module")
def scene():
    rendered = SyntheticScene(96, 72, real_camera=True)
    return [rendered.frame(i)[0] for i in range(4)], [rendered.truth(i) for i in range(4)]


def write(path, topics):
    """A bag; each topic's frames have the stamps T0, T0 + STEP, ..."""
    with BagWriter(path) as writer:
        for topic, frames in topics.items():
            for i, frame in enumerate(frames):
                writer.write_image(topic, T0 + i * STEP, frame)
    return path


def found(path, **options):
    with BagReader(path) as reader:
        return recorded_results(reader, **options)


def upscaled(frames, scale=4):
    how = {"fx": scale, "fy": scale, "interpolation": cv2.INTER_CUBIC}
    return [cv2.resize(f, None, **how) for f in frames]


def test_results_are_known_by_name_and_by_what_they_show(tmp_path, scene):
    lr, _ = scene
    eight_bits = [cv2.normalize(f, None, 0, 255, cv2.NORM_MINMAX, cv2.CV_8U) for f in upscaled(lr)]
    bag = write(
        tmp_path / "bag",
        {
            "/cam/image_raw": lr,
            "/cam/sr/image_raw": upscaled(lr),
            "/cam/x4/image_raw": upscaled(lr),
            "/hd": eight_bits,
            "/cam/mine/image_raw": upscaled(lr),
        },
    )
    assert found(bag, namespace="mine") == {
        "/cam/sr/image_raw": "named /sr/",
        "/cam/mine/image_raw": "named /mine/",
        "/cam/x4/image_raw": "/cam/image_raw x4",
        "/hd": "/cam/image_raw x4",
    }


def test_results_of_every_scale_are_known(tmp_path, scene):
    """Those as large as the frames by their name: which of two is the camera's cannot be seen."""
    lr, _ = scene
    topics = {
        "/cam/x4/image_raw": upscaled(lr),
        "/cam/x2/image_raw": upscaled(lr, 2),
        "/cam/image_raw": lr,
        "/cam/x1/image_raw": lr,
        "/cam/sr/image_raw": lr,
        "/other/sr/image_raw": upscaled(lr, 3),
    }
    assert found(write(tmp_path / "bag", topics)) == {
        "/cam/sr/image_raw": "named /sr/",
        "/other/sr/image_raw": "named /sr/",
        "/cam/x4/image_raw": "/cam/image_raw x4",
        "/cam/x2/image_raw": "/cam/image_raw x2",
    }


def test_other_cameras_are_no_results(tmp_path, scene):
    lr, truth = scene
    rng = np.random.default_rng(0)
    shifted = [np.roll(t, 48, axis=1) for t in truth]
    bag = write(
        tmp_path / "bag",
        {
            "/small/image_raw": lr,
            "/same_size/image_raw": lr,
            "/beside/image_raw": shifted,
            "/flat/image_raw": [np.full_like(t, 30000) for t in truth],
            "/inverted/image_raw": [t.max() - t for t in truth],
            "/noise/image_raw": [rng.integers(0, 9, t.shape, np.uint16) for t in truth],
            "/later/image_raw": [],
        },
    )
    assert found(bag) == {}
    with BagWriter(tmp_path / "times") as writer:  # the same pictures, but of other moments
        for i, (frame, picture) in enumerate(zip(lr, truth)):
            writer.write_image("/a", T0 + i * STEP, frame)
            writer.write_image("/b", T0 + i * STEP + STEP // 2, picture)
    assert found(tmp_path / "times") == {}


def test_a_second_upscale_leaves_the_results_of_the_first_alone(tmp_path, scene, capsys):
    lr, _ = scene
    bag = write(tmp_path / "bag", {"/cam/image_raw": lr})

    def upscale(source, target, namespace):
        out = tmp_path / "report.json"
        arguments = [source, tmp_path / target, "--namespace", namespace, "--json", out]
        assert main(["upscale", *map(str, arguments), "--backend", "bicubic"]) == 0
        return json.loads(out.read_text())

    assert upscale(bag, "one", "sr")["not_used"] == []
    for source, target, namespace in (("one", "two", "sr2"), ("two", "three", "sr3")):
        capsys.readouterr()
        report = upscale(tmp_path / source, target, namespace)
        assert report["frames"] == len(lr)
        assert "not used: results of an earlier run (named /sr/): /cam/sr/" in (
            capsys.readouterr().err
        )
    assert [entry["name"] for entry in report["not_used"]] == [
        "/cam/sr/image_raw",
        "/cam/sr2/image_raw",
    ]
    with BagReader(tmp_path / "three") as reader:
        assert reader.image_topics() == [
            "/cam/image_raw",
            *(f"/cam/{name}/image_raw" for name in ("sr", "sr2", "sr3")),
        ]


def test_every_reader_of_a_bag_knows_them(tmp_path, scene):
    lr, _ = scene
    bag = write(tmp_path / "bag", {"/cam/image_raw": lr, "/cam/x4/image_raw": upscaled(lr)})
    (stream,) = bag_streams(bag, StreamOptions())
    assert stream.topic == "/cam/image_raw"
    assert "/cam/x4/image_raw (super-resolved already" in stream.notices[0]
    assert BagSource(bag).topic == "/cam/image_raw"
    assert BagSource(bag, "/cam/x4/image_raw").topic == "/cam/x4/image_raw"
    recorded = RecordedResults(bag)
    assert recorded.topic == "/cam/x4/image_raw"
    recorded.close()
    two = write(tmp_path / "two", {"/a/image_raw": lr, "/b/image_raw": lr})
    with pytest.raises(DataError, match="several image topics"):
        BagSource(two)
