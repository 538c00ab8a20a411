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

"""Colour and depth beside a thermal camera in a rig's bag: left alone unless they are named."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros.cli import main
from difiisr_ros.errors import DataError
from difiisr_ros.io.bags import BagReader, BagWriter
from difiisr_ros.io.frames import open_source
from difiisr_ros.io.other_cameras import other_cameras
from support.frames import smooth_frame

THERMAL, COLOUR = "/thermal/image_raw", "/rgb/image_raw"
DEPTHS = ("/depth/image_rect_raw", "/rig/aligned_depth_to_color/image_raw")
GRAY = smooth_frame()
PIXELS = {
    THERMAL: (GRAY, "mono16"),
    COLOUR: (np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8), "rgb8"),
    **dict.fromkeys(DEPTHS, (GRAY // 8, "16UC1")),
    "/gray/image_raw": (np.repeat((GRAY >> 8).astype(np.uint8)[..., None], 3, 2), "bgr8"),
}


def rig(path, *topics):
    with BagWriter(path) as writer:
        for second in (1, 2):
            stamp = SimpleNamespace(sec=second, nanosec=0)
            header = SimpleNamespace(stamp=stamp, frame_id="a")
            for topic in topics:
                pixels, encoding = PIXELS[topic]
                writer.write_image(topic, second * 10**9, pixels, header, encoding)
    return path


@pytest.mark.parametrize(
    ("topics", "left"),
    [
        ((THERMAL, COLOUR, *DEPTHS), {COLOUR: "colour", **dict.fromkeys(DEPTHS, "depth")}),
        ((THERMAL, "/gray/image_raw"), {}),  # three equal channels are a thermal camera's, too
        ((COLOUR,), {}),  # what else was it recorded for
        ((DEPTHS[0],), {}),
        ((COLOUR, DEPTHS[0]), {COLOUR: "colour", DEPTHS[0]: "depth"}),
    ],
)
def test_which_topics_are_no_thermal_cameras(tmp_path, topics, left):
    with BagReader(rig(tmp_path / "bag", *topics)) as reader:
        assert other_cameras(reader, reader.image_topics()) == left
        assert reader.notices == []


def run(*arguments):
    return main([*map(str, arguments), "--backend", "bicubic", "--json", "done.json"])


def test_upscale_takes_them_where_they_are_named(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bag = rig(tmp_path / "bag", *PIXELS)
    assert run("upscale", bag, "out") == 0
    said = capsys.readouterr().err
    assert (
        "topics of depth (--topic takes them)" in said and f"(--topic takes them): {COLOUR}" in said
    )
    with BagReader(tmp_path / "out") as reader:
        made = [t for t in reader.image_topics() if "/sr/" in t]
    assert made == ["/gray/sr/image_raw", "/thermal/sr/image_raw"]
    assert run("upscale", bag, "named", "--topic", COLOUR) == 0
    with BagReader(tmp_path / "named") as reader:
        assert [t for t in reader.image_topics() if "/sr/" in t] == ["/rgb/sr/image_raw"]


def test_without_any_other_upscale_asks_for_a_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("upscale", rig(tmp_path / "bag", COLOUR, DEPTHS[0]), "out") == 2
    assert f"besides {DEPTHS[0]}, {COLOUR}; name it by --topic" in capsys.readouterr().err


def test_evaluate_and_every_source_take_the_thermal_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bag = rig(tmp_path / "bag", THERMAL, COLOUR, *DEPTHS)
    assert run("evaluate", bag, "--no-reference") == 0
    done = json.loads((tmp_path / "done.json").read_text())
    assert done["frames"] == 2 and f"{COLOUR} (colour)" in json.dumps(done["notes"])
    assert open_source(bag).topic == THERMAL
    with pytest.raises(DataError, match="several image topics"):
        open_source(rig(tmp_path / "two", THERMAL, "/gray/image_raw"))
