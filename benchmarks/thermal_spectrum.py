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

"""Fit what thermal frames have whatever the model: the spectrum that guides published models.

    python benchmarks/thermal_spectrum.py hit_uav/train

Prints ``THERMAL_SPECTRUM`` of ``core/visual_guidance.py``. What one model's frames are expected to
have is fitted by ``difiisr fit-guidance``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from difiisr_ros.lab.training.data import load_frames
from difiisr_ros.lab.training.guidance_priors import FRAMES, fit_thermal_spectrum


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path)
    parser.add_argument("--count", type=int, default=FRAMES, help="frames to fit to")
    args = parser.parse_args()
    for row in fit_thermal_spectrum(load_frames(args.frames, 64), args.count).tolist():
        print(", ".join(f"{value:.4f}" for value in row))


if __name__ == "__main__":
    main()
