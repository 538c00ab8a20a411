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

"""MS-SSIM and LPIPS: right where they can be measured, a reason where they cannot."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import cv2
import numpy as np
import pytest

from difiisr_ros.errors import OptionError
from difiisr_ros.lab.evaluation.scoring import choose_metrics
from difiisr_ros.lab.scores import perceptual


@pytest.fixture
def scene() -> np.ndarray:
    coarse = np.random.default_rng(0).random((40, 48)).astype(np.float32)
    frame = cv2.resize(coarse, (200, 176), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return (frame * 255).astype(np.uint8)


def test_ms_ssim(scene):
    pytest.importorskip("torchmetrics", reason="pip install difiisr_ros[metrics]")
    values = [
        perceptual.measure("ms_ssim", scene, cv2.GaussianBlur(scene, (0, 0), sigma), 255.0)
        for sigma in (0.3, 1.0, 2.0)
    ]
    assert values == sorted(values, reverse=True)
    assert perceptual.measure("ms_ssim", scene, scene, 255.0) == pytest.approx(1)
    # Coarse structure counts too, so MS-SSIM forgives blur that SSIM does not.
    from difiisr_ros.lab.scores.metrics import Ssim

    blurred = cv2.GaussianBlur(scene, (0, 0), 2.0)
    assert values[2] > Ssim(scene, 255.0)(blurred) + 0.02
    counts = [(f.astype(np.uint16) * 4 + 29000).astype(np.uint16) for f in (scene, blurred)]
    assert perceptual.measure("ms_ssim", *counts, 4 * 255.0) == pytest.approx(values[2], abs=1e-3)
    assert np.isnan(perceptual.measure("ms_ssim", scene[:160], scene[:160], 255.0))


def test_what_is_measured_in_which_mode():
    default, missing = choose_metrics("self_referenced", True)
    assert {"psnr", "ssim", "gmsd", "flicker", "detail"} <= set(default)
    assert not {"ms_ssim", "lpips", "blur"} & set(default)
    assert set(missing) == {"ms_ssim", "lpips"}
    plain, missing = choose_metrics("no_reference", False)
    assert {"consistency", "blur", "detail"} <= set(plain) and "psnr" not in plain
    assert set(missing) == {"flicker"}
    _, missing = choose_metrics("no_reference", True, ["lpips"])
    assert missing == {"lpips": "needs a truth"}
    with pytest.raises(OptionError, match="unknown metric 'x'"):
        choose_metrics("paired", False, ["x"])


def test_missing_libraries_are_named(monkeypatch):
    monkeypatch.setattr(perceptual.importlib.util, "find_spec", lambda name: None)
    perceptual.why_missing.cache_clear()
    assert "pip install difiisr_ros[metrics]" in perceptual.why_missing("ms_ssim")
    monkeypatch.setattr(
        perceptual.importlib.util, "find_spec", lambda name: None if "vision" in name else name
    )
    assert "pip install torchvision" in perceptual.why_missing("lpips")
    perceptual.why_missing.cache_clear()


def test_a_torchvision_that_cannot_be_imported_is_a_reason(tmp_path):
    """As one for another PyTorch is; torchmetrics then cannot be imported either."""
    pytest.importorskip("torchmetrics", reason="pip install difiisr_ros[metrics]")
    (tmp_path / "torchvision").mkdir()
    broken = "raise RuntimeError('operator torchvision::nms does not exist')"
    (tmp_path / "torchvision" / "__init__.py").write_text(broken)
    code = """
        import sys
        sys.path.insert(0, sys.argv[1])
        from difiisr_ros.lab.scores.perceptual import why_missing
        print(why_missing("ms_ssim"), why_missing("lpips"), sep="\\n")
    """
    done = _python(code, tmp_path)
    assert done.stdout.count("cannot be imported here: operator torchvision::nms") == 2


def _python(code: str, folder) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(folder)],
        capture_output=True,
        text=True,
        env={**os.environ, "TORCH_HOME": str(folder / "hub")},
    )
    assert done.returncode == 0, done.stderr
    return done


STAND_IN = """
    from torch import nn

    VGG16_Weights = vgg16 = resnet50 = None  # torchmetrics imports them for other metrics

    class AlexNet_Weights:
        class DEFAULT:
            url = "https://example.org/models/alexnet-owt.pth"

    def alexnet(weights=None):
        import torch
        torch.manual_seed(0)
        layers = [
            nn.Conv2d(3, 64, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
            nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2),
        ]
        model = nn.Module()
        model.features = nn.Sequential(*layers)
        if weights is not None:
            path = torch.hub.get_dir() + "/checkpoints/alexnet-owt.pth"
            model.load_state_dict(torch.load(path, weights_only=True))
        return model
"""


def test_lpips_is_measured_once_its_weights_are_there(tmp_path):
    """With a torchvision of the same shape and random weights: the real one is large."""
    pytest.importorskip("torchmetrics", reason="pip install difiisr_ros[metrics]")
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("from . import models, transforms\n")
    (package / "transforms.py").write_text("")  # torchmetrics imports it for another metric
    (package / "models.py").write_text(textwrap.dedent(STAND_IN))
    code = """
        import sys
        sys.path.insert(0, sys.argv[1])
        import cv2, numpy as np, pathlib, torch, torchvision
        from difiisr_ros.lab.scores import perceptual
        print(perceptual.why_missing("lpips"))
        perceptual.why_missing.cache_clear()
        folder = pathlib.Path(torch.hub.get_dir()) / "checkpoints"
        folder.mkdir(parents=True)
        torch.save(torchvision.models.alexnet().state_dict(), folder / "alexnet-owt.pth")
        print(perceptual.why_missing("lpips"))
        hr = np.random.default_rng(0).integers(29000, 29900, (96, 128), dtype=np.uint16)
        for sigma in (0, 0.5, 2):
            sr = cv2.GaussianBlur(hr, (0, 0), sigma) if sigma else hr
            print(perceptual.measure("lpips", hr, sr, 900.0))
    """
    done = _python(code, tmp_path)
    before, after, same, little, much = done.stdout.splitlines()[-5:]
    assert "alexnet-owt.pth" in before and "never downloaded" in before
    assert after == "None"
    assert float(same) == 0 < float(little) < float(much)
