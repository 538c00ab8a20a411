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

"""Fit what guidance expects of HR frames to a model, and write it into the model's file.

    python benchmarks/fit_guidance.py MODEL FRAMES [--count 120]
    python benchmarks/fit_guidance.py --generic FRAMES

``difiisr train`` does it at the end of a run; this is for a file from before, or after its schedule
or weights were changed. FRAMES is the folder that the model was trained on. ``--generic`` prints
what thermal frames have whatever the model: ``THERMAL_SPECTRUM`` of ``core/visual_guidance.py``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from safetensors import safe_open

from difiisr_ros.lab.training.data import load_frames
from difiisr_ros.lab.training.guidance_priors import (
    FRAMES,
    fit_guidance_priors,
    fit_thermal_spectrum,
    lite_answer,
)
from difiisr_ros.models.checkpoint import load_model, save_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("frames", type=Path)
    parser.add_argument("--generic", action="store_true", help="of no model")
    parser.add_argument("--count", type=int, default=FRAMES, help="frames to fit to")
    args = parser.parse_args()
    if args.generic:
        for row in fit_thermal_spectrum(load_frames(args.frames, 64), args.count).tolist():
            print(", ".join(f"{value:.4f}" for value in row))
        return
    if args.model is None:
        parser.error("MODEL is needed without --generic")
    model, facts = load_model(str(args.model))
    begin = time.perf_counter()
    model.guidance_priors = fit_guidance_priors(
        lite_answer(model), torch.device("cpu"), load_frames(args.frames, 64), count=args.count
    )
    with safe_open(args.model, "pt") as file:
        half = file.get_slice("prior.head.weight").get_dtype() == "F16"
    save_model(args.model, model, facts, half)
    print(f"fitted to {args.count} frames in {time.perf_counter() - begin:.0f} s: {args.model}")


if __name__ == "__main__":
    main()
