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

"""3x3 convolutions by minimal filtering and directly, in turns, in the published networks' sizes.

    python benchmarks/minimal_filtering.py [--threads N]

Shortest time of some runs, and the largest errors against float64, in units of the result's
standard deviation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from difiisr_ros.allocator import keep_large_buffers
from difiisr_ros.models.winograd import winograd_conv

SIZES = ((512, 128, 192), (256, 256, 384), (128, 512, 768), (160, 128, 192), (320, 64, 96))
"""Channels, height and width: of the autoencoder's levels and of the denoiser's, for 192x128."""
_CORNER = 40  # pixels of a side that the errors are taken from


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--runs", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    keep_large_buffers()
    for channels, height, width in SIZES:
        torch.manual_seed(0)
        x = torch.randn(1, channels, height, width).to(memory_format=torch.channels_last)
        conv = torch.nn.Conv2d(channels, channels, 3, padding=1)
        conv = conv.to(memory_format=torch.channels_last).requires_grad_(False)
        ways = {
            "direct": partial(conv, x),
            "minimal": partial(winograd_conv, x, *weights(conv)),
        }
        exact = F.conv2d(x[..., :_CORNER, :_CORNER].double(), *(w.double() for w in weights(conv)))
        with torch.inference_mode():
            seconds = take_turns(ways, args.runs)
            for name, call in ways.items():
                part = call()[..., 1 : _CORNER - 1, 1 : _CORNER - 1]
                error = float((part - exact).abs().max() / exact.std())
                print(
                    f"{channels} channels, {width}x{height}: {name:>8} {seconds[name]:.3f} s, "
                    f"error {error:.1e}",
                    flush=True,
                )


def weights(conv: torch.nn.Conv2d) -> tuple[torch.Tensor, torch.Tensor]:
    assert conv.bias is not None
    return conv.weight, conv.bias


def take_turns(ways: dict[str, Callable[[], torch.Tensor]], runs: int) -> dict[str, float]:
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(runs + 1):  # the first of each warms up
        for name, call in ways.items():
            start = time.perf_counter()
            call()
            best[name] = min(best[name], time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
