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

"""Whether a trained model beats the shipped one of its architecture, on held-out frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from difiisr_ros.lab.scores.statistics import CONFIDENCE, Group, bootstrap_means, intervals
from difiisr_ros.lab.training.data import Frame
from difiisr_ros.lab.training.validate import frame_scores
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import EMBEDDED_CONFIGS, LiteDenoiser


@dataclass(frozen=True)
class Verdict:
    """Of one step, which is what runs by default."""

    shipped: str
    frames: int
    gain_db: float
    """Mean difference of the PSNR, dB."""
    interval_db: tuple[float, float] | None
    """Of the mean; None where the frames are too few for one."""

    def sentence(self) -> str:
        """For people."""
        figure = f"{self.gain_db:+.2f} dB PSNR on {self.frames} held-out frames"
        if self.interval_db is None:
            return f"against the shipped {self.shipped}: {figure}, too few for an interval"
        low, high = self.interval_db
        word = "better than" if low > 0 else "worse than" if high < 0 else "no different from"
        interval = f"{100 * CONFIDENCE:.0f} % interval {low:+.2f} to {high:+.2f}"
        return f"{word} the shipped {self.shipped}: {figure} ({interval})"


def compare_with_shipped(model: LiteDenoiser, frames: list[Frame]) -> Verdict | None:
    """Compare frame by frame; None where no model of this architecture is shipped."""
    shipped = next((n for n, config in EMBEDDED_CONFIGS.items() if config == model.config), None)
    if shipped is None:
        return None
    device = next(model.parameters()).device
    other = load_model(shipped)[0].to(device)
    ours, theirs = (frame_scores(m, frames, 1)[:, 1, 0] for m in (model, other))
    return judge(shipped, ours - theirs)


def judge(shipped: str, gains: np.ndarray) -> Verdict:
    """The verdict on each frame's difference in dB; frames count as independent."""
    groups = [Group(0, len(gains), 1)]
    low, high = intervals(bootstrap_means(gains[:, None], groups), groups)[:, 0]
    interval = None if np.isnan(low) else (float(low), float(high))
    return Verdict(shipped, len(gains), float(gains.mean()), interval)
