"""PyTorch backend: CPU (bfloat16 where the CPU computes in it) and CUDA (float16)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from difiisr_ros.core.resample import SCALE, back_project, fold, unfold, upsample_folded
from difiisr_ros.core.sampler import sample
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import LiteDenoiser, as_denoise

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


class TorchBackend:
    """The embedded model in PyTorch. See :class:`difiisr_ros.backends.base.Backend`.

    The residual network runs in the chosen precision; bicubic, sampler and back-projection stay
    float32, so that a reduced precision only touches the residual, a few percent of the range.
    """

    name = "torch"
    scale = SCALE

    def __init__(
        self, model: str, device: str = "auto", precision: str = "auto", num_threads: int = 0
    ) -> None:
        self.model = model
        self._device = _choose_device(device)
        self.device = str(self._device)
        self.precision = _choose_precision(precision, self._device)
        self._num_threads = num_threads
        self._network: LiteDenoiser | None = None
        self._schedules: dict[int, ResidualShiftSchedule] = {}
        self.max_steps = 0

    def load(self) -> None:
        """Load the weights. Raises ModelError."""
        if self._num_threads > 0:
            torch.set_num_threads(self._num_threads)
        network, _ = load_model(self.model)
        self._full = network.config.schedule()
        self.max_steps = len(self._full)
        network = network.to(self._device, _DTYPES[self.precision])
        self._network = network.to(memory_format=torch.channels_last).requires_grad_(False)

    def warmup(self, height: int, width: int, num_steps: int = 1) -> None:
        """Run twice: the first run chooses kernels, the second allocates what stays."""
        side = SCALE * height, SCALE * width
        noise = np.zeros((self.noise_count(num_steps), *side), np.float32)
        for _ in range(2):
            self.run(np.zeros((1, 1, height, width), np.float32), noise, num_steps, 1)

    def noise_count(self, num_steps: int) -> int:
        """0 for one step, whose expert does not read x_T; else the prior's, and one more for every
        further step where the model samples with fresh noise.
        """
        if num_steps == 1:
            return 0
        return num_steps if self._loaded().config.stochasticity > 0 else 1

    def _loaded(self) -> LiteDenoiser:
        if self._network is None:
            raise BackendUnavailable("the torch backend is closed or was not loaded")
        return self._network

    def run(
        self, lr: np.ndarray, noise: np.ndarray, num_steps: int, consistency: int
    ) -> np.ndarray:
        """See :class:`difiisr_ros.backends.base.Backend`."""
        network = self._loaded()
        with torch.inference_mode():
            frames = torch.from_numpy(np.ascontiguousarray(lr)).to(self._device)
            y0 = upsample_folded(frames)
            if num_steps == 1:
                x0 = y0 + network.predict_prior(frames)
            else:
                x0 = self._sample(network, frames, y0, noise, num_steps)
            return unfold(back_project(x0, frames, consistency)).cpu().numpy()

    def _sample(
        self, network: LiteDenoiser, lr: Tensor, y0: Tensor, noise: np.ndarray, num_steps: int
    ) -> Tensor:
        if num_steps not in self._schedules:
            self._schedules[num_steps] = self._full.respaced(num_steps)
        schedule = self._schedules[num_steps]
        folded = [fold(torch.from_numpy(n).to(self._device)[None, None]) for n in noise]
        denoise = as_denoise(network, lr, y0, self._full)
        stochasticity = network.config.stochasticity
        return sample(denoise, y0, folded, schedule, stochasticity=stochasticity)

    def close(self) -> None:
        """Free the weights."""
        self._network = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _choose_device(device: str) -> torch.device:
    if device == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    if device == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BackendUnavailable(f"device {device} was asked for, but torch sees no CUDA device")
    chosen = torch.device(device if ":" in device else f"{device}:0")
    if chosen.index >= torch.cuda.device_count():
        raise BackendUnavailable(
            f"{device} does not exist; {torch.cuda.device_count()} device(s) do"
        )
    return chosen


def _choose_precision(precision: str, device: torch.device) -> str:
    if precision != "auto":
        if precision == "fp16" and device.type == "cpu":
            raise BackendUnavailable("fp16 is not for CPUs; use bf16 or fp32")
        return precision
    if device.type == "cuda":
        return "fp16"
    # Without native bfloat16 instructions it is emulated and slower than float32.
    return "bf16" if has_native_bf16() else "fp32"


def has_native_bf16() -> bool:
    """Whether this CPU multiplies bfloat16 itself (AVX-512 BF16, AMX, Arm BF16)."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    get_capabilities = getattr(torch.cpu, "get_capabilities", None)
    if get_capabilities is None:  # torch < 2.10
        return bool(torch.cpu._is_avx512_bf16_supported())
    found = get_capabilities()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))
