"""``difiisr evaluate``: how much better than bicubic, on the user's own frames."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.commands.engine_arguments import add_engine_arguments, engine_arguments
from difiisr_ros.errors import OptionError
from difiisr_ros.evaluation import metrics
from difiisr_ros.evaluation.datasets import DEGRADATIONS, FrameSet, Sample, open_frames
from difiisr_ros.evaluation.methods import (
    BICUBIC,
    DIFIISR,
    Method,
    bicubic_method,
    pillow_method,
    super_resolver_methods,
)
from difiisr_ros.evaluation.report import table, write_json
from difiisr_ros.evaluation.spectrum import LR_NYQUIST, spectrum_distance
from difiisr_ros.pipeline import SuperResolver

HELP = "Measure the gain over bicubic on your own frames: PSNR, SSIM, spectrum, consistency."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "data",
        type=Path,
        metavar="DATA",
        help="a folder of HR frames (degraded x4), or one with HR/ and LR/ paired by file name",
    )
    parser.add_argument(
        "--degradation",
        choices=DEGRADATIONS,
        default="bicubic",
        help="how HR frames are reduced: Pillow's antialiased bicubic, or a simulated camera "
        "(blur, fixed-pattern and temporal noise)",
    )
    parser.add_argument(
        "--degradation-seed", type=int, default=0, metavar="N", help="of the camera's noise"
    )
    parser.add_argument(
        "--no-reference",
        action="store_true",
        help="DATA's frames are the input and there is no truth: consistency and time only",
    )
    parser.add_argument(
        "--num-steps",
        type=_steps,
        default=[1],
        metavar="N[,N...]",
        help="sampler steps; several are compared, the first one is 'difiisr' in the JSON (1)",
    )
    parser.add_argument(
        "--data-range",
        type=float,
        metavar="COUNTS",
        help="peak for PSNR and SSIM of 16-bit and float frames (each HR frame's max - min)",
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every n-th frame")
    parser.add_argument("--limit", type=int, metavar="N", help="take at most N frames")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here")
    add_engine_arguments(parser)


def _steps(text: str) -> list[int]:
    steps = [int(part) for part in text.split(",")]
    if len(set(steps)) != len(steps):
        raise argparse.ArgumentTypeError(f"{text!r} names a number twice")
    return steps


_steps.__name__ = "list of whole numbers"  # argparse names the type when a value does not parse


def run(args: argparse.Namespace) -> int:
    """Run the command; returns the exit code.

    Raises:
        DifiisrError: input or an option that cannot be used.
    """
    if args.data_range is not None and not args.data_range > 0:
        raise OptionError(f"--data-range must be above 0, got {args.data_range}")
    frames = open_frames(
        args.data,
        args.degradation,
        seed=args.degradation_seed,
        no_reference=args.no_reference,
        every=args.every,
        limit=args.limit,
    )
    # Never another backend than the one asked for: the numbers would be those of something else.
    resolver = SuperResolver.load(strict_backend=True, **engine_arguments(args))
    try:
        ours = super_resolver_methods(resolver, args.num_steps)
        report = evaluate(frames, [bicubic_method(), pillow_method(), *ours], args.data_range)
        engine = resolver.info.as_dict()
        del engine["num_steps"]  # of the last method only; each method says its own
        report["settings"]["engine"] = engine
        report["settings"]["options"] = {
            "seed": args.seed,
            "consistency": args.consistency,
            "range_mode": args.range_mode,
        }
    finally:
        resolver.close()
    report["settings"]["path"] = str(args.data)
    print(f"{report['frames']} frames of {args.data}: {_describe(report['settings'])}")
    print(table(report))
    if args.json:
        write_json(report, args.json)
    return 0


def evaluate(
    frames: FrameSet, methods: list[Method], value_range: float | None = None
) -> dict[str, Any]:
    """Upscale every frame by every method and average the metrics.

    Args:
        frames: what to evaluate on.
        methods: the first one with truth available is usually bicubic.
        value_range: data range for 16-bit and float frames; None: each HR frame's max - min.

    Returns:
        ``{"frames": n, "methods": {name: {metric: mean}}, "settings": {...}}``, where ``psnr``
        (dB), ``ssim`` and ``spectrum_distance`` (dB) need truth, ``consistency`` is in counts and
        ``time_ms_p50`` is the median time of one frame.

    Raises:
        DataError: a frame that cannot be read or used.
    """
    from tqdm import tqdm

    sums: dict[str, dict[str, list[float]]] = {m.name: defaultdict(list) for m in methods}
    sizes: set[str] = set()
    dtype = ""
    # disable=None: no bar where stderr is not a terminal (CI, a log file).
    with tqdm(frames, unit="frame", disable=None, file=sys.stderr) as bar:
        for sample in bar:
            sizes.add(f"{sample.lr.shape[1]}x{sample.lr.shape[0]}")
            dtype = sample.lr.dtype.name
            for method in methods:
                for metric, value in _measure(method, sample, value_range).items():
                    sums[method.name][metric].append(value)
            bar.set_postfix_str(_progress(sums))
    results = {
        m.name: {
            **{metric: float(np.mean(values)) for metric, values in sums[m.name].items()},
            "time_ms_p50": float(np.median(m.milliseconds)),
        }
        for m in methods
    }
    settings = {
        **frames.settings,
        "dtype": dtype,
        "lr_sizes": sorted(sizes),
        "methods": {m.name: m.details for m in methods},
        "consistency": "mean |antialiased bicubic downsample(SR) - LR|, counts",
    }
    if frames.settings["data"] != "lr":
        settings |= _reference_settings(dtype, value_range)
    return {"frames": len(frames), "methods": results, "settings": settings}


def _measure(method: Method, sample: Sample, value_range: float | None) -> dict[str, float]:
    sr = method(sample.lr)
    values: dict[str, float] = {}
    if sample.hr is not None:
        peak = metrics.data_range(sample.hr)
        if value_range is not None and sample.hr.dtype != np.uint8:
            peak = value_range
        values["psnr"] = metrics.psnr(sample.hr, sr, peak)
        values["ssim"] = metrics.ssim(sample.hr, sr, peak)
        values["spectrum_distance"] = spectrum_distance(sample.hr, sr, peak)
    values["consistency"] = metrics.consistency(sample.lr, sr)
    return values


def _reference_settings(dtype: str, value_range: float | None) -> dict[str, Any]:
    peak: str | float = 255.0
    if dtype != "uint8":
        peak = "max - min of each HR frame" if value_range is None else value_range
    return {
        "data_range": peak,
        "ssim": {"library": "scikit-image", **metrics.SSIM_SETTINGS},
        "spectrum_distance": "mean |difference| of the radial mean log amplitude (dB, Hann "
        f"window) above {LR_NYQUIST} cycles per HR pixel",
    }


def _progress(sums: dict[str, dict[str, list[float]]]) -> str:
    ours, baseline = sums.get(DIFIISR, {}), sums.get(BICUBIC, {})
    if not ours.get("psnr") or not baseline.get("psnr"):
        return ""
    return f"PSNR {np.mean(ours['psnr']) - np.mean(baseline['psnr']):+.2f} dB"


def _describe(settings: dict[str, Any]) -> str:
    how = {
        "hr": f"degraded x4 ({settings['degradation']})",
        "hr_lr_pairs": "with their own LR frames",
        "lr": "no truth",
    }[settings["data"]]
    engine = settings["engine"]
    return (
        f"{how}, {settings['dtype']}, {', '.join(settings['lr_sizes'])} in; "
        f"model {engine['model']} on {engine['backend']} {engine['device']} {engine['precision']}"
    )
