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

"""However long a bag is, few of its frames are in memory at a time."""

from __future__ import annotations

import gc
import subprocess
import sys
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest

from difiisr_ros.lab.evaluation import score_stream
from difiisr_ros.lab.evaluation.methods import kernel_methods
from difiisr_ros.lab.evaluation.score_stream import StreamJob, make_columns
from difiisr_ros.lab.evaluation.scoring import ScoreOptions
from difiisr_ros.lab.frames.streams import Sample

METRICS = ("psnr", "ssim", "spectrum_distance", "mae", "consistency", "flicker", "detail")


class _Frame(np.ndarray):
    """An array that can be watched: plain ones take no weak references."""


class _Endless:
    """A bag whose frames are made when they are asked for."""

    label, path, topic, mode, in_time = "endless", Path("endless"), "/cam", "self_referenced", True

    def __init__(self, count: int, shape=(96, 128)):
        self.count, self.shape = count, shape
        self.settings, self.notices = {}, []
        self.alive = 0
        self.most = 0

    def __len__(self):
        return self.count

    def _gone(self):
        self.alive -= 1

    def samples(self, after=-1, done=0):
        rng = np.random.default_rng(0)
        for index in range(after + 1, self.count):
            hr = rng.integers(29000, 29900, self.shape, dtype=np.uint16).view(_Frame)
            self.alive += 1
            self.most = max(self.most, self.alive)
            weakref.finalize(hr, self._gone)
            lr = np.ascontiguousarray(hr[::4, ::4]).view(np.ndarray)
            yield Sample(f"/cam {index}", index, lr, hr, "/cam", index, index)
            del hr


def _score(stream) -> tuple[int, int]:
    """Score all frames; returns frames scored and the peak of Python's allocations, bytes."""
    bicubic, _, lanczos = kernel_methods(4)
    methods = [bicubic, lanczos]
    columns = make_columns(stream.mode, [m.name for m in methods], METRICS)
    job = StreamJob(0, stream, ScoreOptions(METRICS), columns)
    gc.collect()
    tracemalloc.start()
    try:
        frames = sum(len(batch.rows) for batch in score_stream.score_stream(job, methods))
        return frames, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_few_frames_are_alive_at_a_time():
    stream = _Endless(60)
    frames, _ = _score(stream)
    assert frames == 60
    assert stream.most <= 4


def test_the_peak_does_not_grow_with_the_length(monkeypatch):
    monkeypatch.setattr(score_stream, "BATCH_PERIOD_S", 0.05)
    _score(_Endless(5))  # caches of windows and bins
    _, short = _score(_Endless(40))
    _, long = _score(_Endless(200))
    frame = 96 * 128 * 2
    assert long - short < 20 * frame, "160 more frames would be 160 times that, were they kept"


@pytest.mark.slow
def test_resident_memory_of_the_whole_command_on_a_large_bag(tmp_path):
    """260 MB of frames, as a recording of hours has gigabytes: the process grows by far less."""
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bags import BagWriter

    def record(path, count):
        rng = np.random.default_rng(0)
        frames = [rng.integers(0, 65536, (512, 640), dtype=np.uint16) for _ in range(8)]
        with BagWriter(path, "sqlite3") as writer:
            for i in range(count):
                writer.write_image("/cam", 10**18 + i * 10**7, frames[i % 8])

    def peak(path) -> float:
        code = (
            "import resource, sys; from difiisr_ros.cli import main; "
            "code = main(['evaluate', sys.argv[1], '--backend', 'bicubic', '--json', sys.argv[2]]);"
            "print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
        )
        out = str(tmp_path / "r.json")
        done = subprocess.run(
            [sys.executable, "-c", code, str(path), out], capture_output=True, text=True, check=True
        )
        return int(done.stdout.split("peak ")[1]) / 1024  # MB

    record(tmp_path / "short", 30)
    record(tmp_path / "long", 400)
    short, long = peak(tmp_path / "short"), peak(tmp_path / "long")
    assert long - short < 40, f"{short:.0f} MB for 20 MB of frames, {long:.0f} MB for 260 MB"
