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

"""PyTorch backend: CPU (bfloat16 where the CPU computes in it) and CUDA (float16)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from torch import Tensor

from difiisr_ros.backends.cuda_runner import CudaRunner
from difiisr_ros.backends.device_memory import report_full_device
from difiisr_ros.backends.prior_terms import PriorTerms
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.device import DTYPES, choose_device, choose_precision, has_native_bf16
from difiisr_ros.core.guidance import GRADIENTS, NO_GUIDANCE, Guidance
from difiisr_ros.core.guided_step import Guide, closed_form, exact
from difiisr_ros.core.resample import SCALE, fold
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.core.visual_guidance import guides_measured_band
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.models.lite_frames import upscale_frames
from difiisr_ros.models.lite_int8 import check_int8, int8_prior
from difiisr_ros.options import UpscaleOptions


class TorchBackend:
    """The embedded model in PyTorch. See :class:`difiisr_ros.backends.base.Backend`.

    The residual network runs in the chosen precision; bicubic, sampler, projection and bound stay
    float32, so that a reduced precision only touches the residual, a few percent of the range.
    """

    name = "torch"
    guidance_gradients: tuple[str, ...] = GRADIENTS
    fixed_options: Mapping[str, int] = {}

    def __init__(
        self, model: str, device: str = "auto", precision: str = "auto", num_threads: int = 0
    ) -> None:
        self.model = model
        self._device = choose_device(device)
        self.device = str(self._device)
        self.precision = _choose_precision(precision, self._device)
        self._num_threads = num_threads
        self._cuda = CudaRunner(self._device) if self._device.type == "cuda" else None
        self._network: LiteDenoiser | None = None
        self._schedules: dict[int, ResidualShiftSchedule] = {}
        self.max_steps = 0
        self.guidance_terms: tuple[str, ...] = ()
        self._priors: PriorTerms | None = None

    def load(self) -> None:
        """Load the weights. Raises ModelError."""
        if self._num_threads > 0:
            torch.set_num_threads(self._num_threads)
        network, _ = load_model(self.model)
        self._full = network.config.schedule()
        self.max_steps = len(self._full)
        self._dtype = _compute_dtype(self.precision)
        self._priors = PriorTerms(network.guidance_priors, self._device, self._dtype)
        self.guidance_terms = self._priors.names
        if self.precision == "int8":
            # It answers in the prior expert's place, and hands gradients to it.
            network.prior = int8_prior(network, self._dtype)  # type: ignore[assignment]
        network = network.to(self._device, self._dtype)
        self._network = network.to(memory_format=torch.channels_last).requires_grad_(False)
        if self._cuda is not None:
            self._cuda.wait_for_others()

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """All that the model can do runs here, if the network is here that guidance sees through.

        Raises OptionError where it is not.
        """
        if self._priors is not None:
            self._priors.check(options.guidance)

    def check_camera(self, camera: CameraProfile) -> None:
        """Every camera."""

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
        self,
        lr: np.ndarray,
        noise: np.ndarray,
        num_steps: int,
        consistency: int,
        guidance: Guidance = NO_GUIDANCE,
        camera: Conditions = NOTHING_KNOWN,
        scale: int = SCALE,
    ) -> np.ndarray:
        """See :class:`difiisr_ros.backends.base.Backend`."""
        network = self._loaded()
        # Gradients through networks cannot be taken in inference mode, which is a little faster.
        by_autograd = guidance.perceptual_scale > 0 or (guidance.terms and guidance.exact)

        if num_steps not in self._schedules:
            self._schedules[num_steps] = self._full.respaced(num_steps)
        schedule = self._schedules[num_steps]
        make_guide = None
        if guidance.terms:
            band = guides_measured_band(num_steps, consistency, camera.exact)
            make_guide = partial(self._guide, guidance, band)

        def compute(frames: Tensor, images: Tensor, told: Tensor) -> Tensor:
            return upscale_frames(
                network, frames, told, [fold(image[None, None]) for image in images],
                self._full, schedule, consistency=consistency, exact=camera.exact,
                make_guide=make_guide, scale=scale,
            )  # fmt: skip

        with torch.no_grad() if by_autograd else torch.inference_mode():
            if self._cuda is not None:
                key = num_steps, consistency, guidance, camera.exact, len(camera.values), scale
                arrays = lr, noise, camera.values
                return self._cuda.run(key, compute, arrays, graph=not by_autograd)
            with report_full_device(self._device, lr.shape):
                inputs = (
                    torch.from_numpy(np.ascontiguousarray(a)) for a in (lr, noise, camera.values)
                )
                return compute(*inputs).numpy()

    def _guide(self, guidance: Guidance, measured_band: bool, lr: Tensor, y0: Tensor) -> Guide:
        assert self._priors is not None
        terms = self._priors.weighted(guidance, lr, y0, measured_band=measured_band)
        return exact(terms) if guidance.exact else closed_form(terms)

    def close(self) -> None:
        """Free the weights."""
        self._network = self._priors = None
        if self._cuda is not None:
            self._cuda.clear()


def _choose_precision(precision: str, device: torch.device) -> str:
    if precision == "int8":
        check_int8(device)
        return precision
    return choose_precision(precision, device)


def _compute_dtype(precision: str) -> torch.dtype:
    """Of everything in the network; of all but the prior expert's middle in int8."""
    if precision == "int8":
        return torch.bfloat16 if has_native_bf16() else torch.float32
    return DTYPES[precision]
