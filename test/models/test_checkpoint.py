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

"""Model files: what is stored, and what is refused with which words."""

from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from difiisr_ros import SuperResolver
from difiisr_ros.errors import ModelError
from difiisr_ros.models.checkpoint import FORMAT, load_model, save_model
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser
from difiisr_ros.models.model_files import is_pickle, model_path
from difiisr_ros.models.published.kind import is_published

SMALL = LiteConfig(prior_channels=8, prior_blocks=1, refiner_channels=8, refiner_blocks=1)


@pytest.fixture
def small(tmp_path):
    torch.manual_seed(0)
    model = LiteDenoiser(SMALL)
    path = tmp_path / "small.safetensors"
    save_model(path, model, {"trained_on": "nothing"})
    return model, path


def test_a_saved_model_loads_with_its_configuration_and_facts(small):
    model, path = small
    loaded, facts = load_model(str(path))
    assert loaded.config == SMALL
    assert facts == {"trained_on": "nothing"}
    assert not loaded.training
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float()), key


def test_embedded_model_is_shipped_small_and_tells_its_recipe():
    path = model_path("lite")
    assert path.stat().st_size < 8_000_000
    with safe_open(str(path), "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == FORMAT
    facts = json.loads(metadata["facts"])
    assert "HIT-UAV" in facts["trained_on"]
    assert facts["licence"].startswith("CC BY 4.0")
    assert all("seed" in stage and stage["steps"] > 0 for stage in facts["stages"])
    assert facts["minutes"] > 0
    assert {"m3fd", "roadscene", "hit_uav/test"} <= set(facts["quality"])


def test_missing_file():
    with pytest.raises(ModelError, match=r"'nowhere.safetensors' is neither 'lite' nor 'nano'"):
        load_model("nowhere.safetensors")


def test_truncated_file(small, tmp_path):
    _, path = small
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="truncated or damaged"):
        load_model(str(broken))


def test_empty_file(tmp_path):
    (tmp_path / "empty.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="it is empty"):
        load_model(str(tmp_path / "empty.safetensors"))


class _Payload:
    """Creates a file if it is ever unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (self.path, "w"))


def test_a_header_of_any_length_is_no_pickle(small, tmp_path):
    """Its length is what a file begins with: one in 32 began as a pickle does."""
    model, path = small
    begins = set()
    for length in range(0, 256, 8):
        save_model(path, model, {"note": length * "x"})
        begins.add(path.read_bytes()[:1])
        assert load_model(str(path))[1]["note"] == length * "x"
        assert not is_published(str(path))
    assert b"\x80" in begins
    path.write_bytes(b"\x80\x04" + 6 * b"." + b"{.")
    assert is_pickle(path)


@pytest.mark.parametrize("protocol", [2, 5])
def test_pickle_with_code_is_refused_and_not_run(tmp_path, protocol):
    victim = tmp_path / "executed"
    path = tmp_path / "weights.safetensors"
    path.write_bytes(pickle.dumps({"w": _Payload(str(victim))}, protocol=protocol))
    with pytest.raises(ModelError, match="pickle"):
        SuperResolver.load(model=str(path))
    assert not victim.exists()


def test_torch_save_file_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"w": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="pickle"):
        load_model(str(path))


def test_text_file(tmp_path):
    path = tmp_path / "notes.safetensors"
    path.write_text("these are not weights, they are words")
    with pytest.raises(ModelError, match="only safetensors"):
        load_model(str(path))


def test_safetensors_of_another_kind(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"w": torch.zeros(2)}, path)
    with pytest.raises(ModelError, match="of another kind"):
        load_model(str(path))


def test_keys_that_do_not_fit_are_named(small, tmp_path):
    model, _ = small
    state = dict(model.state_dict())
    state["surplus"] = torch.zeros(1)
    state["prior.head.weight"] = torch.zeros(3)
    config = json.dumps(SMALL.as_dict())
    path = tmp_path / "other.safetensors"
    save_file(state, path, {"format": FORMAT, "config": config, "facts": "{}"})
    with pytest.raises(
        ModelError, match=r"prior\.head\.weight: expected \(8, 1, 3, 3\), found \(3,\)"
    ):
        load_model(str(path))


@pytest.mark.parametrize("config", ["{}x", '{"prior_chanels": 8}', '["list"]'])
def test_bad_configuration(small, tmp_path, config):
    model, _ = small
    path = tmp_path / "other.safetensors"
    save_file(dict(model.state_dict()), path, {"format": FORMAT, "config": config})
    with pytest.raises(ModelError, match="no valid configuration"):
        load_model(str(path))


def test_a_failed_write_leaves_the_old_file(small, monkeypatch):
    model, path = small
    before = path.read_bytes()

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("difiisr_ros.atomic_write.os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_model(path, model, {})
    assert path.read_bytes() == before
