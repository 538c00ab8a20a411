"""Whether a trained model beats the shipped one of its architecture, on frames held out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from difiisr_ros.lab.scores.statistics import MIN_UNITS, bootstrap_means, intervals, make_group
from difiisr_ros.lab.training.data import Frame
from difiisr_ros.lab.training.validate import scores
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import EMBEDDED_CONFIGS, LiteDenoiser


@dataclass(frozen=True)
class Verdict:
    """A paired comparison in one step: PSNR, dB, trained minus shipped."""

    shipped: str
    """Name of the shipped model."""
    frames: int
    difference: float
    low: float | None
    high: float | None
    """Ends of the 95 % interval; None where there are too few frames for one."""
    words: str
    """``better``, ``worse`` or ``undecided``."""

    def sentence(self) -> str:
        """For a person."""
        span = f"fewer than {MIN_UNITS} frames give no interval"
        if self.low is not None and self.high is not None:
            span = f"95 % interval {self.low:+.2f} to {self.high:+.2f}"
        return (
            f"{self.words} than the shipped {self.shipped}: {self.difference:+.2f} dB PSNR in one "
            f"step on {self.frames} held-out frames of a simulated camera ({span})"
            if self.words != "undecided"
            else f"undecided against the shipped {self.shipped}: {self.difference:+.2f} dB PSNR in "
            f"one step on {self.frames} held-out frames of a simulated camera ({span})"
        )

    def as_dict(self) -> dict[str, Any]:
        """The fields, for JSON."""
        return asdict(self)


def against_shipped(model: LiteDenoiser, frames: list[Frame]) -> Verdict | None:
    """Compare with the shipped model; None where there is none of this architecture."""
    names = [name for name, config in EMBEDDED_CONFIGS.items() if config == model.config]
    if not names:
        return None
    shipped, _ = load_model(names[0])
    device = next(model.parameters()).device
    ours, theirs = (scores(each, frames, 1)[:, 1, 0] for each in (model, shipped.to(device)))
    return judge(names[0], ours - theirs)


def judge(shipped: str, differences: np.ndarray) -> Verdict:
    """The verdict on differences of PSNR, frame by frame."""
    groups = [make_group(0, len(differences), [differences], False)]
    columns = differences[:, None].astype(np.float64)
    low, high = intervals(bootstrap_means(columns, groups), groups)[:, 0]
    words = "better" if low > 0 else "worse" if high < 0 else "undecided"
    known = bool(np.isfinite(low))
    return Verdict(
        shipped, len(differences), round(float(differences.mean()), 3),
        round(float(low), 3) if known else None, round(float(high), 3) if known else None, words,
    )  # fmt: skip
