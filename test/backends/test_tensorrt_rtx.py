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

"""TensorRT-RTX's own: targets, what is compiled on a first run, and an engine given by its file.

Against the stand-in for what runs engines; that TensorRT-RTX builds is ``test_tensorrt_build.py``.
"""

from __future__ import annotations

import logging
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from difiisr_ros.backends.engine_cache import EngineCache  # noqa: E402
from difiisr_ros.backends.gpu import Gpu  # noqa: E402
from difiisr_ros.backends.tensorrt_backend import TensorRTBackend  # noqa: E402
from difiisr_ros.backends.tensorrt_flavour import DEFAULT_TARGETS, find_flavour  # noqa: E402
from difiisr_ros.core.scale import SCALE  # noqa: E402
from difiisr_ros.errors import BackendUnavailable, ModelError, OptionError  # noqa: E402
from difiisr_ros.export.facts import GraphOptions  # noqa: E402
from difiisr_ros.pipeline import SuperResolver  # noqa: E402
from support import fake_tensorrt  # noqa: E402

pytestmark = pytest.mark.usefixtures("simplified_once")

RTX = ("tensorrt_rtx", "1.7.1.116")
FRAME = np.linspace(0, 1, 12 * 16, dtype=np.float32).reshape(1, 1, 12, 16)
NONE = np.zeros((0, 48, 64), np.float32)


@pytest.fixture
def rtx(monkeypatch):
    return fake_tensorrt.use(monkeypatch, *RTX, fake_tensorrt.ADA)


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


def loaded(cache: EngineCache, **more) -> TensorRTBackend:
    backend = TensorRTBackend("lite", precision="fp32", cache=cache, **more)
    backend.load()
    return backend


def run(backend: TensorRTBackend) -> np.ndarray:
    return backend.run(FRAME, NONE, 1, 1)


def test_the_standard_library_is_taken_where_it_is(monkeypatch, rtx):
    assert find_flavour("tensorrt").name == "tensorrt_rtx"
    standard = fake_tensorrt.make("tensorrt", "11.1.0.106")
    monkeypatch.setitem(sys.modules, "tensorrt", standard)
    assert find_flavour("tensorrt").title == "TensorRT 11.1.0.106"
    assert find_flavour("tensorrt_rtx").title == "TensorRT-RTX 1.7.1.116"
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    with pytest.raises(BackendUnavailable, match=r"^tensorrt_rtx cannot be imported by .*python"):
        find_flavour("tensorrt_rtx")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(BackendUnavailable, match=r"tensorrt cannot .*; tensorrt_rtx cannot "):
        find_flavour("tensorrt")


def test_what_runs_is_told_with_its_version(rtx):
    resolver = SuperResolver.load(backend="tensorrt", precision="fp32", strict_backend=True)
    assert resolver.info.backend == "tensorrt_rtx"
    assert resolver.info.library == "TensorRT-RTX 1.7.1.116 for sm80, sm86, sm89, sm120"
    resolver.close()


@pytest.mark.parametrize(
    ("capability", "targets"), [("8.9", DEFAULT_TARGETS), ("7.5", ("sm75",)), ("9.0", None)]
)
def test_what_is_built_for_which_gpu(monkeypatch, cache, capability, targets):
    gpu = Gpu(torch.device("cpu"), "NVIDIA X", capability)
    trt = fake_tensorrt.use(monkeypatch, *RTX, gpu)
    if targets is None:
        with pytest.raises(BackendUnavailable, match=r"no engines for NVIDIA X.* 9\.0; it has"):
            loaded(cache)
        return
    run(loaded(cache))
    assert trt.behaviour.targets == [targets]


def test_an_engine_for_another_card_of_its_targets_is_taken(monkeypatch, rtx, cache):
    """As one that a server has built: by whatever GPU, or none, it was built."""
    loaded(cache, targets=("sm86", "sm89")).prepare(GraphOptions(), (1, 12, 16), fixed=False)
    run(loaded(cache))
    assert rtx.behaviour.builds == 1
    ampere = Gpu(torch.device("cpu"), "NVIDIA A100", "8.0")
    other = fake_tensorrt.use(monkeypatch, *RTX, ampere)
    run(loaded(cache))
    assert other.behaviour.builds == 1, "there was none for it"


def test_what_was_compiled_is_kept_beside_the_engine(rtx, cache):
    backend = loaded(cache)
    run(backend)
    (plan,), (kept,) = cache.folder.glob("*.plan"), cache.folder.glob("*.jit")
    assert kept.name.startswith(plan.stem) and kept.read_bytes().endswith(b"kernels")
    rtx.behaviour.compiled = b"more kernels"  # compiled in the background
    backend._engines[next(iter(backend._engines))]._context._config._cache._data = b"more kernels"
    backend.close()
    assert kept.read_bytes().endswith(b"more kernels")
    written = kept.stat().st_mtime_ns
    run(loaded(cache))
    assert rtx.behaviour.given == [b"more kernels"]
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize("fault", ["damaged", "refused", "another gpu's"])
def test_what_was_compiled_is_dropped_where_it_does_not_fit(monkeypatch, rtx, cache, fault, caplog):
    caplog.set_level(logging.INFO)
    run(loaded(cache))
    (kept,) = cache.folder.glob("*.jit")
    if fault == "damaged":
        kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    rtx.behaviour.takes_kernels = fault != "refused"
    if fault == "another gpu's":
        content = kept.read_bytes()
        other = Gpu(torch.device("cpu"), "NVIDIA A10", "8.6")
        rtx = fake_tensorrt.use(monkeypatch, *RTX, other)
        run(loaded(cache))
        (new,) = set(cache.folder.glob("*.jit")) - {kept}  # each has a file of its own
        new.write_bytes(content)
    run(loaded(cache))
    assert "is removed, and compiled again" in caplog.text
    assert rtx.behaviour.given == ([b"kernels"] if fault == "refused" else [])


def test_a_folder_that_cannot_keep_what_was_compiled_costs_nothing(rtx, cache, monkeypatch, caplog):
    from difiisr_ros.backends import engine_jit

    def full(*args, **more):
        raise OSError("No space left on device")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(engine_jit, "write_whole", full)
    run(loaded(cache))
    assert "not kept: No space left" in caplog.text


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("OLD_CUDA_DRIVER",), "cannot run here: the CUDA driver is too old"),
        (("INSUFFICIENT_GPU_MEMORY", "CUDA_ERROR"), "not enough memory; CUDA failed"),
        (("UNSUPPORTED_CC",), "just built: it is not for this GPU's compute capability"),
    ],
)
def test_the_validity_decides_before_it_is_loaded(rtx, cache, names, words):
    rtx.behaviour.invalid = names
    with pytest.raises(BackendUnavailable, match=words):
        run(loaded(cache))
    assert rtx.behaviour.loads == 0


def test_an_engine_of_another_version_is_built_again(rtx, cache, caplog):
    run(loaded(cache))
    (path,) = cache.folder.glob("*.plan")
    from test_tensorrt_backend import replace_plan

    replace_plan(path, path.read_bytes().replace(b"1.7.1.116", b"1.6.0.000"))
    run(loaded(cache))
    assert rtx.behaviour.builds == 2 and "of another version of TensorRT" in caplog.text


def test_one_that_could_be_faster_runs(rtx, cache, caplog):
    caplog.set_level(logging.INFO)
    rtx.behaviour.suboptimal = True
    run(loaded(cache))
    assert "would be faster" in caplog.text


@pytest.fixture
def plan(rtx, cache) -> str:
    backend = loaded(cache)
    path = backend.prepare(GraphOptions(scale=2), (1, 12, 16), fixed=False)
    backend.close()
    return str(path)


def test_an_engine_file_is_run_and_nothing_built(rtx, plan, tmp_path):
    resolver = SuperResolver.load(
        backend="tensorrt", engine_file=plan, scale=2, strict_backend=True
    )
    assert resolver.info.library.endswith(f", engine {plan}")
    assert resolver.info.precision == "fp32"
    assert resolver.upscale((FRAME[0, 0] * 255).astype(np.uint8)).shape == (24, 32)
    assert rtx.behaviour.builds == 1
    with pytest.raises(OptionError, match=f"num_steps must be 1, which is built into {plan}"):
        resolver.configure(num_steps=2)
    with pytest.raises(OptionError, match=r"visual guidance .* is not to be had"):
        resolver.configure(visual_scale=0.5)
    resolver.close()


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({"model": "nano"}, ModelError, "is of model lite .* model nano is another"),
        ({"scale": SCALE}, OptionError, "scale must be 2, which is built into"),
        ({"consistency": 0}, OptionError, "consistency must be 1, which is built into"),
        ({"precision": "fp16"}, OptionError, "is fp32; precision fp16 was asked"),
        ({"camera": "reduced"}, OptionError, "is for projection wide, not exact"),
        ({"backend": "torch"}, OptionError, "needs backend tensorrt or tensorrt_rtx"),
        ({"build_only": True}, OptionError, "give one of them"),
    ],
)
def test_an_engine_file_of_something_else_says_what_it_is(plan, asked, error, words):
    how = {"backend": "tensorrt", "engine_file": plan, "scale": 2, **asked}
    with pytest.raises(error, match=words):
        SuperResolver.load(**how)


def test_an_engine_file_of_the_other_library(monkeypatch, rtx, plan, tmp_path):
    how = {"engine_file": plan, "scale": 2, "strict_backend": True}
    fake_tensorrt.use(monkeypatch)
    with pytest.raises(BackendUnavailable, match="tensorrt_rtx cannot be imported"):
        SuperResolver.load(backend="tensorrt", **how)
    own = loaded(EngineCache(tmp_path / "own"))
    how["engine_file"] = str(own.prepare(GraphOptions(scale=2), (1, 12, 16), fixed=False))
    fake_tensorrt.use(monkeypatch, *RTX, fake_tensorrt.ADA)
    with pytest.raises(ModelError, match=r"is of TensorRT 11.1.0.106, and here is TensorRT-RTX"):
        SuperResolver.load(backend="tensorrt", **how)


def test_an_engine_file_that_does_not_fit_here(monkeypatch, rtx, plan, tmp_path):
    def refusal() -> str:
        with pytest.raises(ModelError) as caught:
            SuperResolver.load(backend="tensorrt", engine_file=plan, scale=2)
        return str(caught.value)

    fake_tensorrt.use(monkeypatch, "tensorrt_rtx", "1.8.0.1", fake_tensorrt.ADA)
    assert "TensorRT-RTX 1.7.1.116 has built, is refused by TensorRT-RTX 1.8.0.1" in refusal()
    turing = Gpu(torch.device("cpu"), "NVIDIA T4", "7.5")
    fake_tensorrt.use(monkeypatch, *RTX, turing)
    assert "is for sm80, sm86, sm89, sm120, and this GPU is sm75" in refusal()
    for path, words in ((tmp_path / "a.plan", "is no file"), (tmp_path / "a.onnx", "not named")):
        plan = str(path)
        assert words in refusal()
    (tmp_path / "a.plan").write_bytes(b"alone")
    plan = str(tmp_path / "a.plan")
    assert "lies without a.json" in refusal()
    (tmp_path / "a.json").write_text("{}")
    assert "of another format" in refusal()
