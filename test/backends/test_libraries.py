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

"""A library that is missing is named as itself, and one that ends the process does not."""

from __future__ import annotations

import importlib.metadata
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.backends import libraries
from difiisr_ros.errors import BackendUnavailable

#: A PyTorch that does what the one of a wrong processor does.
DYING = """
import os, signal
open(os.environ["TRIALS"], "a").write("x")
os.kill(os.getpid(), signal.SIGILL)
"""
LOAD = (
    "import numpy as np; from difiisr_ros import SuperResolver\n"
    "s = SuperResolver.load(); print(s.info.backend, s.upscale(np.eye(8, dtype=np.uint8)).shape)"
)


@pytest.fixture
def dying_torch(tmp_path):
    """Environment of a child in which importing PyTorch is SIGILL."""
    site = tmp_path / "site"
    (site / "torch").mkdir(parents=True)
    (site / "torch" / "__init__.py").write_text(DYING)
    info = site / "torch-9.9.9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 9.9.9\n")
    (tmp_path / "trials").touch()
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "DIFIISR_CACHE": str(tmp_path / "cache"),
        "TRIALS": str(tmp_path / "trials"),
    }


def load(environment, **more):
    return subprocess.run(
        [sys.executable, "-c", LOAD], env={**environment, **more}, capture_output=True, text=True,
        check=False, timeout=150,
    )  # fmt: skip


@pytest.mark.needs("onnxruntime")
def test_a_torch_that_ends_the_process_is_tried_once_in_another(dying_torch, tmp_path):
    for _ in range(2):
        done = load(dying_torch, DIFIISR_TRY_TORCH="1")
        assert (done.returncode, done.stdout) == (0, "onnx (32, 32)\n"), done.stderr
        assert "importing torch 9.9.9 ends the process by SIGILL" in done.stderr
        assert "backend onnx" in done.stderr and str(tmp_path / "cache") in done.stderr
    assert (tmp_path / "trials").read_text() == "x"
    (kept,) = (tmp_path / "cache" / "libraries").iterdir()
    assert json.loads(kept.read_text()) == {"code": -signal.SIGILL}


def test_it_really_ends_it_where_it_is_not_tried(dying_torch):
    assert load(dying_torch, DIFIISR_TRY_TORCH="0").returncode == -signal.SIGILL


def test_x86_pays_nothing(monkeypatch):
    monkeypatch.delenv("DIFIISR_TRY_TORCH", raising=False)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(libraries, "_try_torch", lambda version: pytest.fail("was tried"))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: pytest.fail("was looked up"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    libraries.check_torch()


@pytest.mark.needs("torch")
@pytest.mark.parametrize(("code", "raises"), [(-4, True), (-11, True), (0, False), (1, False)])
def test_other_machines_try_it_and_remember(monkeypatch, tmp_path, code, raises):
    monkeypatch.delenv("DIFIISR_TRY_TORCH", raising=False)
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    tried = []
    monkeypatch.setattr(libraries, "_try_torch", lambda version: tried.append(version) or code)
    for _ in range(2):
        libraries._death_of_torch.cache_clear()
        if raises:
            with pytest.raises(BackendUnavailable, match=r"ends the process by SIG.*aarch64"):
                libraries.check_torch()
        else:
            libraries.check_torch()
    libraries._death_of_torch.cache_clear()
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("module", "distribution"), [("PIL", "pillow"), ("safetensors", "safetensors")]
)
def test_the_module_that_is_missing_is_the_one_that_is_named(monkeypatch, module, distribution):
    error = ModuleNotFoundError(f"No module named '{module}'", name=f"{module}.something")
    said = str(libraries.missing(error, "torch"))
    assert f"{module} cannot be imported" in said
    assert said.endswith(f"-m pip install {distribution}")
    assert "torch" not in said


@pytest.mark.needs("torch")
def test_safetensors_is_not_needed(monkeypatch):
    for name in [
        n for n in sys.modules if n.startswith(("difiisr_ros.models", "difiisr_ros.back"))
    ]:
        if name.endswith(("checkpoint", "torch_backend", "tensor_file")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "safetensors", None)
    resolver = SuperResolver.load("nano", backend="torch", strict_backend=True)
    assert resolver.upscale(np.eye(8, dtype=np.uint8)).shape == (32, 32)
