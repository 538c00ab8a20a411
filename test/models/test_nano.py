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

"""The faster embedded model: what it gains, what it costs, and that everything runs with it."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.io.images import read_image
from difiisr_ros.lab.frames.degrade import crop_to_scale, degrade_bicubic
from difiisr_ros.models.checkpoint import load_model

pytestmark = pytest.mark.usefixtures("simplified_once")


@pytest.fixture(scope="module")
def nano():
    resolver = SuperResolver.load(model="nano", backend="torch")
    yield resolver
    resolver.close()


def test_what_the_camera_measured_is_kept(nano, drone_frames):
    """The frame's mean, and those of 16x16 camera pixels, of which noise is a sixteenth."""
    for path in drone_frames[::5]:
        frame = 27_000 + 20 * read_image(path).astype(np.uint16)
        low, high = measure_range(frame)
        result = nano.upscale(frame).astype(float)
        assert abs(result.mean() - frame.mean()) < 1e-3 * (high - low)
        height, width = (side // 16 for side in frame.shape)
        inside = frame[: 16 * height, : 16 * width].reshape(height, 16, width, 16)
        found = result[: 64 * height, : 64 * width].reshape(height, 64, width, 64)
        error = found.mean(axis=(1, 3)) - inside.mean(axis=(1, 3))
        assert np.abs(error).mean() < 2e-3 * (high - low)


@pytest.mark.parametrize("num_steps", [2, 4])
def test_more_steps_add_structure_and_stay_near(nano, drone_frames, num_steps):
    frame = degrade_bicubic(crop_to_scale(read_image(drone_frames[0])))
    nano.configure(num_steps=1)
    one = nano.upscale(frame).astype(float)
    nano.configure(num_steps=num_steps)
    several = nano.upscale(frame).astype(float)
    nano.configure(num_steps=1)
    assert 0 < np.abs(several - one).mean() < 3

    def roughness(image: np.ndarray) -> float:
        return float(np.abs(cv2.Laplacian(image, cv2.CV_64F)).mean())

    assert roughness(several) > roughness(one)


def test_it_takes_a_fraction_of_lites_time(nano):
    """CPU time, in turns: what other processes do changes it little. Of smaller frames more of it
    is not the networks', and both take the same."""
    lite = SuperResolver.load(backend="torch")
    frame = np.random.default_rng(0).integers(29_000, 31_000, (256, 320)).astype(np.uint16)

    def cpu(resolver: SuperResolver) -> float:
        start = time.process_time()
        resolver.upscale(frame)
        return time.process_time() - start

    for resolver in (lite, nano):
        resolver.upscale(frame)
    pairs = [(cpu(nano), cpu(lite)) for _ in range(8)]
    lite.close()
    assert np.median([a / b for a, b in pairs]) < 0.5


def test_its_file_says_where_it_comes_from_and_what_it_is_worth():
    network, facts = load_model("nano")
    assert network.config.prior_channels == 16
    assert facts["licence"] == "CC BY 4.0"
    assert {"m3fd", "roadscene", "hit_uav/test", "lepton"} <= facts["quality"].keys()
    assert network.guidance_priors.terms == ("visual", "perceptual")


@pytest.mark.parametrize("num_steps", [1, 2])
def test_its_graph_equals_torch(num_steps):
    pytest.importorskip("onnxruntime")
    from difiisr_ros.export.check import compare_with_torch
    from difiisr_ros.export.facts import GraphOptions
    from difiisr_ros.export.onnx_writer import export_onnx

    options = GraphOptions(num_steps=num_steps, guidance="visual")
    sizes = [(1, 24, 32), (2, 17, 23)]
    data = export_onnx("nano", options)
    assert all(found.largest < 1e-4 for found in compare_with_torch(data, "nano", options, sizes))
