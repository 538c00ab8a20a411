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

"""Ten minutes at 30 Hz (or `DIFIISR_SOAK_SECONDS`): nothing grows, nothing gets slower."""

from __future__ import annotations

import itertools
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from support.ros_peer import Peer
from support.ros_process import RosProcess, environment

SECONDS = float(os.environ.get("DIFIISR_SOAK_SECONDS", "600"))
WARM_UP = min(60.0, SECONDS / 4)  # of it
WIDTH, HEIGHT, RATE = 160, 120, 30.0  # a Lepton's pixels
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


@dataclass
class Sample:
    """The node, at one moment."""

    megabytes: float
    threads: int
    descriptors: int
    published: int
    latency_p99: float
    """ms, of the last 10 s."""
    reference: float
    """ms that a fixed computation takes: how busy the machine is with other things."""


def reference_milliseconds() -> float:
    values = np.arange(200_000, dtype=np.float64)
    begin = time.perf_counter()
    for _ in range(5):
        np.sqrt(values).sum()
    return 1e3 * (time.perf_counter() - begin)


def sample(pid: int, peer: Peer) -> Sample:
    values = peer.values("super_resolution: inference")
    process = Path("/proc") / str(pid)
    pages = int((process / "statm").read_text().split()[1])
    return Sample(
        megabytes=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        threads=len(os.listdir(process / "task")),
        descriptors=len(os.listdir(process / "fd")),
        published=int(values["frames published"]),
        latency_p99=float(values["latency p99 (ms)"]),
        reference=reference_milliseconds(),
    )


def median(samples: list[Sample], field: str) -> float:
    return statistics.median(getattr(s, field) for s in samples)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 300)
def test_soak(tmp_path):
    """Samples after the warm-up, the first third against the last, each by its median."""
    camera = [sys.executable, str(Path(__file__).with_name("camera.py"))]
    camera += [str(WIDTH), str(HEIGHT), str(RATE)]
    received = []
    with Peer() as peer, RosProcess("node", tmp_path, backend="torch") as node:
        peer.until("active")
        peer.node.create_subscription(
            Image, "sr/image_raw", lambda data: received.append(len(data)), BEST_EFFORT, raw=True
        )
        publisher = subprocess.Popen(camera, env=environment())
        try:
            peer.values("super_resolution: inference", lambda v: "latency p99 (ms)" in v, "begin")
            samples: list[Sample] = []
            begin = time.monotonic()
            while time.monotonic() - begin < SECONDS:
                made = sample(node.process.pid, peer)  # about one a second, as diagnostics are
                if time.monotonic() - begin > WARM_UP:
                    samples.append(made)
        finally:
            publisher.kill()
            publisher.wait()
        assert node.interrupt() == 0, node.text
        assert "Traceback" not in node.text, node.text
    third = len(samples) // 3
    first, last = samples[:third], samples[-third:]
    seconds, frames = SECONDS - WARM_UP, last[-1].published - first[0].published
    grown = median(last, "megabytes") - median(first, "megabytes")
    latency = median(first, "latency_p99"), median(last, "latency_p99")
    slower = max(1.0, median(last, "reference") / median(first, "reference"))
    print(
        f"{frames} frames in {seconds:.0f} s, memory {median(last, 'megabytes'):.1f} MB "
        f"({grown:+.2f}), threads {last[-1].threads}, descriptors {last[-1].descriptors}, "
        f"p99 latency {latency[0]:.1f}, then {latency[1]:.1f} ms, machine {slower:.2f} times slower"
    )
    assert grown < 5
    for field in ("threads", "descriptors"):
        assert median(last, field) <= median(first, field), field
    # Less is no drift, but another program that the reference did not feel. A queue that grows by
    # one frame in a hundred would be seconds above it.
    assert latency[1] < 2 * slower * latency[0] + 1e3 / RATE
    # It never stood still, and did what the machine let it do.
    assert all(now.published > before.published for before, now in itertools.pairwise(samples[::5]))
    assert frames > 0.1 * RATE * seconds
    assert len(received) > 0.5 * frames
