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

"""Time, work and memory of the published DifIISR's network, stage by stage, with random weights.

Three ways in one process: ``reference`` (float32, attention with the whole matrix, maps channels
first: how the release computes, without its xformers), ``fp32`` and ``bf16`` (what
``SuperResolver.load(model=..., precision=...)`` runs; with ``--unpadded`` of a file that ``difiisr
convert --unpadded-autoencoder`` wrote). Peak memory is the process's, model and PyTorch included.
PSNR compares gray results with ``fp32``'s, the peak being the range.

    python benchmarks/published_speed.py --size 160x120 --json published_speed.json
"""

from __future__ import annotations

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

WAYS = ("bf16", "fp32", "reference")
STAGES = ("encode", "denoise", "decode")
_fused = F.scaled_dot_product_attention


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="160x120", metavar="WxH", help="of the LR frame")
    parser.add_argument("--runs", type=int, default=2, help="of each way; the fastest counts")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--unpadded", action="store_true", help="the autoencoder of fp32 and bf16")
    parser.add_argument("--model", type=Path, help="converted file; default: random weights")
    parser.add_argument("--write-random", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.write_random:
        write_random(args.write_random)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = args.model
        if path is None:  # by another process, so that its memory does not count here
            path = Path(folder) / "random.safetensors"
            command = [sys.executable, __file__, "--write-random", str(path)]
            subprocess.run(command, check=True)
        report = measure(path, args)
    show(report)
    if args.json:
        args.json.write_text(json.dumps(report, indent=2) + "\n")


def write_random(path: Path) -> None:
    """Weights that keep the signal's size from layer to layer, with nothing left at zero."""
    from difiisr_ros.models.published.files import save_published
    from difiisr_ros.models.published.network import PublishedModel

    torch.manual_seed(0)
    model = PublishedModel()
    for name, p in model.named_parameters():
        if p.dim() > 1 and "bias_table" not in name and "embedding" not in name:
            last = name.endswith(
                ("out_layers.3.weight", "conv2.weight", "proj.weight", "fc2.weight")
            )
            torch.nn.init.normal_(p, std=(0.5 if last else 1.0) * p[0].numel() ** -0.5)
        elif "norm" in name and name.endswith("weight"):
            torch.nn.init.normal_(p, 1.0, 0.2)
        else:
            torch.nn.init.normal_(p, std=0.5 if "embedding" in name else 0.1)
    states = (model.unet.state_dict(), model.autoencoder.state_dict())
    save_published(path, states, model.config, {"trained_on": "nothing: random"})


def measure(path: Path, args: argparse.Namespace) -> dict:
    from difiisr_ros.models.published.network import pad

    width, height = map(int, args.size.split("x"))
    rng = np.random.default_rng(0)
    lr = np.cumsum(np.cumsum(rng.normal(size=(height, width)), 0), 1)
    lr = torch.from_numpy((lr - lr.min()) / np.ptp(lr)).float()[None, None]
    lq = pad(lr * 2 - 1, 64).expand(-1, 3, -1, -1)
    noise = torch.from_numpy(rng.standard_normal(lq.shape)).float()
    report: dict = {
        "lr": [width, height],
        "network": [lq.shape[-1], lq.shape[-2]],
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "ways": {},
    }
    inside = {
        way: (height, width) if args.unpadded and way != "reference" else lq.shape[-2:]
        for way in args.ways
    }
    images = {}
    for way in args.ways:
        reset_peak()
        report["ways"][way], image = run(path, way, lq, noise, args.runs, inside[way])
        images[way] = image[..., : 4 * height, : 4 * width]
        gc.collect()
    for way, found in report["ways"].items():
        found["gflop"] = count_work(way, tuple(lq.shape), inside[way])
    if "fp32" in images:
        for way, image in images.items():
            crop = images["fp32"] - image
            gray, own = (float(e.square().mean()) for e in (crop.mean(1), crop))
            # -1..1 is a range of 2.
            report["ways"][way]["psnr_gray_db"] = psnr(gray)
            report["ways"][way]["psnr_channels_db"] = psnr(own)
    return report


def psnr(mse: float) -> float | None:
    return round(10 * float(np.log10(4 / mse)), 1) if mse > 0 else None


def run(
    path: Path,
    way: str,
    lq: torch.Tensor,
    noise: torch.Tensor,
    runs: int,
    inside: tuple[int, int],
) -> tuple[dict, torch.Tensor]:
    from difiisr_ros.models.published.files import load_published, prepare
    from difiisr_ros.models.published.network import pad

    model, _ = load_published(str(path))
    if way == "reference":
        model.float().requires_grad_(False)
        F.scaled_dot_product_attention = whole_matrix
    else:
        dtype = torch.bfloat16 if way == "bf16" else torch.float32
        model = prepare(model, torch.device("cpu"), dtype)
    schedule = model.config.schedule().respaced(1)
    denoise = model.as_denoise(lq, model.config.schedule())
    seconds = dict.fromkeys(STAGES, float("inf"))
    rows, columns = (slice(side) for side in inside)
    frame = lq[..., rows, columns]
    with torch.inference_mode():
        for _ in range(runs):
            z = timed(seconds, "encode", lambda: pad(model.encode_prior(frame), 64))
            x = z + schedule.prior_std * noise
            x0 = timed(seconds, "denoise", lambda x=x: denoise(x, schedule.steps - 1))
            latent = x0[..., rows, columns]
            image = timed(seconds, "decode", lambda z=latent: model.autoencoder.decode(z))
    F.scaled_dot_product_attention = _fused
    found = {"seconds": {**seconds, "sum": sum(seconds.values())}, "peak_gb": peak_gb()}
    return found, image


def timed(seconds: dict, stage: str, call) -> torch.Tensor:
    start = time.perf_counter()
    result = call()
    seconds[stage] = min(seconds[stage], time.perf_counter() - start)
    return result


def count_work(way: str, shape: tuple[int, ...], inside: tuple[int, int]) -> dict[str, float]:
    """GFLOP of convolutions and matrix products by stage, two for a multiplication and addition.

    Without any memory, and after everything else, as the counter's own imports take some.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from difiisr_ros.models.published.network import PublishedModel
    from difiisr_ros.models.swin_unet_blocks import Upsample

    with torch.device("meta"):
        model, lq = PublishedModel(), torch.empty(shape)
        frame = torch.empty((*shape[:2], *inside))
        if way != "reference":
            for module in model.modules():
                if isinstance(module, Upsample):
                    module.split_phases()
        calls = {
            "encode": lambda: model.encode_prior(frame),
            "denoise": lambda: model.unet(lq, torch.zeros(len(lq)), lq),
            "decode": lambda: model.autoencoder.decode(frame, quantize=False),
        }
        work = {}
        F.scaled_dot_product_attention = (
            whole_matrix  # the same products, in a form that is counted
        )
        for stage, call in calls.items():
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                call()
            work[stage] = counter.get_total_flops() / 1e9
        F.scaled_dot_product_attention = _fused
    return {**work, "sum": sum(work.values())}


def whole_matrix(q, k, v, attn_mask=None):
    """Attention that holds the matrix of all pairs."""
    weights = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    if attn_mask is not None:
        weights = weights + attn_mask
    return torch.softmax(weights, dim=-1) @ v


def reset_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def peak_gb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise RuntimeError("this system does not tell a process's peak memory")


def show(report: dict) -> None:
    print("LR {}x{}, network {}x{}".format(*report["lr"], *report["network"]))
    print(f"{'':10} {'s':>28} {'GFLOP':>28} {'GB':>6} {'PSNR dB':>8}")
    for way, found in report["ways"].items():
        cells = [" ".join(f"{found[k][s]:6.1f}" for s in (*STAGES, "sum")) for k in ("seconds",)]
        cells.append(" ".join(f"{found['gflop'][s]:6.0f}" for s in (*STAGES, "sum")))
        quality = found.get("psnr_gray_db")
        print(f"{way:10} {cells[0]:>28} {cells[1]:>28} {found['peak_gb']:6.2f} {quality or '':>8}")


if __name__ == "__main__":
    main()
