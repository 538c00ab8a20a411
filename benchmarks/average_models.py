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

"""The mean of two models' weights, one of them trained on from the other, as a model file.

    python benchmarks/average_models.py BEFORE AFTER OUT --data hit_uav/train

What a model lost on rare cameras in further training comes back for a part of what it gained on
common ones, at no cost (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022).
What depends on the finished model's answers (guidance's expectations, the limits of its channels)
is measured anew on the frames of --data. record_quality.py comes after it.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from difiisr_ros.lab.training.channel_limits import channel_examples, measure_limits
from difiisr_ros.lab.training.data import load_frames
from difiisr_ros.lab.training.guidance_priors import fit_guidance_priors, lite_answer
from difiisr_ros.models.checkpoint import load_model, save_model

CROP = 192


def stages(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    """All stages of the training: those of ``before``, and what led from there to ``after``."""
    further: list[dict[str, Any]] = []
    facts = after
    while "stages" not in facts:
        settings = facts["settings"]
        kind = "prior" if settings["prior_share"] == 1 else "refiner and few steps"
        further.insert(
            0,
            {
                "stage": f"{kind}, on",
                "minutes": facts["minutes"],
                "steps": facts["steps"],
                "seed": settings["seed"],
                "batch": settings["batch"],
                "settings": settings,
            },
        )
        facts = facts["started_from"]
    if facts["stages"] != before["stages"]:
        raise SystemExit("AFTER was not trained on from BEFORE")
    return [*before["stages"], *further]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before", metavar="BEFORE")
    parser.add_argument("after", metavar="AFTER")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="training frames")
    parser.add_argument("--share", type=float, default=0.5, help="of AFTER (default: 0.5)")
    args = parser.parse_args()
    (first, before), (model, after) = load_model(args.before), load_model(args.after)
    old, new = first.state_dict(), model.state_dict()
    model.load_state_dict({k: torch.lerp(old[k], new[k], args.share) for k in new})
    frames = load_frames(args.data, CROP)
    model.guidance_priors = fit_guidance_priors(lite_answer(model), torch.device("cpu"), frames)
    model.channel_limits = measure_limits(model.prior, channel_examples(model, frames))
    known = stages(before, after)
    facts = {
        **after,
        "trained_on": before["trained_on"],
        "licence": before["licence"],
        "stages": known,
        "minutes": sum(stage["minutes"] for stage in known),
        # Of the weights after the last two stages; the rest is of those before.
        "share_of_last_stages": args.share,
        "started_from": None,
    }
    save_model(args.out, model, facts)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
