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

"""The recipe of a training of the embedded model, and the stages that it goes through."""

from __future__ import annotations

from dataclasses import dataclass, field

from difiisr_ros.models.lite import LiteConfig

#: What the sampler is taught to do in its last stage, in turn.
FEW_STEPS = (2, 4)
STAGES = ("prior", "refiner", "few_step")


@dataclass(frozen=True)
class TrainSettings:
    """The recipe; stored in the model file."""

    minutes: float = 90.0
    prior_share: float = 0.6
    """Share of the time that the prior expert gets."""
    few_step_share: float = 0.2
    """Share of the time, at its end, in which the refiner learns in the sampler as it is run."""
    guided_share: float = 0.0
    """Share of the prior expert's time, at its end, in which spectrum and features count too."""
    spectrum_weight: float = 0.02
    """Of the spectrum loss in one step, beside PSNR; n steps weigh it n^2 times."""
    feature_weight: float = 0.2
    """Of the loss on the features."""
    features: str = "thermal"
    """Of which network, in the loss and for guidance; see ``load_features``."""
    batch: int = 8
    crop: int = 192
    learning_rate: float = 3e-3
    """Of AdamW, which all but the blocks' convolutions learn by."""
    muon_rate: float = 0.02
    """Of Muon, which these learn by."""
    warmup_steps: int = 200
    clip: float = 0.5
    """Largest gradient norm; without it 1e-3 diverges."""
    ema: float = 0.999
    degradation: str = "camera"
    seed: int = 0
    data_name: str = ""
    """What the frames are, and ``data_licence`` on which terms, for the model file."""
    data_licence: str = ""
    precision: str = "auto"
    """``bf16`` halves the time on GPUs and on CPUs that compute in it; ``auto`` is that there, and
    ``fp32`` in the last fifth of each stage."""
    save_every_s: float = 120.0
    validate_frames: int = 16
    config: LiteConfig = field(default_factory=LiteConfig)

    def window(self, stage: str) -> tuple[float, float]:
        """Begin and end of a stage in seconds of training time."""
        ends = (0.0, self.prior_share, max(1 - self.few_step_share, self.prior_share), 1.0)
        number = STAGES.index(stage)
        return ends[number] * self.minutes * 60, ends[number + 1] * self.minutes * 60

    def stages(self) -> list[str]:
        """The stages that get any time, in turn."""
        windows = {stage: self.window(stage) for stage in STAGES}
        return [stage for stage, (begin, end) in windows.items() if end > begin]
