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

"""The shipped detectors: what their files say, and what they see on real frames."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from difiisr_ros.lab.detection.boxes import read_boxes
from difiisr_ros.models.detector.checkpoint import EMBEDDED, FORMAT, JUDGE, PRIOR, detector_path
from difiisr_ros.models.detector.detector import Detector
from difiisr_ros.models.detector.model import CLASSES


def _metadata(name: str) -> tuple[dict, dict]:
    with safe_open(str(detector_path(name)), "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == FORMAT
    return json.loads(metadata["config"]), json.loads(metadata["facts"])


@pytest.mark.parametrize("name", EMBEDDED)
def test_a_shipped_detector_is_small_and_tells_its_recipe(name):
    assert detector_path(name).stat().st_size < 8_000_000
    config, facts = _metadata(name)
    assert tuple(config["classes"]) == CLASSES
    assert "HIT-UAV" in facts["trained_on"] and "training split" in facts["trained_on"]
    assert facts["licence"] == "CC BY 4.0"
    assert facts["frames"] == 1200 and facts["objects"] == 10278
    assert facts["minutes"] > 0 and facts["step"] > 0
    quality = facts["quality"]["hit_uav/test"]
    assert quality["images"] == 150
    hr, bicubic = (quality[method]["map50"] for method in ("hr", "bicubic"))
    assert hr["low"] < hr["value"] < hr["high"]
    assert bicubic["value"] < hr["value"]


@pytest.mark.parametrize("name", EMBEDDED)
def test_the_docs_show_the_figures_and_recipe_of_the_file(name, repository):
    text = (repository / "docs" / "detector.md").read_text()
    config, facts = _metadata(name)
    assert f"`{name}.safetensors`" in text
    assert ", ".join(map(str, config["channels"])) in text
    assert f"--seed {facts['settings']['seed']}" in text
    assert f"--steps {facts['settings']['steps']}" in text
    figures = (repository / "docs" / "figures.md").read_text()
    quality = facts["quality"]["hit_uav/test"]
    for method in ("hr", "bicubic", "difiisr"):
        v = quality[method]["map50"]
        interval = f"{v['value']:.3f} ({v['low']:.3f}–{v['high']:.3f})"
        assert f"| `{name}`, hit_uav/test, {method} | {interval} |" in figures


def test_judge_and_prior_are_different_networks():
    (prior, prior_facts), (judge, judge_facts) = _metadata(PRIOR), _metadata(JUDGE)
    assert prior["channels"] != judge["channels"]
    assert prior_facts["settings"]["seed"] != judge_facts["settings"]["seed"]


@pytest.fixture(scope="module")
def real_set(data_dir):
    pytest.importorskip("pycocotools", reason="pycocotools is not installed")
    folder = data_dir / "hit_uav" / "test"
    if not folder.is_dir():
        pytest.skip(f"no annotated frames in {folder}")
    return read_boxes(folder, folder.with_name("test.json"), CLASSES)


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDED)
def test_reduced_frames_upscaled_by_bicubic_are_seen_worse(real_set, name):
    from difiisr_ros.lab.detection.coco import evaluate_boxes
    from difiisr_ros.lab.detection.score import detect_upscaled
    from difiisr_ros.lab.evaluation.methods import bicubic_upscale

    some = replace(real_set, images=real_set.images[::5])
    found = detect_upscaled(Detector.load(name), some, {"bicubic": bicubic_upscale})
    scores = {
        method: evaluate_boxes(some, CLASSES, detections, min_objects=20).metrics()
        for method, detections in found.items()
    }
    assert scores["hr"]["map50"] > 0.6
    assert scores["bicubic"]["map50"] < scores["hr"]["map50"] - 0.01
    assert scores["bicubic"]["ap_small"] < scores["hr"]["ap_small"] - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", EMBEDDED)
def test_the_figures_in_the_file_are_what_is_measured(real_set, name):
    from difiisr_ros.lab.detection.score import score
    from difiisr_ros.lab.evaluation.methods import bicubic_upscale

    report = score(
        Detector.load(name), real_set, {"bicubic": bicubic_upscale}, min_objects=20, resamples=200
    )
    recorded = _metadata(name)[1]["quality"]["hit_uav/test"]
    for method in ("hr", "bicubic"):
        for metric in ("map50", "map50_95", "ar_small"):
            expected = recorded[method][metric]["value"]
            assert report["methods"][method][metric]["value"] == pytest.approx(expected, abs=0.005)
    assert report["against_hr"]["bicubic"]["map50"]["high"] < 0


@pytest.mark.parametrize("name", EMBEDDED)
def test_features_lead_from_a_blurred_frame_towards_the_sharp_one(name):
    """What a perceptual prior is for: its gradient says how to change the pixels."""
    network = Detector.load(name, device="cpu").network
    generator = torch.Generator().manual_seed(0)
    sharp = torch.rand(1, 1, 64, 64, generator=generator).round()
    blurred = torch.nn.functional.avg_pool2d(sharp, 3, stride=1, padding=1)
    names = ["stride2", "stride4", "stride8"]
    wanted = [f.detach() for f in network.features(sharp, names)]
    x = blurred.clone().requires_grad_(True)
    distance = sum((f - w).square().mean() for f, w in zip(network.features(x, names), wanted))
    (gradient,) = torch.autograd.grad(distance, x)
    direction = -gradient / gradient.norm()
    assert float((direction * (sharp - blurred) / (sharp - blurred).norm()).sum()) > 0.2
