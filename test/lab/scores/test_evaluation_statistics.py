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

"""Bootstrap intervals: they cover what they promise, and know that frames in time are alike."""

from __future__ import annotations

import numpy as np
import pytest

from difiisr_ros.lab.evaluation.aggregate import aggregate, with_mixed
from difiisr_ros.lab.evaluation.results import BETTER, MIXED, UNDECIDED, WORSE
from difiisr_ros.lab.evaluation.score_stream import make_columns
from difiisr_ros.lab.evaluation.stream_scores import TIME, Batch, StreamScores
from difiisr_ros.lab.scores.statistics import (
    Group,
    autocorrelation_time,
    bootstrap_means,
    intervals,
    make_group,
)


def _ar1(rng: np.random.Generator, count: int, rho: float) -> np.ndarray:
    """A series whose integrated autocorrelation time is (1 + rho) / (1 - rho)."""
    noise = rng.normal(size=count) * (1 - rho**2) ** 0.5
    values = np.empty(count)
    values[0] = rng.normal()
    for i in range(1, count):
        values[i] = rho * values[i - 1] + noise[i]
    return values


def _coverage(rho: float, in_time: bool) -> float:
    """Share of intervals that hold the true mean, 0."""
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        values = _ar1(rng, 300, rho)
        group = make_group(0, 300, [values], in_time)
        low, high = intervals(bootstrap_means(values[:, None], [group], 400), [group])
        hits += bool(low[0] <= 0 <= high[0])
    return hits / 200


def test_intervals_hold_the_truth_as_often_as_they_say():
    assert _coverage(0.0, in_time=False) == pytest.approx(0.95, abs=0.04)
    assert _coverage(0.0, in_time=True) == pytest.approx(0.94, abs=0.05)


def test_blocks_keep_the_intervals_of_correlated_frames_honest():
    assert _coverage(0.8, in_time=False) < 0.7  # what ignoring time would give
    assert _coverage(0.8, in_time=True) > 0.83


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_autocorrelation_time_of_a_known_process(rho):
    rng = np.random.default_rng(0)
    found = np.mean([autocorrelation_time(_ar1(rng, 4000, rho)) for _ in range(10)])
    assert found == pytest.approx((1 + rho) / (1 - rho), rel=0.2)


def test_a_constant_series_is_not_correlated():
    assert autocorrelation_time(np.full(50, 37.1)) == 1.0
    assert autocorrelation_time(np.array([1.0, np.nan])) == 1.0


def test_long_drifts_are_capped_and_known():
    group = make_group(0, 100, [np.linspace(0, 1, 100)], in_time=True)
    assert group.block == 10 and group.capped
    assert not make_group(0, 100, [np.linspace(0, 1, 100)], in_time=False).capped


def test_draws_are_of_whole_blocks_within_their_own_source():
    """Two sources of which one is all 0: its share of a mean is always its share of frames."""
    columns = np.concatenate([np.zeros(30), np.full(60, 3.0)])[:, None]
    groups = [Group(0, 30, 1), Group(30, 90, 7)]
    means = bootstrap_means(columns, groups, 50)
    # 9 blocks of 7 are 63 draws of the 60 frames.
    np.testing.assert_allclose(means, 3.0 * 63 / 93)


def test_blocks_wrap_around_so_that_every_frame_is_as_likely():
    columns = np.eye(20)
    means = bootstrap_means(columns, [Group(0, 20, 6)], 4000)
    np.testing.assert_allclose(means.mean(axis=0), 1 / 20, rtol=0.1)
    np.testing.assert_allclose(means.sum(axis=1), 1.0)


def test_the_same_seed_gives_the_same_draws_whatever_else_is_drawn():
    values = np.random.default_rng(0).normal(size=(40, 3))
    group = [Group(0, 40, 4)]
    whole = bootstrap_means(values, group, 100)
    np.testing.assert_allclose(whole[:, 1], bootstrap_means(values[:, 1:2], group, 100)[:, 0])
    assert (bootstrap_means(values, group, 100, seed=1) != whole).any()


def test_missing_values_are_left_out():
    values = np.array([np.nan] + [2.0] * 9)[:, None]
    means = bootstrap_means(values, [Group(0, 10, 1)], 200)
    assert np.nanmax(np.abs(means - 2)) == 0
    assert np.isnan(intervals(np.full((5, 1), np.nan), [Group(0, 10, 1)])).all()


def _scores(psnr: dict[str, np.ndarray], bias: dict[str, np.ndarray]) -> StreamScores:
    columns = make_columns("paired", list(psnr), ["psnr", "bias", "consistency"])
    scores = StreamScores(columns)
    count = len(next(iter(psnr.values())))
    rows = []
    for i in range(count):
        table = {(n, "psnr"): psnr[n][i] for n in psnr} | {(n, "bias"): bias[n][i] for n in psnr}
        table |= {(n, "consistency"): 1.0 for n in psnr} | {(n, TIME): 5.0 + i for n in psnr}
        rows.append([i, -1, -1, f"f{i}", [float(table[c]) for c in columns]])
    scores.add(Batch(0, rows, {}, {"dtype": "uint8", "lr_sizes": ["4x4"]}, [], True))
    return scores


def _aggregate(psnr, bias):
    details = {name: {} for name in psnr}
    return aggregate([_scores(psnr, bias)], [False], list(psnr), details, "bicubic")


def test_verdicts():
    rng = np.random.default_rng(5)
    hard = rng.normal(scale=5, size=60)  # frames differ by far more than methods do
    psnr = {
        "bicubic": 30 + hard,
        "good": 30.5 + hard + rng.normal(scale=0.3, size=60),
        "bad": 29.8 + hard + rng.normal(scale=0.1, size=60),
        "same": 30 + hard + rng.normal(scale=0.3, size=60),
    }
    bias = {
        "bicubic": np.full(60, 2.0) + rng.normal(scale=0.1, size=60),
        "good": np.full(60, -1.0) + rng.normal(scale=0.1, size=60),
        "bad": np.full(60, -3.0) + rng.normal(scale=0.1, size=60),
        "same": np.full(60, -2.0) + rng.normal(scale=0.1, size=60),
    }
    found = _aggregate(psnr, bias)
    verdicts = {
        (name, key): d.verdict
        for name, m in found.methods.items()
        for key, d in m.differences.items()
    }
    assert verdicts["good", "psnr"] == BETTER and verdicts["bad", "psnr"] == WORSE
    assert verdicts["same", "psnr"] == UNDECIDED
    # Bias is better the smaller it is, whatever its sign.
    assert verdicts["good", "bias"] == BETTER and verdicts["bad", "bias"] == WORSE
    assert verdicts["same", "bias"] == UNDECIDED
    assert verdicts["good", "consistency"] == UNDECIDED  # exactly equal
    good = found.methods["good"]
    assert good.differences["psnr"].mean == pytest.approx((psnr["good"] - psnr["bicubic"]).mean())
    # Paired: the interval of the difference is much narrower than that of the mean.
    wide, narrow = good.means["psnr"], good.differences["psnr"]
    assert narrow.high - narrow.low < 0.2 * (wide.high - wide.low)
    assert good.means["bias"].mean == pytest.approx(bias["good"].mean())
    assert not found.methods["bicubic"].differences
    assert good.times() == {"time_ms_p50": 34.5, "time_ms_p99": pytest.approx(63.41)}


def test_what_is_certain_but_negligible_is_not_called_worse():
    rng = np.random.default_rng(2)
    psnr = {name: np.full(40, 30.0) for name in ("bicubic", "other")}
    bias = {"bicubic": np.zeros(40), "other": 0.02 + rng.normal(scale=0.001, size=40)}
    for count_size, verdict in ((1.0, UNDECIDED), (0.01, WORSE), (0.0, WORSE)):
        details = {name: {} for name in psnr}
        found = aggregate(
            [_scores(psnr, bias)], [False], list(psnr), details, "bicubic", count_size=count_size
        )
        assert found.methods["other"].differences["bias"].verdict == verdict


def test_chance_is_not_called_better_more_often_than_allowed():
    rng = np.random.default_rng(11)
    wrong = 0
    for _ in range(100):
        base = rng.normal(30, 3, size=40)
        psnr = {"bicubic": base, "other": base + rng.normal(scale=0.5, size=40)}
        zero = {name: np.zeros(40) for name in psnr}
        verdict = _aggregate(psnr, zero).methods["other"].differences["psnr"].verdict
        wrong += verdict != UNDECIDED
    assert wrong <= 14


def test_five_frames_are_too_few_and_six_are_enough():
    for count, verdict in ((5, UNDECIDED), (6, BETTER)):
        psnr = {"bicubic": np.full(count, 30.0), "other": 31 + 0.01 * np.arange(count)}
        found = _aggregate(psnr, {name: np.zeros(count) for name in psnr})
        assert found.methods["other"].differences["psnr"].verdict == verdict
        assert any("too few" in note for note in found.notes()) == (count == 5)


@pytest.mark.parametrize(
    "psnr, ssim, expected",
    [
        (BETTER, BETTER, (BETTER, BETTER)),
        (BETTER, WORSE, (MIXED, WORSE)),
        (BETTER, UNDECIDED, (MIXED, UNDECIDED)),
        (WORSE, BETTER, (WORSE, MIXED)),
        (WORSE, WORSE, (WORSE, WORSE)),
        (BETTER, None, (BETTER, None)),  # SSIM was not measured
    ],
)
def test_psnr_and_ssim_are_better_only_together(psnr, ssim, expected):
    verdicts = {("a", "psnr"): psnr, ("a", "ssim"): ssim, ("a", "gmsd"): BETTER}
    verdicts |= {("b", "psnr"): BETTER, ("b", "ssim"): BETTER}
    found = with_mixed(verdicts)
    assert (found["a", "psnr"], found["a", "ssim"]) == expected
    assert found["a", "gmsd"] == found["b", "psnr"] == found["b", "ssim"] == BETTER


def test_noise_that_psnr_rewards_is_mixed():
    rng = np.random.default_rng(4)
    psnr = {"bicubic": rng.normal(30, 3, 40)}
    psnr["other"] = psnr["bicubic"] + 1
    scores = _scores(psnr, {name: np.zeros(40) for name in psnr})
    ssim = {"bicubic": np.full(40, 0.9), "other": np.full(40, 0.8)}
    columns = [*scores.columns, *((name, "ssim") for name in psnr)]
    rows = [
        [i, -1, -1, f"f{i}", [*values, *(ssim[name][i] for name in psnr)]]
        for i, values in enumerate(scores.values())
    ]
    whole = StreamScores(columns)
    whole.add(Batch(0, rows, {}, scores.facts, [], True))
    found = aggregate([whole], [False], list(psnr), {n: {} for n in psnr}, "bicubic")
    differences = found.methods["other"].differences
    assert (differences["psnr"].verdict, differences["ssim"].verdict) == (MIXED, WORSE)
