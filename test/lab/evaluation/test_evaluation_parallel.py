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

"""Many bags at once: the same figures from one process and from several."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from difiisr_ros import cli
from difiisr_ros.errors import OptionError
from difiisr_ros.io.bags import BagWriter
from difiisr_ros.lab.evaluation import parallel

T0 = 1_700_000_000_000_000_000


@pytest.fixture
def bags(tmp_path):
    rng = np.random.default_rng(0)
    for number, count in enumerate((7, 5, 6)):
        with BagWriter(tmp_path / f"bag{number}", ("mcap", "sqlite3")[number % 2]) as writer:
            coarse = rng.random((9, 12)).astype(np.float32)
            for i in range(count):
                unit = cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC).clip(0, 1)
                noisy = unit * 200 + 20 + rng.normal(scale=2, size=unit.shape)
                writer.write_image("/cam", T0 + i * 10**8, noisy.astype(np.uint8))
    return sorted(tmp_path.glob("bag*"))


def run(*arguments) -> int:
    return cli.main(["evaluate", *map(str, arguments)])


def figures(path):
    """Everything but what depends on the machine's load, to the last bit."""
    report = json.loads(path.read_text())
    for values in report["methods"].values():
        values.pop("time_ms_p50"), values.pop("time_ms_p99")
    kept = ("frames", "methods", "intervals", "differences", "sources", "spectrum", "truth")
    return {key: report[key] for key in kept}, report


@pytest.mark.timeout(600)  # Ray's processes start one after the other where processors are few
def test_one_and_two_workers_give_the_same_figures(bags, tmp_path):
    pytest.importorskip("ray", reason="several workers need Ray: pip install difiisr_ros[ray]")
    command = [*bags, "--device", "cpu", "--num-steps", "1,2"]
    assert run(*command, "--workers", 1, "--json", tmp_path / "one.json") == 0
    assert run(*command, "--workers", 2, "--json", tmp_path / "two.json") == 0
    one, _ = figures(tmp_path / "one.json")
    two, report = figures(tmp_path / "two.json")
    assert one == two
    assert one["frames"] == 18 and report["settings"]["workers"] == 2
    assert any("2 workers side by side" in note for note in report["notes"])
    assert "ray" in report["versions"]


@pytest.mark.timeout(600)
def test_an_error_in_a_worker_is_that_of_one_process(bags, tmp_path, capsys):
    pytest.importorskip("ray", reason="several workers need Ray: pip install difiisr_ros[ray]")
    with BagWriter(tmp_path / "mixed") as writer:
        writer.write_image("/cam", T0, np.zeros((64, 96), np.uint8))
        writer.write_image("/cam", T0 + 10**8, np.zeros((32, 96), np.uint8))
    out = tmp_path / "r.json"
    options = ["--backend", "bicubic", "--workers", 2, "--json", out]
    assert run(bags[0], tmp_path / "mixed", *options) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "the frames are of different kinds" in error and "mixed" in error
    assert not out.exists()


def test_a_cluster_that_is_not_there(bags, capsys):
    pytest.importorskip("ray", reason="needs Ray: pip install difiisr_ros[ray]")
    assert run(*bags, "--backend", "bicubic", "--ray-address", "nonsense://nowhere") == 2
    assert "Ray at nonsense://nowhere" in capsys.readouterr().err


def test_without_ray_one_process_does_it_and_several_are_refused(bags, tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "has_ray", lambda: False)
    assert parallel.choose_workers(None, 10, None) == 1
    with pytest.raises(OptionError, match=r"pip install difiisr_ros.ray"):
        parallel.choose_workers(4, 10, None)
    with pytest.raises(OptionError, match="Ray"):
        parallel.choose_workers(None, 10, "auto")
    out = tmp_path / "r.json"
    assert run(*bags, "--backend", "bicubic", "--json", out) == 0
    assert json.loads(out.read_text())["settings"]["workers"] == 1


def test_how_many_workers(monkeypatch):
    monkeypatch.setattr(parallel, "has_ray", lambda: True)
    monkeypatch.setattr(parallel, "_processors", lambda: 12)
    assert parallel.choose_workers(None, 1, None) == 1  # one bag is read in order
    assert parallel.choose_workers(None, 4, None) == 4
    assert parallel.choose_workers(None, 100, None) == 6
    assert parallel.choose_workers(1, 100, None) == 1
    assert parallel.choose_workers(20, 100, None) == 20
    assert parallel.choose_workers(20, 3, None) == 3
    assert parallel.choose_workers(None, 5, "ray://host:10001") == 5
