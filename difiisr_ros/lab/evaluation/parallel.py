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

"""Scores streams one after the other in this process, or side by side on Ray.

Both ways run the same :func:`score_stream` and hand on the same batches, so the numbers do not
depend on how many workers there are (but for the times, which neighbours disturb).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from difiisr_ros.errors import OptionError, first_line
from difiisr_ros.lab.evaluation.methods import Method, MethodPlan, make_methods
from difiisr_ros.lab.evaluation.score_stream import StreamJob, score_stream
from difiisr_ros.lab.evaluation.stream_scores import Batch, StreamScores
from difiisr_ros.lab.frames.streams import Sample

_MOST_WORKERS = 8  # more seldom pay: each holds the models, and they share memory bandwidth


def has_ray() -> bool:
    """Whether Ray is installed."""
    return importlib.util.find_spec("ray") is not None


def choose_workers(asked: int | None, streams: int, address: str | None) -> int:
    """How many processes to use.

    Args:
        asked: The user's choice; None: as many as help, where Ray is installed.
        streams: How many there are to score.
        address: Of a Ray cluster, or None.

    Raises:
        OptionError: More than one, or a cluster, without Ray.
    """
    if asked is not None and asked < 1:
        raise OptionError(f"workers must be 1 or more, got {asked}")
    if ((asked or 1) > 1 or address) and not has_ray():
        raise OptionError(
            "several workers need Ray: pip install difiisr_ros[ray]; without it streams are scored "
            "one after the other"
        )
    if asked or address:  # a cluster knows best how many fit
        return min(asked or streams, streams)
    if not has_ray():
        return 1
    return max(1, min(streams, _MOST_WORKERS, _processors() // 2))


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def score_here(
    jobs: Sequence[StreamJob], methods: Sequence[Method], past: Sequence[StreamScores]
) -> Iterator[Batch]:
    """Score the streams in this process, one after the other."""
    for job in jobs:
        yield from score_stream(job, methods, past[job.number])


def score_on_ray(
    jobs: Sequence[StreamJob],
    plan: MethodPlan,
    example: Sample,
    past: Sequence[StreamScores],
    workers: int,
    address: str | None,
) -> Iterator[Batch]:
    """Score the streams on Ray, ``workers`` at a time.

    Args:
        jobs: The streams; their files must have the same paths on every machine of a cluster.
        plan: The methods, which every worker loads for itself.
        example: A frame such as will be upscaled.
        past: What an earlier run has found out, for every stream.
        workers: How many at a time.
        address: Of a running cluster (``auto``, ``ray://HOST:PORT``); None starts Ray here.

    Raises:
        DataError, FrameError, ModelError: Of the first stream that fails; the others are stopped.
        OptionError: The cluster cannot be reached.
    """
    import ray

    threads = dict(plan.engine).get("num_threads") or max(1, _processors() // workers)
    with _connection(address, workers * threads) as ours:
        gpus = ray.cluster_resources().get("GPU", 0) if _wants_gpu(plan) else 0
        remote: Any = ray.remote(_score_in_worker).options(
            num_returns="streaming",
            num_cpus=threads,
            num_gpus=min(1.0, gpus / workers),
            max_retries=0,  # a worker that died for memory would die again
        )
        plan_id, example_id = ray.put(plan), ray.put(example)
        waiting = list(jobs)
        running: list[Any] = []
        try:
            while waiting or running:
                while waiting and len(running) < workers:
                    job = waiting.pop(0)
                    running.append(
                        remote.remote(job, plan_id, example_id, past[job.number], threads)
                    )
                generator: Any = ray.wait(running, num_returns=1)[0][0]
                try:
                    reference = next(generator)
                except StopIteration:
                    running.remove(generator)
                    continue
                try:
                    yield ray.get(reference)
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
        finally:
            # A connection of ours takes its work along when it is closed. Not by force: killing a
            # task in the moment it ends brings down the whole process (a failed check in Ray 2.60).
            for generator in [] if ours else running:
                with contextlib.suppress(Exception):  # it may have ended by itself
                    ray.cancel(generator)


@contextlib.contextmanager
def _connection(address: str | None, processors: int) -> Iterator[bool]:
    """Whether the connection is ours, and closed at the end."""
    import ray

    if ray.is_initialized():  # by the program that calls us
        yield False
        return
    # Ray's own dashboard, usage statistics and log lines are no part of an evaluation's output.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    options: dict[str, Any] = {"logging_level": "ERROR", "log_to_driver": False}
    if address is None:
        options |= {"num_cpus": processors, "include_dashboard": False}
    try:
        ray.init(address=address or "local", **options)
    except Exception as error:
        raise OptionError(f"Ray at {address or 'this machine'}: {first_line(error)}") from error
    try:
        yield True
    finally:
        ray.shutdown()


def _wants_gpu(plan: MethodPlan) -> bool:
    return dict(plan.engine).get("device", "auto") != "cpu"


#: What a process of Ray's has loaded, open until the process ends.
_in_worker: dict[MethodPlan, list[Method]] = {}
_open = contextlib.ExitStack()


def _score_in_worker(
    job: StreamJob, plan: MethodPlan, example: Sample, past: StreamScores, threads: int
) -> Iterator[Batch]:
    """Runs in a process of Ray's, which scores several streams with the methods that it loaded."""
    import cv2

    from difiisr_ros.allocator import keep_large_buffers

    if plan not in _in_worker:
        keep_large_buffers()
        cv2.setNumThreads(threads)
        engine = {**dict(plan.engine), "num_threads": threads}
        mine = replace(plan, engine=tuple(sorted(engine.items())))
        _in_worker[plan] = _open.enter_context(make_methods(mine, example))
    yield from score_stream(job, _in_worker[plan], past)
