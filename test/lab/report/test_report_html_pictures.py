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

"""The report's pictures: which frames, one tone mapping for all, and details where it matters."""

from __future__ import annotations

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from difiisr_ros.lab.frames.degrade import truth_at
from difiisr_ros.lab.report.pictures import (
    DETAIL,
    choose_frames,
    choose_regions,
    make_scene,
    tone_map,
    tone_range,
)
from support.report_evaluation import evaluation, pictures


def decoded(uri):
    kind, _, data = uri.partition(";base64,")
    assert kind in ("data:image/webp", "data:image/png")
    image = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    assert np.ptp(image, axis=2).max() == 0  # gray
    return image[..., 0]


def test_frames_are_ranked_by_the_gain():
    chosen = choose_frames(evaluation(), "psnr", "difiisr")
    assert (chosen["worst"], chosen["best"]) == (3, 7)
    found = evaluation()
    gains = found.gains("psnr", "difiisr")
    assert np.sort(gains)[len(gains) // 2] == gains[chosen["median"]]


def test_where_lower_is_better_the_ranking_turns_round():
    chosen = choose_frames(evaluation(), "consistency", "difiisr")
    assert (chosen["worst"], chosen["best"]) == (7, 3)


def test_frames_without_a_value_are_not_chosen():
    found = evaluation()
    found.methods["difiisr"].values["psnr"][[3, 7]] = np.nan
    assert not {3, 7} & set(choose_frames(found, "psnr", "difiisr").values())
    found.methods["difiisr"].values["psnr"][:] = np.nan
    assert choose_frames(found, "psnr", "difiisr") == {}
    assert choose_frames(evaluation(("detail",)), "detail", "difiisr") == {}


def test_16_bits_are_mapped_alike_for_all_methods():
    frame = pictures(0)
    scene = make_scene(frame, "bicubic", "difiisr")
    low, high = scene.tones
    assert (low, high) == tone_range(frame.hr)
    assert low == pytest.approx(np.percentile(frame.hr, 0.5))
    arrays = {"camera": frame.lr, **frame.methods, "truth": frame.hr}
    assert [p.name for p in scene.pictures] == list(arrays)
    for picture in scene.pictures:
        expected = np.clip((arrays[picture.name] - low) / (high - low), 0, 1) * 255
        np.testing.assert_allclose(decoded(picture.whole), expected, atol=1)


def test_8_bits_are_shown_as_they_are():
    frame = pictures(0, dtype=np.uint8)
    scene = make_scene(frame, "bicubic", "difiisr")
    assert scene.tones is None
    np.testing.assert_array_equal(decoded(scene.pictures[-1].whole), frame.hr)


def test_a_flat_or_partly_missing_frame_can_be_mapped():
    flat = np.full((8, 8), 300, np.uint16)
    assert tone_map(flat, tone_range(flat)).max() == 0
    holed = np.array([[np.nan, 1.0], [2.0, 3.0]], np.float32)
    mapped = tone_map(holed, tone_range(holed))
    assert mapped.dtype == np.uint8 and mapped[0, 0] == 0 and mapped[1, 1] == 255


def test_details_are_the_same_place_for_all_stretched_alike():
    frame = pictures(1, shape=(160, 208))
    scene = make_scene(frame, "bicubic", "difiisr")
    assert len(scene.regions) == 2
    arrays = {"camera": frame.lr, **frame.methods, "truth": frame.hr}
    for i, (x, y, w, h) in enumerate(scene.regions):
        assert (w, h) == (4 * DETAIL, 4 * DETAIL) and x % 4 == y % 4 == 0
        low, high = np.percentile(frame.hr[y : y + h, x : x + w], (0.5, 99.9))
        for picture in scene.pictures:
            scale = 4 if picture.name == "camera" else 1
            rows, columns = slice(y // scale, (y + h) // scale), slice(x // scale, (x + w) // scale)
            expected = np.clip((arrays[picture.name][rows, columns] - low) / (high - low), 0, 1)
            np.testing.assert_allclose(decoded(picture.details[i]), 255 * expected, atol=1)


@pytest.mark.parametrize("scale", [4, 2, 1])
def test_details_are_the_same_place_of_the_scene_at_every_scale(scale):
    large = pictures(1, shape=(160, 208))

    def reduced(image):
        return truth_at(image, scale)

    frame = replace(
        large,
        hr=reduced(large.hr),
        methods={name: reduced(image) for name, image in large.methods.items()},
    )
    scene = make_scene(frame, "bicubic", "difiisr", scale=scale)
    assert scene.scale == scale and (scene.width, scene.height) == (52 * scale, 40 * scale)
    for i, (x, y, w, h) in enumerate(scene.regions):
        assert (w, h) == (scale * DETAIL, scale * DETAIL) and x % scale == y % scale == 0
        camera, ours, truth = (scene.pictures[k].details[i] for k in (0, 2, -1))
        assert decoded(camera).shape == (DETAIL, DETAIL)
        assert decoded(ours).shape == decoded(truth).shape == (h, w)
        low, high = np.percentile(frame.hr[y : y + h, x : x + w], (0.5, 99.9))
        lr = frame.lr[y // scale :, x // scale :][:DETAIL, :DETAIL]
        expected = np.clip((lr - low) / (high - low), 0, 1) * 255
        np.testing.assert_allclose(decoded(camera), expected, atol=1)


def test_details_show_fine_structure_and_differences():
    truth = np.full((120, 160), 90, np.uint8)
    truth[:, :40] = 200  # a strong edge alone is no structure
    truth[64:112:2, 96:144] = 130
    first = np.full_like(truth, 90)
    second = first.copy()
    second[0:32, 60:100] = 140
    (x1, y1, w, h), (x2, y2, _, _) = choose_regions(truth, first, second)
    assert abs(x1 - 96) <= 8 and abs(y1 - 64) <= 8
    assert 48 <= x2 <= 64 and y2 == 0
    apart = x2 + w <= x1 or x1 + w <= x2 or y2 + h <= y1 or y1 + h <= y2
    assert apart


def test_details_are_found_where_they_are_at_x2():
    truth = np.full((60, 80), 90, np.uint8)
    truth[32:56:2, 48:72] = 130
    first, second = np.full_like(truth, 90), np.full_like(truth, 90)
    second[0:16, 20:44] = 140
    (x1, y1, w, h), (x2, y2, _, _) = choose_regions(truth, first, second, 2)
    assert (w, h) == (24, 24) and abs(x1 - 48) <= 4 and abs(y1 - 32) <= 4
    assert abs(x2 - 20) <= 4 and y2 == 0


def test_a_frame_smaller_than_a_detail_is_its_own_detail():
    frame = pictures(0, shape=(32, 40))
    scene = make_scene(frame, "bicubic", "difiisr")
    assert scene.regions == ((0, 0, 40, 32),)


def test_over_the_budget_wholes_shrink_and_details_stay():
    frame = pictures(0, shape=(512, 640))
    full = make_scene(frame, "bicubic", "difiisr")
    small = make_scene(frame, "bicubic", "difiisr", budget=300_000)
    assert full.shrunk == 1 and small.shrunk > 1
    assert decoded(small.pictures[1].whole).shape == (512 // small.shrunk, 640 // small.shrunk)
    assert decoded(small.pictures[0].whole).shape == (128, 160)  # the camera's is small already
    assert [p.details for p in small.pictures] == [p.details for p in full.pictures]
    # One picture stands for all, so the sum is near the budget and need not be below it.
    assert sum(0.75 * len(p.whole) for p in small.pictures) < 330_000


def test_the_truth_is_optional():
    frame = replace(pictures(0), hr=None)
    scene = make_scene(frame, "bicubic", "difiisr")
    assert "truth" not in [p.name for p in scene.pictures]
    assert scene.tones == tone_range(frame.lr)
