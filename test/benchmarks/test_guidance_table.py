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

"""The table of steps and guidance: settings, joint bootstrap, paired differences, the command."""

from __future__ import annotations

import importlib.util
import json
import sys

import numpy as np
import pytest

pytest.importorskip("pycocotools", reason="scoring needs pycocotools")

from difiisr_ros import SuperResolver
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.detection.boxes import BoxedImage, BoxSet
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.scores.metrics import psnr
from difiisr_ros.models.detector.boxes import Detections
from support.detection_scenes import scene

CLASSES = ("person",)


@pytest.fixture(scope="module")
def script(repository):
    path = repository / "benchmarks" / "guidance_table.py"
    spec = importlib.util.spec_from_file_location("guidance_table", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["guidance_table"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules["guidance_table"]


def test_settings_name_steps_scales_and_gradient(script):
    one, guided, exact = script.parse_settings("1; 2:v0.5:p0.25 ;4:v1:exact")
    assert one.options() == {
        "num_steps": 1,
        "visual_scale": 0.0,
        "perceptual_scale": 0.0,
        "guidance_gradient": "closed_form",
    }
    assert (guided.num_steps, guided.visual_scale, guided.perceptual_scale) == (2, 0.5, 0.25)
    assert (exact.guidance_gradient, exact.visual_scale) == ("exact", 1.0)
    assert [s.guided for s in (one, guided, exact)] == [False, True, True]


@pytest.mark.parametrize("text", ["x", "1:q2", "1;1", "1:p0.3:v0.5", "1:v1.2.3"])
def test_what_is_no_setting_is_named(script, text):
    with pytest.raises(Exception, match="not a new setting"):
        script.parse_settings(text)


IMAGES = 30


def _box_set() -> BoxSet:
    """One small object on every image; ids fall, so that files and ids are in different order."""
    ids = [1000 - 7 * k for k in range(IMAGES)]
    box = [10.0, 12.0, 16.0, 14.0]
    annotations = {
        "images": [{"id": i, "file_name": f"{i}.png"} for i in ids],
        "categories": [{"id": 3, "name": "person"}],
        "annotations": [
            {"id": k, "image_id": i, "category_id": 3, "bbox": box} for k, i in enumerate(ids)
        ],
    }
    corners = np.array([[10, 12, 26, 26]], np.float32)
    images = [BoxedImage(i, None, corners, np.zeros(1, np.int64)) for i in ids]
    return BoxSet(images, annotations, [3])


def _found(ids: list[int], seen: np.ndarray) -> dict[int, Detections]:
    none = Detections(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    one = Detections(
        np.array([[10, 12, 26, 26]], np.float32), np.full(1, 0.9, np.float32), np.zeros(1, np.int64)
    )
    return {i: one if hit else none for i, hit in zip(ids, seen)}


@pytest.fixture
def samples(script):
    box_set = _box_set()
    ids = sorted(image.image_id for image in box_set.images)
    rng = np.random.default_rng(0)
    psnr_plain = rng.normal(35, 5, IMAGES)
    seen = {"bicubic": rng.random(IMAGES) < 0.2, "1": rng.random(IMAGES) < 0.5}
    seen |= {"1:v1": seen["1"] | (np.arange(IMAGES) % 3 == 0), "hr": np.ones(IMAGES, bool)}
    columns = {
        name: {
            "psnr": psnr_plain + (1 if name == "1:v1" else 0),
            # A column that is the object's recall, image by image.
            "ssim": hits.astype(float),
            "spectrum_distance": np.full(IMAGES, 2.0 if name == "bicubic" else 1.0),
            "hot_peak_error": np.where(np.arange(IMAGES) == 0, np.nan, 0.5),
        }
        for name, hits in seen.items()
    }
    found = {name: _found(ids, hits) for name, hits in seen.items()}
    return script.bootstrap(columns, box_set, CLASSES, found, resamples=200), seen


def test_frames_and_boxes_are_drawn_together(samples):
    drawn, _ = samples
    for name in ("bicubic", "1", "1:v1", "hr"):
        assert drawn[name]["ssim"].shape == (201,)
        np.testing.assert_allclose(drawn[name]["ssim"], drawn[name]["recall50_small"], atol=1e-12)
    assert drawn["1"]["ssim"].std() > 0.02


def test_the_first_value_is_that_of_all_frames(samples):
    drawn, seen = samples
    assert drawn["1"]["recall50_small"][0] == pytest.approx(seen["1"].mean())
    assert drawn["1"]["hot_peak_error"][0] == pytest.approx(0.5)  # the frame without is left out


def test_recovered_is_the_share_of_the_loss(samples, script):
    drawn, _ = samples
    maps = {name: drawn[name]["map50"][0] for name in drawn}
    share = 100 * (maps["1"] - maps["bicubic"]) / (maps["hr"] - maps["bicubic"])
    assert drawn["1"][script.RECOVERED][0] == pytest.approx(share)
    assert drawn["hr"][script.RECOVERED][0] == pytest.approx(100)
    assert (drawn["bicubic"][script.RECOVERED][0], drawn["1"][script.RATIO][0]) == (0, 0.5)


def test_differences_are_paired_by_steps_and_frames(samples, script):
    drawn, _ = samples
    report = script.report(drawn, script.parse_settings("1;1:v1;2:v1"), IMAGES)
    assert list(report["differences"]) == ["1:v1 - 1"]  # nothing to compare two steps with
    difference = report["differences"]["1:v1 - 1"]
    # The frames' PSNR scatter by 5 dB; what guidance adds is the same on all.
    assert difference["psnr"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert difference["map50"]["value"] > 0
    row = next(line for line in script.table(report).splitlines() if line.startswith("| 1:v1 - 1"))
    assert "| +1.00 (+1.00 to +1.00) |" in row


def test_the_command_measures_every_frame(script, tmp_path, monkeypatch, capsys):
    frames = [scene(seed, 64, 96)[0] for seed in range(2)]
    for number, frame in enumerate(frames):
        write_image(tmp_path / "frames" / f"{number}.png", frame)
    arguments = ["--unseen", str(tmp_path / "frames"), "--settings", "1;2", "--resamples", "20"]
    arguments += ["--json", str(tmp_path / "table.json"), "--degradation", "reduced"]
    monkeypatch.setattr(sys, "argv", ["guidance_table.py", *arguments])
    script.main()
    out = capsys.readouterr().out
    for row in ("bicubic", "1", "2", "hr"):
        assert f"\n| {row} | " in out
    (report,) = json.loads((tmp_path / "table.json").read_text()).values()
    resolver = SuperResolver.load(num_steps=2, camera="reduced")
    expected = np.mean([psnr(f, resolver.upscale(degrade_bicubic(f)), 255) for f in frames])
    assert report["methods"]["2"]["psnr"]["value"] == pytest.approx(expected, abs=1e-4)
    assert report["methods"]["hr"]["psnr"] is None
    assert report["frames"] == 2


def test_boxes_go_with_data(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["guidance_table.py", "--data", "frames"])
    with pytest.raises(SystemExit):
        script.main()
    assert "--data goes with --boxes" in capsys.readouterr().err
