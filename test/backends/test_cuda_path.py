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

"""The CUDA path: what is recorded, replayed, forgotten, and what a full device does.

The logic runs here on the CPU, where a stand-in records by computing again; the last tests need a
GPU and skip without one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_flatten  # noqa: E402

from difiisr_ros import SuperResolver  # noqa: E402
from difiisr_ros.backends.cuda_runner import WARMUP_RUNS, CudaRunner  # noqa: E402
from difiisr_ros.backends.cuda_staging import DeviceStream  # noqa: E402
from difiisr_ros.backends.prior_terms import PriorTerms  # noqa: E402
from difiisr_ros.backends.torch_backend import TorchBackend  # noqa: E402
from difiisr_ros.core.constants import hold_constants  # noqa: E402
from difiisr_ros.core.guidance import Guidance  # noqa: E402
from difiisr_ros.core.resample import downsample_folded  # noqa: E402
from difiisr_ros.core.visual_guidance import CONDITIONS, RINGS, SpectrumPrior  # noqa: E402
from difiisr_ros.errors import DeviceOutOfMemory  # noqa: E402
from difiisr_ros.models.guidance_priors import GuidancePriors  # noqa: E402

CPU = torch.device("cpu")
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Replayed:
    """Stands for a CUDA graph: computes from the tensors it was recorded with, into its result."""

    made: list[Replayed] = []  # noqa: RUF012

    def __init__(self, compute, inputs: Sequence[torch.Tensor]) -> None:
        self.inputs, self._compute = inputs, compute
        self.result = compute(*inputs).clone()
        self.result.fill_(torch.nan)  # recording computes nothing
        self.replays, self.freed = 0, False
        Replayed.made.append(self)

    def replay(self) -> None:
        assert not self.freed
        self.result.copy_(self._compute(*self.inputs))
        self.replays += 1

    def free(self) -> None:
        self.freed = True


@pytest.fixture(autouse=True)
def made():
    Replayed.made.clear()
    return Replayed.made


@pytest.fixture
def runner():
    return CudaRunner(CPU, max_graphs=2, record=Replayed)


def double(x: torch.Tensor) -> torch.Tensor:
    return 2 * x


def _array(size: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=size).astype(np.float32)


def _often(runner: CudaRunner, key, size: int = 3, times: int = WARMUP_RUNS + 1) -> None:
    for seed in range(times):
        array = _array(size, seed)
        np.testing.assert_array_equal(runner.run(key, double, [array]), 2 * array)


def test_what_keeps_coming_is_recorded_once_and_replayed_with_the_new_values(runner, made):
    _often(runner, "a", times=WARMUP_RUNS)
    assert not made
    _often(runner, "a", times=5)
    assert len(made) == 1
    assert made[0].replays == 5


def test_results_are_the_callers_own(runner):
    arrays = [_array(seed=seed) for seed in range(WARMUP_RUNS + 3)]
    results = [runner.run("a", double, [array]) for array in arrays]
    for result, array in zip(results, arrays):
        np.testing.assert_array_equal(result, 2 * array)
        result[:] = 0  # writable


@pytest.mark.parametrize("other", [("b", 3), ("a", 4)], ids=["options", "size"])
def test_another_kind_of_frame_is_another_graph(runner, made, other):
    _often(runner, "a", 3)
    key, size = other
    _often(runner, key, size)
    assert len(made) == 2
    assert [m.replays for m in made] == [1, 1]


def test_the_least_recently_used_graph_goes(runner, made):
    _often(runner, "a")
    _often(runner, "b")
    _often(runner, "a")
    _often(runner, "c")
    assert [m.freed for m in made] == [False, True, False]
    assert [key for key, _ in runner.graphs] == ["a", "c"]


def test_sizes_that_come_once_are_never_recorded(runner, made):
    for size in range(1, 301):
        _often(runner, "a", size, times=1)
    assert not made
    assert len(runner._runs) <= 64


def test_without_graphs_it_runs_eagerly(made):
    _often(CudaRunner(CPU, max_graphs=0, record=Replayed), "a", times=9)
    runner = CudaRunner(CPU, record=Replayed)
    for _ in range(9):
        runner.run("a", double, [_array()], graph=False)
    assert not made


def test_what_cannot_be_recorded_runs_eagerly_and_is_said_once(caplog):
    tries = []

    def refuse(compute, inputs):
        tries.append(1)
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    runner = CudaRunner(CPU, record=refuse)
    _often(runner, "a", times=9)
    _often(runner, "b", times=9)
    assert len(tries) == 1
    assert caplog.text.count("CUDA graphs are not used") == 1
    assert runner.eager_because == "operation not permitted when stream is capturing"


def test_a_full_device_frees_graphs_first(runner, made):
    _often(runner, "a")
    failing = [True]

    def compute(x: torch.Tensor) -> torch.Tensor:
        if failing:
            failing.pop()
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return 2 * x

    np.testing.assert_array_equal(runner.run("b", compute, [_array()]), 2 * _array())
    assert made[0].freed
    assert not runner.graphs


def test_a_device_that_stays_full_is_an_error_with_the_size(runner):
    def compute(x: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")

    with pytest.raises(DeviceOutOfMemory, match=r"inputs of 2x3x5: CUDA out of memory.*GiB\.$"):
        runner.run("a", compute, [np.zeros((2, 3, 5), np.float32)])


def test_a_full_device_while_recording(made):
    def refuse(compute, inputs):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    runner = CudaRunner(CPU, record=refuse)
    _often(runner, "a", times=9)
    assert runner.eager_because is None  # it may fit later


def test_clear_frees_everything(runner, made):
    _often(runner, "a")
    runner.clear()
    assert made[0].freed
    _often(runner, "a", times=WARMUP_RUNS)
    assert len(made) == 1  # counted from the beginning


def test_staging_takes_any_array():
    stream = DeviceStream(CPU)
    for array in (_array()[::-1], np.float32(3.0)[None][0:1], np.arange(6).reshape(2, 3).T):
        tensor = stream.upload(array)
        np.testing.assert_array_equal(stream.download(tensor), array)
    source = _array()
    tensor = stream.upload(source)
    source[:] = 0
    assert tensor.abs().sum() > 0  # a copy: the caller may go on with its array
    assert stream.handle == 0


class NothingFromTheHost(TorchDispatchMode):
    """Fails where a tensor on the host is read or made: a copy, for which the CPU would wait."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in tree_flatten((args, kwargs, result))[0]:
            assert not (isinstance(value, torch.Tensor) and value.device.type == "cpu"), func
        return result


class Checking:
    """In the place of a CudaRunner: computes on a device without memory, twice."""

    def __init__(self) -> None:
        self.checked: list = []

    def run(self, key, compute, arrays, graph=True):
        inputs = [torch.empty(array.shape, device="meta") for array in arrays]
        compute(*inputs)  # copies the constants
        if graph:
            with NothingFromTheHost():
                compute(*inputs)
            self.checked.append(key)
        return np.empty(0)


@pytest.mark.parametrize("num_steps", [1, 4])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_what_is_recorded_reads_nothing_from_the_host(num_steps, scale):
    """It may not, while a graph is recorded; and each such copy would be a wait for the device."""
    backend = TorchBackend("lite", device="cpu", precision="fp32")
    backend.load()
    spectrum = SpectrumPrior(torch.zeros(len(RINGS), CONDITIONS))
    backend._priors = PriorTerms(GuidancePriors(spectrum), torch.device("meta"), torch.float32)
    backend._network.to("meta")
    backend._device, backend._cuda = torch.device("meta"), Checking()
    noise = np.zeros((backend.noise_count(num_steps), 96, 128), np.float32)
    backend.run(np.zeros((2, 1, 24, 32), np.float32), noise, num_steps, 2, Guidance(scale))
    assert backend._cuda.checked == [(num_steps, 2, Guidance(scale), False, 1, 4)]


def test_a_graph_keeps_the_constants_that_it_reads():
    """Its addresses are in the graph, and the caches let the edges of old sizes go."""
    folded = torch.rand(1, 16, 5, 7)
    with hold_constants() as held:
        expected = downsample_folded(folded)
    kept = {id(tensor) for tensor in held}
    assert len(kept) == 3
    for size in range(1, 40):
        downsample_folded(torch.rand(1, 16, size, size))
    assert len(held) == 3  # nothing is held any more
    with hold_constants() as again:
        torch.testing.assert_close(downsample_folded(folded), expected)
    assert len(kept & {id(tensor) for tensor in again}) < 3, "the cache has not let anything go"


@pytest.fixture
def cuda_pair():
    pair = [
        SuperResolver.load(device=d, precision=p) for d, p in (("cuda", "fp16"), ("cpu", "fp32"))
    ]
    yield pair
    for resolver in pair:
        resolver.close()


def _frame(shape, seed: int = 0) -> np.ndarray:
    smooth = np.cumsum(np.cumsum(np.random.default_rng(seed).normal(size=shape), 0), 1)
    return (255 * (smooth - smooth.min()) / np.ptp(smooth)).astype(np.uint8)


@needs_cuda
@pytest.mark.parametrize("num_steps", [1, 2, 4])
def test_cuda_is_within_one_count_of_the_cpu(cuda_pair, num_steps):
    results = []
    for resolver in cuda_pair:
        resolver.configure(num_steps=num_steps)
        for seed in range(WARMUP_RUNS + 2):  # the last is a replay
            result = resolver.upscale(_frame((120, 160), seed))
        results.append(result.astype(int))
    assert np.percentile(np.abs(results[0] - results[1]), 99.9) <= 1


@needs_cuda
def test_cuda_memory_is_flat_while_sizes_change(cuda_pair):
    resolver, rng = cuda_pair[0], np.random.default_rng(0)
    shapes = [(int(h), int(w)) for h, w in rng.integers(16, 256, (24, 2))]
    marks = []
    for index in range(1000):
        resolver.upscale(_frame(shapes[int(rng.integers(len(shapes)))], index))
        if index in (499, 999):
            torch.cuda.synchronize()
            marks.append(torch.cuda.memory_allocated())
    assert marks[1] <= marks[0] + (64 << 20)


@needs_cuda
def test_a_full_cuda_device_runs_in_tiles(cuda_pair):
    resolver, frame = cuda_pair[0], _frame((512, 640))
    whole = resolver.upscale(frame)
    _, total = torch.cuda.mem_get_info()
    torch.cuda.empty_cache()
    resolver._backend._cuda.clear()
    torch.cuda.set_per_process_memory_fraction(
        (torch.cuda.memory_allocated() + (100 << 20)) / total
    )
    try:
        tiled = resolver.upscale(frame)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert "tiles of" in str(resolver.info.memory)
    assert np.percentile(np.abs(tiled.astype(int) - whole), 99.9) <= 1


@needs_cuda
def test_cuda_graphs_give_what_eager_gives():
    device = torch.device("cuda:0")
    with torch.inference_mode():
        runner, eager = CudaRunner(device), CudaRunner(device, max_graphs=0)
        for seed in range(6):
            array = _array(1000, seed)
            a, b = (r.run("a", double, [array]) for r in (runner, eager))
            np.testing.assert_array_equal(a, b)
        assert runner.graphs and runner.eager_because is None
