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

"""A grown model answers as the small one does, and all of it can learn."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from support.paths import REPOSITORY

torch = pytest.importorskip("torch")
BENCHMARKS = REPOSITORY / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("benchmarks/ is only in the source tree", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

from grow_model import grow, main  # noqa: E402

from difiisr_ros.core.camera_profile import CameraProfile  # noqa: E402
from difiisr_ros.core.condition import Conditions  # noqa: E402
from difiisr_ros.models.checkpoint import load_model  # noqa: E402

TOLD = torch.from_numpy(Conditions.of(CameraProfile(blur=0.4), [0.01]).values)
LR = torch.from_numpy(np.random.default_rng(0).random((1, 1, 12, 16), np.float32))


def answers(model) -> list[torch.Tensor]:
    prior = model.predict_prior(LR, TOLD)
    shift = torch.linspace(-0.1, 0.1, prior.numel()).view(prior.shape)
    return [prior, model.refine(shift, LR, prior, torch.tensor([0.03]), TOLD)]


@pytest.mark.parametrize(("channels", "blocks", "refiner"), [(20, 4, 3), (16, 3, 5), (24, 8, 4)])
def test_it_answers_as_the_small_one(channels, blocks, refiner):
    torch.manual_seed(0)
    small, _ = load_model("nano")
    large = grow(small, channels, blocks, refiner)
    assert large.config.prior_channels == large.config.refiner_channels == channels
    with torch.no_grad():
        for before, after in zip(answers(small), answers(large), strict=True):
            assert before.std() > 0.001
            # As far as sums in another order are: of 64 maps, nearly all of them zeros.
            torch.testing.assert_close(after, before, atol=1e-6, rtol=1e-5)


def test_two_steps_of_training_reach_every_new_weight():
    torch.manual_seed(0)
    model = grow(load_model("nano")[0], 24, 5, 4)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(2):
        optimizer.zero_grad()
        sum((answer - 1).square().mean() for answer in answers(model)).backward()
        optimizer.step()
    for name, value in model.state_dict().items():
        if name.startswith(("prior.", "refiner.")) and "conv" in name:
            # Some units answer 0 to this frame, in the small model, too.
            assert (value != before[name]).float().mean() > 0.6, name


def test_the_file_says_what_it_grew_from(tmp_path, monkeypatch, capsys):
    out = tmp_path / "grown.safetensors"
    monkeypatch.setattr("sys.argv", ["grow_model.py", "nano", str(out), "--channels", "20"])
    main()
    model, facts = load_model(str(out))
    assert (model.config.prior_blocks, facts["grown_from"]) == (8, "nano")
    assert "parameters" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("option", "words"),
    [("--channels", "16 channels"), ("--blocks", "3 blocks"), ("--refiner-blocks", "3 refiner")],
)
def test_a_smaller_one_is_refused(option, words, tmp_path, monkeypatch, capsys):
    out = tmp_path / "grown.safetensors"
    monkeypatch.setattr("sys.argv", ["grow_model.py", "nano", str(out), option, "2"])
    with pytest.raises(SystemExit):
        main()
    assert f"the model has {words}" in capsys.readouterr().err and not out.exists()
