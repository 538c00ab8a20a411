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

"""An evaluation with known numbers, made without upscaling anything."""

from __future__ import annotations

import numpy as np

from difiisr_ros.lab.evaluation.results import (
    BETTER,
    UNDECIDED,
    Difference,
    Estimate,
    Evaluation,
    FramePictures,
    FrameTable,
    MethodResult,
    Source,
)
from difiisr_ros.lab.frames.streams import SELF_REFERENCED

FRAMES = 20
METHODS = ("bicubic", "difiisr", "other")
PSNR = {"bicubic": 30.0, "difiisr": 32.0, "other": 29.5}


def pictures(row, dtype=np.uint16, shape=(48, 64), methods=METHODS, truth=True):
    """Frame ``row``: structure that is different for every method."""
    rng = np.random.default_rng(row)
    hr = 30000 + 500 * rng.random(shape)
    if dtype == np.uint8:
        hr = hr / 256
    sr = {name: (hr + i).astype(dtype) for i, name in enumerate(methods)}
    lr = hr[::4, ::4].astype(dtype)
    return FramePictures(f"frame {row}", lr, hr.astype(dtype) if truth else None, sr)


def method(name, values, metrics, verdict):
    means = {
        k: Estimate(float(np.nanmean(v)), *np.nanpercentile(v, (5, 95))) for k, v in values.items()
    }
    differences = {
        k: Difference(e.mean - PSNR["bicubic"] if k == "psnr" else 0.01, -0.5, 0.5, verdict)
        for k, e in means.items()
    }
    return MethodResult(
        name=name,
        details={"num_steps": 1} if name == "difiisr" else {"resampling": "some kernel"},
        values=values,
        means=means,
        differences={} if name == "bicubic" else differences,
        times_ms=np.linspace(5, 9, len(values[metrics[0]])),
        spectrum=np.linspace(0, -60, 33),
    )


def evaluation(
    metrics=("psnr", "bias", "consistency"), mode=SELF_REFERENCED, frames=FRAMES, **more
):
    """Frame 3 gains the least and frame 7 the most."""
    rng = np.random.default_rng(0)
    scene = 3 * rng.random(frames)
    methods = {}
    for name in METHODS:
        gain = np.zeros(frames)
        if name == "difiisr" and frames > 7:
            gain[3], gain[7] = -1.5, 1.5
        values = {m: PSNR[name] + scene + gain + 0.01 * rng.random(frames) for m in metrics}
        verdict = {"difiisr": BETTER, "other": UNDECIDED}.get(name)
        methods[name] = method(name, values, metrics, verdict)
    defaults = dict(
        mode=mode,
        frames=FrameTable(
            np.zeros(frames, np.int32),
            np.arange(frames),
            np.arange(frames) * 10**8,
            [f"/cam {i}" for i in range(frames)],
        ),
        sources=(Source("my bag /cam", "my bag", "/cam", frames, "16x12", "uint16"),),
        methods=methods,
        reference="bicubic",
        metrics=tuple(metrics),
        given={"flicker": Estimate(1.5, 1.0, 2.0)},
        missing={"lpips": "its weights are not installed"},
        unit="counts",
        settings={"degradation": "reduced", "statistics": {"confidence": 0.95}, "every": 1},
        versions={"difiisr_ros": "0.1.0"},
        notes=("the bag was cut off",),
        command="difiisr evaluate 'my bag'",
        frequencies=np.linspace(0, 0.5, 33),
        truth_spectrum=np.linspace(0, -40, 33),
        input_spectrum=np.where(np.linspace(0, 0.5, 33) < 0.125, -1.0, np.nan),
        frame=pictures,
    )
    return Evaluation(**{**defaults, **more})
