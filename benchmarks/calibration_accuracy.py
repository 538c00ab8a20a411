#!/usr/bin/env python3
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

"""How well ``difiisr calibrate`` finds a known camera: simulated frames of known noise and blur.

    python benchmarks/calibration_accuracy.py FRAMES [--count 50] [--step 1]

FRAMES is a folder of HR frames. Each becomes a camera's frame: Gaussian blur, 4x4 area sampling,
offsets of rows and columns, white noise, rounding. The noise is one number of counts in all frames,
a share of their median range. HR frames are blurred themselves, by the optics that recorded them:
measured likewise, about a quarter of a camera pixel. ``blur`` is compared with what was simulated,
and with both together (``whole``). Targets: blur within 0.08 px, noise within 10 % of itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from simulated_camera import SCALE, evenly, simulate

from difiisr_ros.core import radiometry
from difiisr_ros.lab.calibration.measure import Calibration, Sample, calibrate

BLURS = (0.3, 0.4, 0.5, 0.6, 0.75, 0.9)
NOISES = (0.002, 0.005, 0.01, 0.02, 0.05)
PATTERN = 0.005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--step", type=float, default=1.0, help="rounding, counts; 0 for none")
    args = parser.parse_args()
    frames = evenly(args.frames, args.count)
    own = measure([frame.astype(np.float32) for frame in frames[:20]]).blur_fit
    hr_blur = 0.0 if own is None else own.sigma / SCALE
    print(f"{len(frames)} frames of {args.frames}; own blur {hr_blur:.3f} camera pixels")
    print("noise %   blur   whole | noise / truth | blur found - simulated - whole")
    worst = {"noise": 0.0, "simulated": 0.0, "whole": 0.0}
    for noise in NOISES:
        for blur in BLURS:
            found, counts = simulated(frames, blur, noise, args.step or None)
            whole = float(np.hypot(blur, hr_blur))
            noise_text = blur_text = "not known"
            if found.noise is not None:
                noise_text = f"{found.noise / counts:.3f}"
                worst["noise"] = max(worst["noise"], abs(found.noise / counts - 1))
            if found.blur is not None:
                errors = {"simulated": found.blur - blur, "whole": found.blur - whole}
                blur_text = f"{found.blur:.3f} ± {found.blur_error:.3f}   " + "   ".join(
                    f"{error:+.3f}" for error in errors.values()
                )
                for name, error in errors.items():
                    worst[name] = max(worst[name], abs(error))
            edges = 0 if found.edges is None else len(found.edges)
            print(
                f"{100 * noise:6.1f}   {blur:5.2f}   {whole:5.3f} |  {noise_text:>9}   | "
                f"{blur_text}   ({edges} edges)",
                flush=True,
            )
    print("worst: " + ", ".join(f"{name} {value:.3f}" for name, value in worst.items()))


def simulated(
    frames: list[np.ndarray], blur: float, noise: float, step: float | None
) -> tuple[Calibration, float]:
    """Calibrate a simulated camera; also its noise in counts."""
    random = np.random.default_rng(7)
    spans = [high - low for low, high in map(radiometry.measure_range, frames)]
    counts = noise * float(np.median(spans))
    made = [
        simulate(frame, blur=blur, noise=counts / span, pattern=PATTERN, step=step, random=random)[
            0
        ]
        for frame, span in zip(frames, spans, strict=True)
    ]
    if step == 1.0:
        made = [np.clip(frame, 0, 65535).astype(np.uint16) for frame in made]
    return measure(made), counts


def measure(frames: list[np.ndarray]) -> Calibration:
    return calibrate(Sample(frames, [None] * len(frames), len(frames), 0))


if __name__ == "__main__":
    main()
