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

"""The benchmark of still scenes: sequences of known truth, and what is counted where."""

from __future__ import annotations

import importlib.util
import json
import sys

import cv2
import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.io.images import write_image


@pytest.fixture
def load(repository, monkeypatch):
    folder = repository / "benchmarks"
    monkeypatch.syspath_prepend(str(folder))

    def load(name: str):
        spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def resolver():
    bicubic = SuperResolver.load(backend="bicubic")
    yield bicubic
    bicubic.close()


def recorded(seed: int = 0, shape=(192, 256)) -> np.ndarray:
    coarse = np.random.default_rng(seed).uniform(20, 220, (8, 10)).astype(np.float32)
    size = shape[::-1]
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("fixed", [0.0, 0.9])
def test_looks_at_one_scene_differ_by_new_noise_alone(load, fixed):
    made = load("still_sequences")
    watched = made.Watched.of(recorded(), "a.png", 1.0, fixed)
    looks = [watched.look(watched.hr, number).astype(float) for number in range(20)]
    changes = np.std(looks, axis=0).mean() / (made.COUNTS * watched.camera.noise)
    assert changes == pytest.approx((1 - fixed) ** 0.5, rel=0.1)
    assert (watched.look(watched.hr, 3) == looks[3]).all()
    assert watched.told.blur == watched.camera.blur


def test_objects_are_where_the_truth_differs(load):
    made = load("still_sequences")
    watched = made.Watched.of(recorded(), "a.png", 0.0)
    looks = list(made.with_objects(watched, 3))
    for look in looks:
        differs = np.abs(look.truth - made.COUNTS * watched.hr.astype(float)) > 0.5
        assert differs.any() and not (differs & ~look.objects).any()
        small = cv2.resize(look.truth, look.lr.shape[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(small - look.lr).mean() < 0.1 * np.ptp(small)
    assert (looks[0].objects != looks[2].objects).any()


def test_a_pan_goes_on_and_a_jitter_comes_back(load):
    made = load("still_sequences")
    watched = made.Watched.of(recorded(), "a.png", 0.0)
    truth = [look.truth for look in made.moving(watched, 6, pan=1.0)]
    away = [np.abs(frame - truth[0]).mean() for frame in truth]
    assert (np.diff(away) > 0).all()
    assert np.abs(truth[5][:-12, :-16] - truth[0][12:, 16:]).mean() < 0.1 * away[5]
    jittered = [look.truth for look in made.moving(watched, 6, jitter=0.1)]
    assert 0 < np.abs(jittered[5] - jittered[0]).mean() < 0.5 * away[1]


def test_static_scenes_gain_and_moving_cameras_are_left_alone(load, resolver, tmp_path):
    bench = load("still_scenes")
    paths = {"s": [tmp_path / "0.png"], "t": [tmp_path / "1.png"]}
    for seed, (path,) in enumerate(paths.values()):
        write_image(path, recorded(seed))
    rows = bench.measure_static(paths, resolver)
    assert len(rows) == 3 * 2 * 2
    assert all(row["gain"] == pytest.approx(np.mean(list(row["sets"].values()))) for row in rows)
    gains = {(row["noise"], row["camera"], row["frames"]): row["gain"] for row in rows}
    assert gains[2.0, "told", 32] > gains[2.0, "told", 8] > 1
    moved = {(r["motion"], r["camera"], r["fixed noise"]): r for r in bench.measure_camera(
        {"s": paths["s"]}, resolver
    )}  # fmt: skip
    assert moved["pan 1", "told", 0.0]["gain"] == pytest.approx(0, abs=0.01)
    assert moved["pan 1", "told", 0.0]["blocks"] == 3 * 4


def test_areas_and_blocks_are_counted_apart(load, resolver, tmp_path):
    bench = load("still_scenes")
    write_image(tmp_path / "0.png", recorded())
    bench.NOISE = (2.0,)
    (told, auto) = bench.measure_objects({"s": [tmp_path / "0.png"]}, resolver)
    assert (told["camera"], auto["camera"]) == ("told", "auto") and told["blocks"] == 12
    assert told["rest"] > told["wake"] + 1 and told["objects"] < 0.2 * told["wake"]
    assert bench.block_row([np.array([-0.5, 0.1]), np.array([-0.01, 2.0])]) == {
        "worst block": -0.5, "blocks that lose": 0.25, "blocks": 4,
    }  # fmt: skip
    errors = np.zeros((130, 200))
    errors[64:128, 128:192] = 1
    assert bench.blocks_of(errors).tolist() == [0, 0, 0, 0, 0, 64 * 64]


class Ghost:
    """Bicubic that, given a memory, shows half of the frame four before."""

    def __init__(self, resolver) -> None:
        self.resolver, self.frames = resolver, []

    @property
    def measurements(self):
        return self.resolver.measurements

    def upscale(self, frame, memory=None):
        if memory is not None:
            self.frames.append(frame)
            frame = (frame + self.frames[max(0, len(self.frames) - 5)]) / 2
        return self.resolver.upscale(frame)


def test_a_trail_in_a_clip_is_seen(load, resolver):
    bench = load("still_scenes")
    rng, clip = np.random.default_rng(0), []
    for number in range(30):
        frame = 30000 + 4.0 * recorded(0, (60, 80)) + rng.normal(0, 2, (60, 80))
        if number < 12:
            frame[20:40, 30:50] += 600
        clip.append(np.rint(frame).astype(np.uint16))
    ours = bench.measure_clip("c", np.stack(clip), resolver)
    ghost = bench.measure_clip("c", np.stack(clip), Ghost(resolver))
    assert ours["wake, % of pixels"] > 0 and ours["wake, single"] == ghost["wake, single"]
    assert ours["wake"] < 1.1 * ours["wake, single"] < 10 < ghost["wake"]
    assert ours["still"] > 0.8 and ours["flicker"] < 0.6 * ours["flicker, single"]
    still = bench.measure_clip("c", np.stack(clip[14:]), resolver)
    assert np.isnan(still["wake"]) and bench._plain(still)["wake"] is None


def test_what_is_written_is_what_the_figures_page_reads(load, resolver, tmp_path, repository):
    """Also without a part, and where there was nothing to measure."""
    from still_tables import still

    bench = load("still_scenes")
    row = {"noise": 1.0, "camera": "told", "frames": 8, "gain": 0.8, "sets": {"s": 0.8}}
    later = {**row, "frames": 32, "gain": 1.0}
    clip = {
        "clip": "c", "frames": 9, "still": 0.5, "averaged": 4.0, "flicker, single": 2.0,
        "flicker": 1.0, "wake, % of pixels": 0.0, "wake, single": np.nan, "wake": np.nan,
    }  # fmt: skip
    found = {"static": [row, later], "clips": [bench._plain(clip)]}
    text = still(json.loads(json.dumps({"models": {"nano": found}})))
    assert "| `nano`, told | +0.80; +1.00 |" in text
    assert "| `nano`, c | 50 | 4 | 2.00 → 1.00 | none → none |" in text
    assert bench.verdicts(found) == ["1 %, told, 8 frames: +0.80 dB, aimed at +0.70  pass"]
    lost = {"objects": [{"worst block": -0.03}]}
    assert bench.verdicts(lost) == ["worst block, objects: -0.030 dB, at least -0.02  FAIL"]
