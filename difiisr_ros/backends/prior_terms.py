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

"""A model's expectations as guidance terms for one batch of frames."""

from __future__ import annotations

import torch
from torch import Tensor

from difiisr_ros.core.guidance import Guidance
from difiisr_ros.core.guided_step import WeightedTerm
from difiisr_ros.core.perceptual_guidance import FeaturePrior, PerceptualTerm
from difiisr_ros.core.visual_guidance import SpectrumPrior, VisualTerm
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models.features.base import FeatureNetwork
from difiisr_ros.models.features.load import load_features
from difiisr_ros.models.guidance_priors import GuidancePriors


class PriorTerms:
    """Makes the terms that a :class:`Guidance` asks for.

    Args:
        priors: what the model's file expects of HR frames.
        device, dtype: of the terms' arithmetic; expectations stay float32.
    """

    def __init__(self, priors: GuidancePriors, device: torch.device, dtype: torch.dtype) -> None:
        self.names = priors.terms
        self._device, self._dtype = device, dtype
        self._spectrum: SpectrumPrior | None = None
        if priors.spectrum is not None:
            self._spectrum = SpectrumPrior(priors.spectrum.weight.to(device))
        self._expected: FeaturePrior | None = priors.features
        self._features: FeatureNetwork | None = None

    def weighted(
        self, guidance: Guidance, lr: Tensor, y0: Tensor, *, measured_band: bool
    ) -> list[WeightedTerm]:
        """The terms with a scale above 0; the model must have what they need (:attr:`names`).

        Args:
            lr: N x 1 x H x W.
            y0: bicubic of it, folded.
            measured_band: see :class:`difiisr_ros.core.visual_guidance.VisualTerm`.
        """
        terms = []
        if guidance.visual_scale > 0:
            assert self._spectrum is not None
            visual = VisualTerm(self._spectrum, lr, y0, self._dtype, measured_band=measured_band)
            terms.append(WeightedTerm(visual, guidance.visual_scale))
        if guidance.perceptual_scale > 0:
            perceptual = PerceptualTerm(*self._load_features(), self._dtype)
            terms.append(WeightedTerm(perceptual, guidance.perceptual_scale))
        return terms

    def check(self, guidance: Guidance) -> None:
        """Raise OptionError where the feature network that the expectations are of is not here."""
        if guidance.perceptual_scale > 0 and self._expected is not None:
            try:
                self._load_features()
            except ModelError as error:
                raise OptionError(
                    f"perceptual guidance (scale {guidance.perceptual_scale:g}) is not to be had: "
                    f"{error}"
                ) from error

    def _load_features(self) -> tuple[FeaturePrior, FeatureNetwork]:
        # Only those who use perceptual guidance pay for the feature network.
        assert self._expected is not None
        if self._features is None:
            features = load_features(self._expected.spec).to(self._device, self._dtype)
            self._features = features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self._expected = self._expected.to(self._device)
        return self._expected, self._features
