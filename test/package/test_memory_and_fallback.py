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

"""A full device gets smaller parts, a backend that fails at work is replaced, and it is said."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from difiisr_ros import SuperResolver, pipeline
from difiisr_ros.backends.bicubic import BicubicBackend
from difiisr_ros.backends.factory import create, create_instead
from difiisr_ros.errors import BackendUnavailable, DeviceOutOfMemory, FrameError
from difiisr_ros.options import UpscaleOptions


class Small(BicubicBackend):
    """Has memory for so many input pixels at once."""

    name = "small"
    max_steps = 15

    def __init__(self, pixels: int) -> None:
        self.pixels = pixels
        self.calls: list[tuple[int, ...]] = []
        self.failures = 0

    def run(self, lr, noise, num_steps, consistency, *how):
        self.calls.append(lr.shape)
        if lr.size > self.pixels:
            self.failures += 1
            raise DeviceOutOfMemory("cuda:0 has not the memory")
        return super().run(lr, noise, num_steps, consistency, *how)


def _frame(shape, seed: int = 0) -> np.ndarray:
    smooth = np.cumsum(np.cumsum(np.random.default_rng(seed).normal(size=shape), 0), 1)
    return (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


def _resolver(pixels: int, **options) -> tuple[SuperResolver, Small]:
    backend = Small(pixels)
    return SuperResolver(backend, UpscaleOptions(**options)), backend


def test_a_frame_that_does_not_fit_is_run_in_tiles(caplog):
    resolver, backend = _resolver(160 * 160)
    frame = _frame((256, 320))
    assert resolver.info.memory is None
    result = resolver.upscale(frame)
    whole = SuperResolver.load(backend="bicubic").upscale(frame)
    assert np.abs(result.astype(int) - whole).max() <= 1  # but for the tiles' borders
    assert backend.failures == 1
    assert max(max(shape[-2:]) for shape in backend.calls[1:]) == 160
    assert resolver.info.memory == (
        "frames are run in tiles of 160 pixels: cuda:0 has not the memory"
    )
    assert caplog.text.count("tiles of 160 pixels") == 1


def test_what_has_not_fitted_is_not_tried_again():
    resolver, backend = _resolver(160 * 160)
    for seed in range(5):
        resolver.upscale(_frame((256, 320), seed))
    assert backend.failures == 1


def test_it_is_halved_until_it_fits():
    resolver, backend = _resolver(70 * 70)
    resolver.upscale(_frame((300, 640)))
    assert backend.failures == 4  # 640x300, and tiles of 320, 160 and 80
    assert str(resolver.info.memory).startswith("frames are run in tiles of 64 pixels")


def test_a_device_too_small_for_any_tile_is_an_error():
    resolver, backend = _resolver(10)
    with pytest.raises(DeviceOutOfMemory, match="cuda:0"):
        resolver.upscale(_frame((256, 320)))
    assert backend.failures == 4  # 320x256, and tiles of 160, 80 and 64
    backend.pixels = 1 << 20
    assert resolver.upscale(_frame((24, 32))).shape == (96, 128)


def test_a_batch_is_run_one_by_one_before_tiles_are_made():
    resolver, backend = _resolver(40 * 40)
    frames = [_frame((32, 40), seed) for seed in range(5)]
    results = resolver.upscale_batch(frames)
    for frame, result in zip(frames, results):
        np.testing.assert_array_equal(result, resolver.upscale(frame))
    assert backend.failures == 1
    assert [shape[0] for shape in backend.calls] == [5] + [1] * 10
    assert str(resolver.info.memory).startswith("frames are run one at a time")


def test_another_tile_size_tries_anew():
    resolver, backend = _resolver(160 * 160)
    resolver.upscale(_frame((256, 320)))
    resolver.configure(consistency=2, tile_size=640)  # as before
    resolver.upscale(_frame((256, 320)))
    assert backend.failures == 1
    backend.pixels = 1 << 20
    resolver.configure(tile_size=512)
    assert resolver.info.memory is None
    resolver.upscale(_frame((256, 320)))
    assert backend.calls[-1] == (1, 1, 256, 320)


def test_smaller_tiles_than_asked_keep_a_legal_overlap():
    resolver, _ = _resolver(70 * 70, tile_size=128, tile_overlap=120)
    assert resolver.upscale(_frame((200, 200))).shape == (800, 800)
    resolver, _ = _resolver(70 * 70, tile_size=0, tile_overlap=0)
    assert resolver.upscale(_frame((100, 100))).shape == (400, 400)


class Failing(Small):
    """Cannot run, as when TensorRT cannot build the engine."""

    closed = 0

    def run(self, *args, **kwargs):
        raise BackendUnavailable("could not find any implementation for node Conv_0")

    def close(self) -> None:
        self.closed += 1


def _load_failing(monkeypatch, **options) -> tuple[SuperResolver, Failing]:
    failing = Failing(1)
    failing.name = "tensorrt"

    def create_failing(name, *, strict, **how):
        return failing, None

    monkeypatch.setattr(pipeline, "create", create_failing)
    return SuperResolver.load(backend="tensorrt", **options), failing


def test_a_backend_that_fails_at_work_is_replaced(monkeypatch, caplog):
    pytest.importorskip("torch")
    frame, options = _frame((24, 32)), {"device": "cpu", "precision": "fp32", "num_steps": 2}
    torch = SuperResolver.load(backend="torch", **options)
    expected = torch.upscale(frame)
    torch.close()
    resolver, failing = _load_failing(monkeypatch, **options)
    np.testing.assert_array_equal(resolver.upscale(frame), expected)
    assert resolver.info.backend == "torch"
    assert resolver.info.fallback == (
        "backend tensorrt is not available, torch runs instead: "
        "could not find any implementation for node Conv_0"
    )
    assert failing.closed == 1
    assert "torch runs instead" in caplog.text
    resolver.close()


def test_strict_is_not_replaced(monkeypatch):
    resolver, failing = _load_failing(monkeypatch, strict_backend=True)
    with pytest.raises(BackendUnavailable, match="Conv_0"):
        resolver.upscale(_frame((24, 32)))
    assert failing.closed == 0


def test_closed_is_not_replaced(monkeypatch):
    resolver, _ = _load_failing(monkeypatch)
    resolver.close()
    with pytest.raises(BackendUnavailable):
        resolver.upscale(_frame((24, 32)))


def test_other_errors_are_not_fallbacks():
    resolver, backend = _resolver(1 << 20)

    def refuse(*args, **kwargs):
        raise FrameError("too small")

    backend.run = refuse
    with pytest.raises(FrameError):
        resolver.upscale(_frame((24, 32)))
    assert resolver.info.fallback is None and resolver.info.memory is None


HOW = {"model": "lite", "device": "auto", "precision": "auto", "num_threads": 0}


def test_without_tensorrt_torch_runs(monkeypatch, caplog):
    pytest.importorskip("torch")
    for name in ("tensorrt", "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, name, None)
    backend, reason = create("tensorrt", **HOW)
    assert backend.name == "torch"
    assert reason is not None and reason.startswith(
        "backend tensorrt is not available, torch runs instead: tensorrt cannot be imported"
    )
    assert reason in caplog.text
    with pytest.raises(BackendUnavailable, match="tensorrt cannot be imported"):
        create("tensorrt", strict=True, **HOW)


@pytest.mark.needs("onnxruntime")
def test_without_torch_too_the_shipped_graph_runs_and_the_reasons_are_said(monkeypatch):
    for name in list(sys.modules):
        if name.startswith("difiisr_ros.backends.t"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "torch", None)
    backend, reason = create("tensorrt", **HOW)
    assert backend.name == "onnx"
    assert reason is not None
    assert "backend tensorrt is not available" in reason
    assert "torch cannot" in reason


def test_the_last_resort():
    backend, reason = create_instead("torch", BackendUnavailable("why"), **HOW)
    assert backend.name == "bicubic"
    assert reason == "backend torch is not available, bicubic runs instead: why"


@pytest.mark.parametrize("words", ["CUDA out of memory.", "can't allocate memory: you tried to"])
@pytest.mark.parametrize("count", [1, 3])
def test_torch_says_it_in_two_ways(words, count):
    torch = pytest.importorskip("torch")
    from difiisr_ros.backends.device_memory import report_full_device

    def run(error: Exception) -> None:
        with report_full_device(torch.device("cpu"), (count, 1, 24, 32)):
            raise error

    kind = torch.cuda.OutOfMemoryError if "CUDA" in words else RuntimeError
    frames = "a frame" if count == 1 else "3 frames"
    with pytest.raises(DeviceOutOfMemory, match=f"cpu has not the memory for {frames} of 32x24"):
        run(kind(words))
    with pytest.raises(RuntimeError, match="another"):
        run(RuntimeError("another"))


def test_a_cpu_without_the_memory_runs_in_tiles(monkeypatch):
    """As a published model's attention does, which asks for hundreds of GB at once."""
    torch = pytest.importorskip("torch")
    from difiisr_ros.core import resample

    resolver = SuperResolver.load(backend="torch", device="cpu", precision="fp32")
    frame = _frame((136, 152))
    whole = resolver.upscale(frame)
    upsample = resample.upsample_folded

    def asks_for_much(lr, *scale):
        if lr.numel() > 100 * 100:
            torch.empty(1 << 55)
        return upsample(lr, *scale)

    monkeypatch.setattr(resample, "upsample_folded", asks_for_much)
    tiled = resolver.upscale(frame)
    assert "tiles of 72 pixels: cpu has not the memory" in str(resolver.info.memory)
    assert np.percentile(np.abs(tiled.astype(int) - whole), 99) <= 2
    resolver.close()
