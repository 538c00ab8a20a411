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

"""x2 and x1, free sizes and regions of interest: what comes out against the whole result of x4."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.core.condition import Conditions
from difiisr_ros.core.region import Region
from difiisr_ros.errors import FrameError, OptionError
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.export.onnx_writer import export_onnx
from difiisr_ros.io.images import read_image
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite_frames import upscale_frames
from support.frames import smooth_frame
from support.paths import DRONE_FRAMES

TOLD = CameraProfile(blur=0.4, blur_error=0.05)


@pytest.fixture(scope="module")
def frame():
    return read_image(next(iter(sorted(DRONE_FRAMES.glob("*.jpg")))))[:120, :160]


@pytest.fixture
def lite():
    return SuperResolver.load("lite", backend="torch", device="cpu", precision="fp32")


def means(image: np.ndarray, factor: int) -> np.ndarray:
    height, width = image.shape
    blocks = image.reshape(height // factor, factor, width // factor, factor)
    return blocks.mean(axis=(1, 3), dtype=np.float64)


@pytest.mark.parametrize("model", ["lite", "nano"])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("scale", [2, 1])
def test_the_folded_network_gives_the_mean_of_the_whole_result(model, steps, exact, scale):
    """To 1e-5, wherever the bound on results does not hold one of its pixels back."""
    network = load_model(model)[0].eval().requires_grad_(False)
    full = network.config.schedule()
    lr = torch.rand(2, 1, 17, 22, generator=torch.Generator().manual_seed(0)) * 0.1
    camera = torch.from_numpy(Conditions.of(TOLD, [0.002, 0.004], 1.0).values)
    noise = [torch.randn(1, 16, 17, 22)] if steps > 1 else []
    lr = torch.nn.functional.avg_pool2d(lr, 5, 1, 2)  # calm enough that nothing is held back

    def run(scale):
        how = {"consistency": 1, "exact": exact, "scale": scale}
        return upscale_frames(network, lr, camera, noise, full, full.respaced(steps), **how)

    expected = torch.nn.functional.avg_pool2d(run(4), 4 // scale)
    found = run(scale)
    assert found.shape == expected.shape == (2, 1, 17 * scale, 22 * scale)
    held = (found - expected).abs() > 1e-5
    assert held.float().mean() < 0.01
    assert (found - expected).abs().max() < 0.02


@pytest.mark.parametrize("how", [{}, {"num_steps": 2}, {"visual_scale": 0.8}, {"tile_size": 64}])
@pytest.mark.parametrize("scale", [2, 1])
def test_every_way_has_every_scale(lite, frame, how, scale):
    lite.configure(**{"tile_overlap": 16, **how})
    whole = lite.upscale(frame)
    lite.configure(scale=scale)
    assert lite.info.scale == scale
    result = lite.upscale(frame)
    assert result.shape == (scale * frame.shape[0], scale * frame.shape[1])
    difference = np.abs(means(whole, 4 // scale) - result)
    assert np.quantile(difference, 0.98) <= 1.0  # rounding twice
    assert (difference > 2).mean() < 0.01


def test_a_batch_gives_what_single_frames_give(lite, frame):
    lite.configure(scale=2)
    frames = [frame, frame[::-1].copy()]
    for result, one in zip(lite.upscale_batch(frames), frames):
        assert np.abs(result.astype(int) - lite.upscale(one)).max() <= 1


@pytest.mark.parametrize(("fit", "shape"), [("stretch", (70, 90)), ("letterbox", (70, 90))])
def test_a_free_size_is_the_mean_over_areas(lite, frame, fit, shape):
    lite.configure(output_size=shape[::-1], output_fit=fit)
    result, geometry = lite.upscale(frame), lite.geometry(*frame.shape)
    assert result.shape == shape and result.dtype == frame.dtype
    lite.configure(output_size=(0, 0), scale=geometry.scale)
    placed = geometry.place(lite.upscale(frame).astype(np.float32))
    inside = geometry.place_mask(np.ones(frame.shape, bool))
    assert np.abs(placed - result)[inside].max() <= 1.0


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("scale", [4, 2])
@pytest.mark.parametrize("corner", [(0, 0), (37, 21), (101, 70)])
def test_a_region_is_the_same_part_of_the_whole_result(lite, frame, steps, scale, corner):
    """To one count of sixteen bits that are used whole, with a stuck pixel outside."""
    wide = (frame.astype(np.float32) * 200).astype(np.uint16)
    wide[3, 150] = 65535
    lite.configure(num_steps=steps, scale=scale)
    whole, measured = lite.upscale(wide).astype(int), lite.measurements
    region = Region(*corner, 40, 28)
    result = lite.upscale(wide, region=region)
    expected = region.clipped(*wide.shape[::-1]).times(scale).of(whole)
    assert result.shape == expected.shape
    assert np.abs(result - expected).max() <= 1
    assert lite.measurements == measured


def test_a_region_runs_less_than_the_frame(lite):
    seen = []
    run = lite._backend.run
    lite._backend.run = lambda lr, *how: (seen.append(lr.shape[-2:]), run(lr, *how))[1]
    lite.upscale(smooth_frame(shape=(512, 640)), region=Region(0, 200, 640, 128))
    assert seen == [(192, 640)]


def test_regions_and_sizes_go_together(lite, frame):
    lite.configure(output_size=(64, 64), output_fit="letterbox")
    region = Region(20, 10, 40, 20)
    result, geometry = lite.upscale(frame, region=region), lite.geometry(*frame.shape, region)
    assert geometry.frame == (40, 20) and geometry.inner == (64, 32) and geometry.top == 16
    lite.configure(output_size=(0, 0), scale=geometry.scale)
    part = geometry.place(lite.upscale(frame, region=region).astype(np.float32))
    assert np.abs(part[16:48] - result[16:48]).max() <= 1


@pytest.mark.parametrize("options", [{"scale": 2}, {"output_size": (50, 50)}])
def test_missing_pixels_come_back_at_every_size(lite, options):
    picture = smooth_frame(np.float32, (20, 30))
    picture[4:6, 10] = np.nan
    lite.configure(**options)
    result, geometry = lite.upscale(picture), lite.geometry(20, 30)
    np.testing.assert_array_equal(np.isnan(result), geometry.place_mask(np.isnan(picture)))
    assert np.isnan(result).any()


def test_a_graph_of_one_scale_makes_every_size_from_it(frame, tmp_path):
    file = tmp_path / "half.onnx"
    file.write_bytes(export_onnx("nano", GraphOptions(scale=2)))
    with pytest.raises(OptionError, match="scale must be 2, which is built into"):
        SuperResolver.load(str(file), strict_backend=True)
    graph = SuperResolver.load(str(file), strict_backend=True, scale=2, output_size=(40, 30))
    model = SuperResolver.load("nano", "torch", precision="fp32", scale=2)
    model.configure(output_size=(161, 121))  # between x1 and x2: of x2, as the graph's is
    graph.configure(output_size=(161, 121))
    difference = model.upscale(frame).astype(int) - graph.upscale(frame)
    assert np.abs(difference).max() <= 1
    graph.configure(output_size=(40, 30))
    assert graph.geometry(*frame.shape).scale == 2
    assert graph.upscale(frame).shape == (30, 40)


def test_what_cannot_be_is_refused_by_name(lite, frame):
    for options, words in (
        ({"scale": 3}, "scale must be one of 4, 2, 1, got 3"),
        ({"scale": True}, "scale must be one of"),
        ({"output_size": (640,)}, "output_size must be two integers"),
        ({"output_fit": "fill"}, "output_fit must be one of stretch, letterbox, crop"),
    ):
        with pytest.raises(OptionError, match=words):
            lite.configure(**options)
    with pytest.raises(FrameError, match="lies outside the frame"):
        lite.upscale(frame, region=Region(10_000, 0, 4, 4))
    lite.configure(max_input_pixels=10_000)
    with pytest.raises(FrameError, match="max_input_pixels is 10000"):
        lite.upscale(smooth_frame(shape=(512, 640)))
    lite.upscale(smooth_frame(shape=(512, 640)), region=Region(300, 200, 20, 20))
