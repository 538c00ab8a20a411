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

"""PyTorch backend of the published models: checkpoints of DifIISR, ResShift and SinSR."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from difiisr_ros.backends.device_memory import report_full_device
from difiisr_ros.backends.graph_inputs import camera_rows
from difiisr_ros.backends.prior_terms import PriorTerms
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.device import DTYPES, choose_device, choose_precision
from difiisr_ros.core.guidance import NO_GUIDANCE, Guidance
from difiisr_ros.core.guided_step import corrected
from difiisr_ros.core.resample import SCALE, upsample_folded
from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.core.visual_guidance import guides_measured_band
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.models.published.files import load_published, prepare
from difiisr_ros.models.published.frames import Correct, noise_images, upscale_frames
from difiisr_ros.models.published.network import PublishedModel
from difiisr_ros.options import UpscaleOptions


class PublishedBackend:
    """A published model in PyTorch. See :class:`difiisr_ros.backends.base.Backend`.

    Args:
        model: file that ``difiisr convert`` wrote, or the denoiser's checkpoint.
        autoencoder: the autoencoder's checkpoint, for the latter.
    """

    name = "torch"
    guidance_gradients: tuple[str, ...] = ("closed_form",)
    fixed_options: Mapping[str, int] = {}
    asked_range_is_seen = True  # the release's is 0..255, whatever the scene

    def __init__(
        self,
        model: str,
        autoencoder: str = "",
        device: str = "auto",
        precision: str = "auto",
        num_threads: int = 0,
    ) -> None:
        self.model = model
        self._autoencoder = autoencoder
        self._device = choose_device(device)
        self.device = str(self._device)
        self.precision = choose_precision(precision, self._device)
        self._num_threads = num_threads
        self._network: PublishedModel | None = None
        self._schedules: dict[int, ResidualShiftSchedule] = {}
        self.max_steps = 0
        self.guidance_terms: tuple[str, ...] = ()
        self._priors: PriorTerms | None = None

    def load(self) -> None:
        """Load the weights. Raises ModelError."""
        if self._num_threads > 0:
            torch.set_num_threads(self._num_threads)
        network, _ = load_published(self.model, self._autoencoder)
        self._network = prepare(network, self._device, DTYPES[self.precision])
        self.max_steps = network.config.steps
        # In float32: beside the network's, their time is nothing.
        self._priors = PriorTerms(network.guidance_priors, self._device, torch.float32)
        self.guidance_terms = self._priors.names

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """All that the model can do runs here, if the network is here that guidance sees through.

        Raises OptionError where it is not.
        """
        if self._priors is not None:
            self._priors.check(options.guidance)

    def check_camera(self, camera: CameraProfile) -> None:
        """Every camera."""

    def warmup(self, height: int, width: int, num_steps: int = 1) -> None:
        """Run once: what follows costs the same, and that is seconds on a CPU."""
        side = SCALE * height, SCALE * width
        noise = np.zeros((self.noise_count(num_steps), *side), np.float32)
        self.run(np.zeros((1, 1, height, width), np.float32), noise, num_steps, 1)

    def noise_count(self, num_steps: int) -> int:
        """The prior's, and where the model samples with fresh noise one for each further step."""
        return noise_images(num_steps, self._loaded().config.stochasticity)

    def _loaded(self) -> PublishedModel:
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
        if num_steps not in self._schedules:
            self._schedules[num_steps] = network.config.schedule().respaced(num_steps)
        schedule = self._schedules[num_steps]
        frames, images, cameras = (
            torch.from_numpy(np.ascontiguousarray(a)).to(self._device)
            for a in (lr, noise, camera_rows(camera, len(lr)))
        )
        band = guides_measured_band(1, consistency, camera.exact)
        # The features' gradient is taken by autograd, not to be had in inference mode.
        mode = torch.no_grad() if guidance.perceptual_scale > 0 else torch.inference_mode()
        with mode, report_full_device(self._device, (1, *lr.shape[1:])):
            # One frame at a time: a single one keeps any machine busy, and memory is what is short.
            done = [
                upscale_frames(
                    network,
                    frame,
                    images,
                    schedule,
                    consistency,
                    self._correction(guidance, frame, band),
                    exact=camera.exact,
                    camera=known,
                    scale=scale,
                ).cpu()
                for frame, known in zip(frames[:, None], cameras[:, None])
            ]
        return torch.cat(done).numpy()

    def _correction(self, guidance: Guidance, lr: Tensor, measured_band: bool) -> Correct | None:
        if not guidance.terms:
            return None
        assert self._priors is not None
        terms = self._priors.weighted(
            guidance, lr, upsample_folded(lr), measured_band=measured_band
        )
        return lambda folded: corrected(folded, terms)

    def close(self) -> None:
        """Free the weights."""
        self._network = self._priors = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
