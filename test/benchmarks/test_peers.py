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

"""The networks that this package is timed against are the published ones in size and shape."""

from __future__ import annotations

import json
import sys

import pytest

from support.paths import REPOSITORY

torch = pytest.importorskip("torch")
BENCHMARKS = REPOSITORY / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("benchmarks/ is only in the source tree", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

import peers  # noqa: E402
from peer_networks import Compact, EdsrBaseline, PlainResidual, Span, SwinIRLight  # noqa: E402
from peer_networks.swinir_light import _relative_index, _shift_mask  # noqa: E402


@pytest.mark.parametrize(
    ("network", "parameters"),
    # As the authors' releases count them for x4 with three channels; SPAN with its branches merged.
    [(Compact, 1_213_296), (EdsrBaseline, 1_517_571), (Span, 426_288), (SwinIRLight, 929_628)],
)
def test_a_network_has_the_published_number_of_parameters(network, parameters):
    assert sum(p.numel() for p in network().parameters()) == parameters


@pytest.mark.parametrize("network", [Compact, EdsrBaseline, Span, SwinIRLight])
def test_a_network_upscales_any_size_by_four(network):
    with torch.inference_mode():
        out = network().eval()(torch.rand(1, 3, 11, 19))
    assert out.shape == (1, 3, 44, 76)
    assert torch.isfinite(out).all()


def test_the_fair_opponent_begins_as_bicubic():
    from difiisr_ros.core.resample import unfold, upsample_folded

    lr = torch.rand(2, 1, 9, 10)
    with torch.inference_mode():
        out = PlainResidual(16, 2)(lr)
    assert (out - unfold(upsample_folded(lr))).abs().max() < 0.02


def test_windows_attend_to_former_neighbours_only():
    window, shift = 4, 2
    mask = _shift_mask(8, 8, window, shift)[:, 0]
    assert mask.shape == (4, 16, 16)
    assert mask[0].all()  # this window holds no seam
    # After the roll by 2, the last window holds four corners of the image, 2x2 pixels each.
    assert mask[3].sum() == 4 * 4 * 4
    assert not mask[3, 0, 3] and not mask[3, 0, 12] and mask[3, 0, 5]
    index = _relative_index(window)
    assert index[0, 0] == index[5, 5]
    assert index[0, 1] != index[1, 0]
    assert index.max() == (2 * window - 1) ** 2 - 1


def test_shifted_windows_carry_information_across_their_borders():
    network = SwinIRLight(features=12, depths=(2,), heads=2, channels=1).eval()
    image = torch.rand(1, 1, 16, 16)
    changed = image.clone()
    changed[0, 0, 5, 5] += 1.0
    with torch.inference_mode():
        difference = (network(changed) - network(image)).abs()
    # Beyond the reach of the convolutions, in the next window: through the shifted layer alone.
    assert difference[..., 4 * 11 :, 4 * 5].max() > 0


def test_everyone_takes_turns_and_the_faster_precision_counts():
    order = []
    calls = {
        name: (lambda name=name: order.append(name))
        for name in (peers.OURS, "Other fp32", "Other bf16")
    }
    times = peers.take_turns(calls, rounds=3, budget=10.0)
    turn = list(calls)
    assert order == [name for name in turn for _ in range(2)] + 3 * turn
    assert all(len(own) == 3 for own in times.values())

    def both(*walls):
        return [peers.Times(wall, wall / 2) for wall in walls]

    rows = peers.summarise(
        {peers.OURS: both(1, 2, 4), "Other fp32": both(9, 9, 9), "Other bf16": both(3, 6, 12)}
    )
    assert rows["Other"]["precision"] == "bf16"
    assert rows["Other"]["ratio"] == 3.0
    assert rows["Other"]["best_ratio"] == rows["Other"]["cpu_ratio"] == 3.0
    assert rows[peers.OURS]["ratio"] == 1.0


def test_a_slow_peer_stops_when_its_time_is_used():
    import time

    calls = {peers.OURS: lambda: None, "Slow": lambda: time.sleep(0.02)}
    times = peers.take_turns(calls, rounds=20, budget=0.05)
    assert len(times[peers.OURS]) == 20
    assert 2 <= len(times["Slow"]) < 6


def test_the_script_runs(tmp_path, monkeypatch, capsys):
    out = tmp_path / "peers.json"
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "peers.py",
            "--sizes",
            "16x12",
            "--rounds",
            "2",
            "--threads",
            str(torch.get_num_threads()),
            "--json",
            str(out),
        ],
    )
    monkeypatch.setattr(peers, "keep_large_buffers", lambda: True)  # not for the tests' process
    peers.main()
    rows = json.loads(out.read_text())["16x12"]
    assert {
        "difiisr_ros",
        "OpenCV bicubic",
        "SRVGGNetCompact",
        "SPAN",
        "EDSR-baseline",
        "SwinIR-light",
        "fair opponent",
    } <= set(rows)
    assert "16x12 -> 64x48" in capsys.readouterr().out
