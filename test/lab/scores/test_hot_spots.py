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

"""Hot spots: what counts as one, and that super-resolution and guidance make and lose none."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from difiisr_ros import SuperResolver, cli
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.io.images import list_files, read_image, write_image
from difiisr_ros.lab.evaluation import methods
from difiisr_ros.lab.evaluation.methods import pillow_upscale
from difiisr_ros.lab.frames.degrade import crop_to_scale, degrade_bicubic
from difiisr_ros.lab.scores import hot_spots
from difiisr_ros.lab.scores.hot_spots import HEAT, PROMINENCE, HotSpots, noise_level
from difiisr_ros.lab.scores.metrics import consistency
from difiisr_ros.lab.training.data import Frame
from difiisr_ros.lab.training.guidance_priors import fit_guidance_priors, lite_answer
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.quality import PRESETS

NOISE = 4.0
#: Mean |downsample(SR) - LR| that radiometric results keep to, in counts.
MOST_DEVIATION = 0.6


def _blob(shape: tuple[int, int], row: float, column: float, sigma: float) -> np.ndarray:
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((y - row) ** 2 + (x - column) ** 2) / (2 * sigma**2))


def _scene(spots: list[tuple[float, float, float]], scale: int = 1, noise: float = NOISE):
    """16-bit scene of 48x64 camera pixels with hot spots (row, column, counts), sampled finer."""
    shape = 48 * scale, 64 * scale
    frame = np.full(shape, 30_000.0)
    for row, column, height in spots:
        centre = ((row + 0.5) * scale - 0.5, (column + 0.5) * scale - 0.5)
        frame += height * _blob(shape, *centre, 1.5 * scale)
    fine = np.random.default_rng(0).normal(0, noise, (48, 64))
    frame += cv2.resize(fine, shape[::-1], interpolation=cv2.INTER_NEAREST)
    return frame.round().astype(np.uint16)


SPOTS = [(12, 20, 400.0), (30, 40, 250.0), (36, 10, 300.0)]


def test_the_noise_of_a_scene_is_measured():
    assert noise_level(_scene(SPOTS)) == pytest.approx(NOISE, rel=0.15)
    assert noise_level(np.zeros((2, 2), np.float32)) == 0


def test_spots_are_found_where_they_are():
    found = HotSpots(_scene(SPOTS)).positions
    assert len(found) == len(SPOTS)
    for row, column, _ in SPOTS:
        assert any(abs(r - row) <= 1 and abs(c - column) <= 1 for r, c in found)


@pytest.mark.parametrize(("height", "count"), [(PROMINENCE + 1, 2), (PROMINENCE - 1, 1)])
def test_a_second_spot_on_a_hot_body_counts_by_its_prominence(height, count):
    """Both are the frame's hottest pixels; what matters is how far they stand out."""
    frame = _scene([], noise=0)  # whole counts: a noise unit is one of them
    frame[20:28, 40:48] += 1500
    frame[22, 42] += 30
    frame[25, 45] += int(height)
    assert len(HotSpots(frame).positions) == count


def test_a_flat_top_is_one_spot_and_moves_nowhere():
    frame = _scene([], noise=0)
    frame[10:14, 20:26] += 300  # a saturated target
    spots = HotSpots(frame)
    assert len(spots.positions) == 1
    result = np.repeat(np.repeat(frame, 4, 0), 4, 1).astype(np.float32)
    result[4 * 13 : 4 * 14, 4 * 25 : 4 * 26] += 0.4  # the far corner is a little hotter now
    heat = spots.compare(result)
    assert (heat.spots, heat.created, heat.removed) == (1, 0, 0)


def test_equally_hot_neighbours_may_change_places():
    frame = _scene([], noise=0)
    frame[10:13, 20:29] += 300
    frame[10:13, 24] -= 3  # two halves, hardly parted
    result = np.repeat(np.repeat(frame, 4, 0), 4, 1).astype(np.float32)
    left, right = result.copy(), result
    left[40:52, 80:96] += 0.6
    right[40:52, 100:116] += 0.6
    for changed in (left, right):
        heat = HotSpots(frame).compare(changed)
        assert (heat.created, heat.removed) == (0, 0)


def test_the_scene_itself_has_the_same_spots():
    heat = HotSpots(_scene(SPOTS)).compare(_scene(SPOTS, scale=4))
    assert (heat.spots, heat.created, heat.removed) == (3, 0, 0)


@pytest.mark.parametrize("shift", [1, -1])
def test_a_spot_may_lie_one_pixel_beside(shift):
    moved = [(row + shift, column - shift, height) for row, column, height in SPOTS]
    heat = HotSpots(_scene(SPOTS)).compare(_scene(moved, scale=4))
    assert (heat.created, heat.removed) == (0, 0)


def test_a_spot_that_moves_away_is_removed_and_created():
    moved = [*SPOTS[:2], (SPOTS[2][0], SPOTS[2][1] + 8, SPOTS[2][2])]
    heat = HotSpots(_scene(SPOTS)).compare(_scene(moved, scale=4))
    assert (heat.created, heat.removed) == (1, 1)


def test_peaks_are_compared_in_counts():
    hotter = [*SPOTS[:2], (36, 10, 340.0)]
    lr, sr = _scene(SPOTS, noise=0), _scene(hotter, scale=4, noise=0)
    heat = HotSpots(lr).compare(sr)
    # Reducing a spot lowers its peak a little, and the others' with it.
    assert heat.peak_error == pytest.approx(40, abs=15)
    assert (heat.created, heat.removed) == (0, 0)


def test_frames_without_any_structure_have_no_spots():
    for frame in (np.full((16, 16), 7, np.uint8), np.zeros((16, 16), np.float32)):
        heat = HotSpots(frame).compare(np.zeros((64, 64), frame.dtype))
        assert (heat.spots, heat.created, heat.removed) == (0, 0, 0)
        assert np.isnan(heat.peak_error)


def _evaluated(folder: Path, out: Path, *more: str) -> dict:
    command = ["evaluate", str(folder), "--no-reference", "--backend", "bicubic", *more]
    assert cli.main([*command, "--metrics", ",".join(HEAT), "--out", str(out)]) == 0
    return json.loads((out / "results.json").read_text())


def test_an_evaluation_counts_them(tmp_path, monkeypatch):
    folder, out = tmp_path / "frames", tmp_path / "out"
    folder.mkdir()
    for i in range(6):
        write_image(folder / f"{i}.png", np.roll(_scene(SPOTS), 2 * i, axis=1))
    lanczos = methods.lanczos_upscale

    def one_more(lr, scale):
        result = lanczos(lr, scale)
        result[8:16, 8:16] += 600  # no camera pixel was as hot there
        return result

    monkeypatch.setattr(methods, "lanczos_upscale", one_more)
    found = _evaluated(folder, out)
    bicubic, other = found["methods"]["bicubic"], found["methods"]["lanczos"]
    assert bicubic["hot_spots_created"] == bicubic["hot_spots_removed"] == 0
    assert other["hot_spots_created"] == 1 and other["hot_spots_removed"] == 0
    assert 0 < bicubic["hot_spot_error"] < 40
    assert found["differences"]["lanczos"]["hot_spots_created"]["verdict"] == "worse"
    assert "hot spots created" in (out / "report.html").read_text()
    assert "hot_spot_error" in (out / "frames.csv").read_text().splitlines()[0]
    kelvin = _evaluated(folder, tmp_path / "kelvin", "--kelvin-per-count", "0.01")
    in_kelvin = kelvin["methods"]["bicubic"]
    assert in_kelvin["hot_spot_error"] == pytest.approx(bicubic["hot_spot_error"] / 100)
    assert kelvin["methods"]["lanczos"]["hot_spots_created"] == 1  # no counts of a camera


# Real frames, through the engine.


@pytest.fixture(scope="module")
def sharp(drone_frames) -> list[np.ndarray]:
    return [crop_to_scale(read_image(path)) for path in drone_frames[::3]]


@pytest.fixture(scope="module", params=["lepton", "hit_uav"])
def frames(request, sharp) -> list[np.ndarray]:
    """LR frames as a camera gives them: 16-bit radiometric ones, and reduced 8-bit ones."""
    if request.param == "hit_uav":
        return [degrade_bicubic(frame) for frame in sharp]
    folder = request.getfixturevalue("data_dir") / "lepton"
    return [read_image(path) for path in list_files(folder)[::15]]


@pytest.fixture(scope="module")
def resolvers(sharp, tmp_path_factory) -> dict[str, SuperResolver]:
    """The embedded model, and the same with priors fitted here: those know the test's frames."""
    network, facts = load_model("lite")
    pixels = [Frame(image, *measure_range(image)) for image in sharp]
    network.guidance_priors = fit_guidance_priors(
        lite_answer(network),
        torch.device("cpu"),
        pixels,
    )
    path = tmp_path_factory.mktemp("model") / "fitted.safetensors"
    save_model(path, network, facts)
    models = {"embedded": "lite", "fitted": str(path), "nano": "nano"}
    # What averages to the measurement exactly; a camera's frames do not, for their noise.
    return {name: SuperResolver.load(model, camera="reduced") for name, model in models.items()}


def _check(resolver: SuperResolver, frames: list[np.ndarray]) -> None:
    """No spot created or removed, and what the camera measured is kept."""
    deviations, spots = [], 0
    for frame in frames:
        result = resolver.upscale(frame)
        heat = HotSpots(frame).compare(result)
        assert (heat.created, heat.removed) == (0, 0), heat
        deviations.append(consistency(frame, result))
        spots += heat.spots
    assert spots >= len(frames), "these frames have nothing to lose"
    assert np.mean(deviations) < MOST_DEVIATION, deviations


STRONGEST = {
    "visual": {"num_steps": 1, "visual_scale": 2.0},
    "both": {"num_steps": 1, "visual_scale": 2.0, "perceptual_scale": 2.0},
    "both, 4 steps": {"num_steps": 4, "visual_scale": 2.0, "perceptual_scale": 2.0},
    "exact": {
        "num_steps": 2,
        "visual_scale": 2.0,
        "perceptual_scale": 2.0,
        "guidance_gradient": "exact",
    },
}
BASE = {"visual_scale": 0.0, "perceptual_scale": 0.0, "guidance_gradient": "closed_form"}
BASE |= {"consistency": 1}


GUIDED = [q for q, p in PRESETS.items() if p["visual_scale"] or p["perceptual_scale"]]
RUNS = [(quality, model) for model in ("embedded", "nano") for quality in PRESETS]
RUNS += [(quality, "fitted") for quality in GUIDED]


@pytest.mark.parametrize(("quality", "model"), RUNS)
def test_presets_keep_every_hot_spot(resolvers, frames, quality, model):
    resolvers[model].configure(**BASE | PRESETS[quality])
    _check(resolvers[model], frames)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(o, id=name, marks=[pytest.mark.slow] if name == "exact" else [])
        for name, o in STRONGEST.items()
    ],
)
def test_the_strongest_guidance_keeps_every_hot_spot(resolvers, frames, options):
    resolvers["fitted"].configure(**BASE | options)
    _check(resolvers["fitted"], frames)


def test_guidance_without_back_projection_does_not(resolvers, frames):
    """The check above sees what back-projection prevents."""
    resolvers["fitted"].configure(**BASE | STRONGEST["both"] | {"consistency": 0})
    with pytest.raises(AssertionError):
        _check(resolvers["fitted"], frames)


def test_a_false_hot_spot_on_a_real_frame_is_seen(frames):
    frame = frames[1]
    spots = HotSpots(frame)
    truth = pillow_upscale(frame).astype(np.float32)
    before = spots.compare(truth)
    # Where nothing is hot: the coldest place that is not at the border.
    small = cv2.boxFilter(frame.astype(np.float32), -1, (9, 9))[10:-10, 10:-10]
    row, column = np.unravel_index(np.argmin(small), small.shape)
    height = float(frame.max() - small.min()) + 2 * PROMINENCE * spots.noise
    centre = 4 * (row + 10) + 1.5, 4 * (column + 10) + 1.5
    after = spots.compare(truth + height * 1.5 * _blob(truth.shape, *centre, 6.0))
    assert after.created == before.created + 1


def test_a_frame_is_filled_alike_without_scikit_image(monkeypatch):
    pytest.importorskip("skimage", reason="pip install scikit-image")
    rng = np.random.default_rng(3)
    frame = cv2.GaussianBlur(rng.normal(0, 9, (60, 80)), (0, 0), 3).astype(np.float64)
    expected = hot_spots._filled(frame - 0.4, frame)
    monkeypatch.setitem(sys.modules, "skimage.morphology", None)
    found = hot_spots._filled(frame - 0.4, frame)
    assert np.array_equal(found, expected) and (found > frame - 0.4).mean() > 0.2
