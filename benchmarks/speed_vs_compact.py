"""Time SuperResolver.upscale against Real-ESRGAN's compact network, alternately, in one process.

    python benchmarks/speed_vs_compact.py [--json FILE]

SRVGGNetCompact (64 features, 32 convolutions, PReLU, x4; Real-ESRGAN, arXiv 2107.10833) is what
people run for real-time super-resolution. Random weights do for timing. It runs in torch,
channels_last, in float32 and bfloat16, and the faster of the two counts. Only its network is
timed; of ours the whole upscale, from a 16-bit frame to a 16-bit frame.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difiisr_ros import SuperResolver

SIZES = ((160, 120), (320, 256))
REPEATS = 30


class Compact(nn.Module):
    """The published layer sizes, written from the paper's description; 3 channels as released."""

    def __init__(self, features: int = 64, convolutions: int = 32, scale: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*layers, nn.Conv2d(features, 3 * scale**2, 3, padding=1))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        up = F.interpolate(x, scale_factor=self.scale, mode="nearest")
        return F.pixel_shuffle(self.body(x), self.scale) + up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    args = parser.parse_args()
    ours = SuperResolver.load()
    compact = {
        name: Compact().eval().to(dtype).to(memory_format=torch.channels_last)
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    rows = {}
    for width, height in SIZES:
        frame = np.random.default_rng(0).integers(29_000, 31_000, (height, width)).astype(np.uint16)
        image = torch.rand(1, 3, height, width).contiguous(memory_format=torch.channels_last)

        def run(name: str, image: Tensor = image, frame: np.ndarray = frame) -> float:
            start = time.perf_counter()
            if name == "ours":
                ours.upscale(frame)
            else:
                with torch.inference_mode():
                    network = compact[name]
                    network(image.to(next(network.parameters()).dtype))
            return (time.perf_counter() - start) * 1e3

        names = ("ours", "fp32", "bf16")
        for name in names:
            for _ in range(3):
                run(name)
        # Alternating, so that a slow moment of the machine hits all alike.
        times = {name: [] for name in names}
        for _ in range(args.repeats):
            for name in names:
                times[name].append(run(name))
        median = {name: statistics.median(t) for name, t in times.items()}
        best = min(("fp32", "bf16"), key=median.__getitem__)
        rows[f"{width}x{height}"] = {
            **{f"{name}_ms": round(value, 2) for name, value in median.items()},
            "ratio": round(median[best] / median["ours"], 2),
        }
        print(
            f"{width}x{height}: ours {median['ours']:.1f} ms, compact {median['fp32']:.1f} (fp32) "
            f"{median['bf16']:.1f} (bf16) ms, {median[best] / median['ours']:.1f} times faster"
        )
    if args.json:
        rows["info"] = {**ours.info.as_dict(), "threads": torch.get_num_threads()}
        args.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
