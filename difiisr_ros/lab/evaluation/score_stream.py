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

"""Upscales and scores one stream: the inner loop of an evaluation, in whichever process it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from difiisr_ros.lab.evaluation.methods import Method
from difiisr_ros.lab.evaluation.scoring import DESCRIBING, INPUT, TRUTH, FrameScorer, ScoreOptions
from difiisr_ros.lab.evaluation.stream_scores import TIME, Batch, BatchMaker, Column, StreamScores
from difiisr_ros.lab.frames.streams import NO_REFERENCE, Stream
from difiisr_ros.lab.scores.temporal import WAKE_FRAMES

#: How often a stream hands out what it has, seconds: for the progress bar and the state file.
BATCH_PERIOD_S = 0.5


@dataclass(frozen=True)
class StreamJob:
    """One stream to score; plain data, so that it can be sent to another process."""

    number: int
    stream: Stream
    options: ScoreOptions
    columns: tuple[Column, ...]


def make_columns(mode: str, methods: Sequence[str], metrics: Sequence[str]) -> tuple[Column, ...]:
    """What is noted about every frame, in order."""
    given = INPUT if mode == NO_REFERENCE else TRUTH
    columns = [(given, metric) for metric in metrics if metric in DESCRIBING]
    for name in methods:
        columns += [(name, metric) for metric in metrics] + [(name, TIME)]
    return tuple(columns)


def score_stream(
    job: StreamJob, methods: Sequence[Method], past: StreamScores | None = None
) -> Iterator[Batch]:
    """Score the frames of a stream, one at a time.

    Two frames, with each method's result, and the next frame are in memory at any moment. That one
    is read and degraded while its predecessor is scored, which leaves the time of upscaling alone.

    Args:
        job: What to score.
        methods: What to compare.
        past: What an earlier run has found out about this stream: it is continued.

    Yields:
        A batch every half second or so, and one at the end, which says that it is the last.

    Raises:
        DataError, FrameError, ModelError: A frame that cannot be read, used or upscaled.
    """
    past = past or StreamScores(job.columns)
    batches = BatchMaker(job.number, job.columns, past)
    last = past.index[-1] if len(past) else -1
    scale = job.options.scale
    with FrameScorer(job.options) as scorer, ThreadPoolExecutor(1, "read") as reader:
        replay(job.stream, methods, last)
        if len(past):
            # Flicker compares with the frame before, wake with some more.
            for index, log_time_ns in list(zip(past.index, past.log_time_ns))[
                -1 - WAKE_FRAMES : -1
            ]:
                scorer.look(job.stream.frame(index, log_time_ns))
            sample = job.stream.frame(last, past.log_time_ns[-1]).at_scale(scale)
            scorer.remember(sample, {m.name: m.run(sample)[0] for m in methods})
        due = time.monotonic() + BATCH_PERIOD_S
        samples = map(lambda s: s.at_scale(scale), job.stream.samples(last, len(past)))
        coming = reader.submit(next, samples, None).result()
        while coming is not None:
            sample, results, times = coming, {}, {}
            for method in methods:
                results[method.name], times[method.name] = method.run(sample)
            ahead = reader.submit(next, samples, None)
            batches.add(sample, scorer.score(sample, results), times)
            coming = ahead.result()
            if time.monotonic() >= due:
                yield batches.take()
                due = time.monotonic() + BATCH_PERIOD_S
    yield batches.take(job.stream.notices, done=True)


def replay(stream: Stream, methods: Sequence[Method], until: int) -> None:
    """Let methods that use the frames before one see those of a stream, from its first one on.

    Args:
        stream: Which.
        methods: All of them; others are left alone.
        until: Index of the frame before which to stop; what it has is to come from its own run.
    """
    remembering = [method for method in methods if method.restart and method.remember]
    for method in remembering:
        assert method.restart is not None
        method.restart()
    if not remembering or until < 0:
        return
    for sample in stream.samples():
        if sample.index >= until:
            break
        for method in remembering:
            assert method.remember is not None
            method.remember(sample)
