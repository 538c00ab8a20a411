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

"""What guidance at inference expects of a model's frames; stored in the model's file."""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch

from difiisr_ros.core.perceptual_guidance import FeaturePrior, MapPrior
from difiisr_ros.core.visual_guidance import SpectrumPrior

PREFIX = "guidance."
_PARTS = ("weight", "bias", "std")
_OF_FEATURES = re.compile(rf"{re.escape(PREFIX)}features\.(.+)\.\d+\.({'|'.join(_PARTS)})")


@dataclass(frozen=True)
class GuidancePriors:
    """Expectations of one model; None where its file has none."""

    spectrum: SpectrumPrior | None = None
    features: FeaturePrior | None = None

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the guidance terms that they make possible."""
        found = {"visual": self.spectrum, "perceptual": self.features}
        return tuple(name for name, prior in found.items() if prior is not None)

    def tensors(self) -> dict[str, torch.Tensor]:
        """As entries of a model file, float32."""
        found = {}
        if self.spectrum is not None:
            found[f"{PREFIX}spectrum"] = self.spectrum.weight
        if self.features is not None:
            for i, m in enumerate(self.features.maps):
                for part in _PARTS:
                    found[f"{PREFIX}features.{self.features.spec}.{i}.{part}"] = getattr(m, part)
        return {key: value.detach().float().cpu().contiguous() for key, value in found.items()}

    @classmethod
    def from_tensors(cls, entries: dict[str, torch.Tensor]) -> GuidancePriors:
        """Read :meth:`tensors` back.

        Raises:
            ValueError: unknown or missing entries, or shapes that do not fit.
        """
        entries = dict(entries)
        weight = entries.pop(f"{PREFIX}spectrum", None)
        spectrum = None if weight is None else SpectrumPrior(weight)
        maps: list[MapPrior] = []
        # A spec may hold a path, and that dots.
        specs = {found[1] for found in map(_OF_FEATURES.fullmatch, entries) if found}
        spec = specs.pop() if len(specs) == 1 else ""
        while f"{PREFIX}features.{spec}.{len(maps)}.weight" in entries:
            name = f"{PREFIX}features.{spec}.{len(maps)}"
            if any(f"{name}.{part}" not in entries for part in _PARTS):
                raise ValueError(f"{name} is not complete")
            maps.append(MapPrior(*(entries.pop(f"{name}.{part}") for part in _PARTS)))
            channels = len(maps[-1].bias)
            if maps[-1].weight.shape not in {(channels, n, 3, 3) for n in (1, channels)}:
                raise ValueError(f"{name}.weight has the shape {tuple(maps[-1].weight.shape)}")
        if entries:
            raise ValueError(f"unknown entry {sorted(entries)[0]}")
        return cls(spectrum, FeaturePrior(spec, tuple(maps)) if maps else None)
