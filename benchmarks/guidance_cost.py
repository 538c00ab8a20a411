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

"""What guidance costs: one guided step against one plain step, in turn, on this machine.

    python benchmarks/guidance_cost.py [--model lite] [--repeats 15]

Prints the median time of every setting and the median of its ratio to the plain step that ran just
before it, so that a machine that other work keeps busy slows both alike.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from difiisr_ros import SuperResolver

SIZES = ((160, 120), (320, 256), (640, 512))
SETTINGS = {
    "plain": {},
    "visual, closed form": {"visual_scale": 0.5},
    "visual, exact": {"visual_scale": 0.5, "guidance_gradient": "exact"},
    "perceptual": {"perceptual_scale": 0.5},
    "visual and perceptual": {"visual_scale": 0.5, "perceptual_scale": 0.5},
    "both, exact": {
        "visual_scale": 0.5,
        "perceptual_scale": 0.5,
        "guidance_gradient": "exact",
    },
}
OFF = {"visual_scale": 0.0, "perceptual_scale": 0.0, "guidance_gradient": "closed_form"}


def timed(resolver: SuperResolver, frame: np.ndarray, options: dict) -> float:
    """Seconds of one upscale."""
    resolver.configure(**{**OFF, **options})
    begin = time.perf_counter()
    resolver.upscale(frame)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="lite")
    parser.add_argument("--num-steps", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    args = parser.parse_args()
    resolver = SuperResolver.load(args.model, "torch", num_steps=args.num_steps)
    info = resolver.info
    print(
        f"{info.model}, {info.backend} on {info.device}, {info.precision}, {info.num_steps} step(s)"
    )
    print("| size | guidance | median, ms | ratio to plain |")
    print("| --- | --- | --- | --- |")
    for width, height in SIZES:
        frame = np.random.default_rng(0).integers(20000, 21000, (height, width)).astype(np.uint16)
        for name, options in SETTINGS.items():
            timed(resolver, frame, options)
            pairs = [
                (timed(resolver, frame, {}), timed(resolver, frame, options))
                for _ in range(args.repeats)
            ]
            plain, guided = np.array(pairs).T
            print(
                f"| {width}x{height} | {name} | {1e3 * np.median(guided):.1f} "
                f"| {np.median(guided / plain):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
