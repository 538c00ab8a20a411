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

"""What super_resolution_node adds to the upscale, and what it does when there is too much to do.

    python benchmarks/node_under_load.py [--seconds 20] [--only overhead] [--json FILE]

The node runs in a process of its own, between a publisher process (the camera) and this one (the
consumer and the operator). Four figures:

    overhead    from the image callback to the publish call, less the upscale, 160x120 at 30 Hz
    parameters  round trip of `ros2 param set` while 640x512 frames come faster than they are done
    overload    age of what is published under more than three times the load
    block       frames that arrive of 300 from a reliable source, with drop_policy block
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from difiisr_ros.stream.rates import percentiles

SETTLE = 3.0  # seconds that a stream runs before anything is measured
NAME = "super_resolution"


def publish(options: argparse.Namespace) -> None:
    """The camera: frames at a steady rate, however long they take."""
    import rclpy
    from rclpy.qos import HistoryPolicy, QoSProfile
    from sensor_msgs.msg import Image

    from difiisr_ros.ros.conversions import array_to_image
    from difiisr_ros.scene.street import SyntheticScene

    rclpy.init()
    node = rclpy.create_node("camera")
    qos = QoSProfile(history=HistoryPolicy.KEEP_ALL) if options.frames else QoSProfile(depth=5)
    publisher = node.create_publisher(Image, "image_raw", qos)
    scene = SyntheticScene(width=options.width, height=options.height, seed=0)
    messages = [array_to_image(scene.frame(i)[0], "mono16") for i in range(8)]
    while publisher.get_subscription_count() == 0:
        time.sleep(0.05)
    time.sleep(1.0)
    begin = time.monotonic()
    number = 0
    while number < (options.frames or float("inf")):
        message = messages[number % len(messages)]
        message.header.stamp.sec = number
        publisher.publish(message)
        number += 1
        time.sleep(max(0.0, begin + number / options.rate - time.monotonic()))
    signal.pause()  # what is on its way needs the publisher, which is ended from outside


class Run:
    """A node with these parameters, a camera that it listens to, and this process beside them."""

    def __init__(self, width: int, height: int, rate: float, frames: int = 0, **parameters: Any):
        self._camera = ["--width", width, "--height", height, "--rate", rate, "--frames", frames]
        self._parameters = parameters

    def __enter__(self) -> Run:
        import rclpy
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.executors import SingleThreadedExecutor
        from rclpy.qos import QoSProfile
        from sensor_msgs.msg import Image

        environment = {
            **os.environ,
            "ROS_DOMAIN_ID": str(random.randint(1, 101)),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
        }
        os.environ.update(environment)
        settings = [f"{name}:={value}" for name, value in self._parameters.items()]
        command = [sys.executable, "-m", "difiisr_ros.ros.main", "--ros-args"]
        for setting in settings:
            command += ["-p", setting]
        self.node_process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        self._context = rclpy.Context()
        self._context.init(domain_id=int(environment["ROS_DOMAIN_ID"]))
        self.node = rclpy.create_node("operator", context=self._context)
        self.values: dict[str, str] = {}
        self.received = 0
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.node.create_subscription(
            Image, "sr/image_raw", self._on_result, QoSProfile(depth=50), raw=True
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()
        self.wait(lambda: self.values.get("lifecycle state") == "active")
        script = [sys.executable, __file__, "--role", "publish", *map(str, self._camera)]
        self._camera_process = subprocess.Popen(script, env=environment)
        self.wait(lambda: self.number("frames published") > 0)
        return self

    def __exit__(self, *error: object) -> None:
        self._camera_process.kill()
        self._camera_process.wait()
        self.node_process.send_signal(signal.SIGINT)
        self.node_process.wait(20)
        self._stop.set()
        self._thread.join()
        self._executor.shutdown()
        self.node.destroy_node()
        self._context.try_shutdown()

    def _spin(self) -> None:
        while not self._stop.is_set():
            self._executor.spin_once(timeout_sec=0.1)

    def _on_diagnostics(self, message: Any) -> None:
        for status in message.status:
            self.values.update({entry.key: entry.value for entry in status.values})

    def _on_result(self, data: bytes) -> None:
        self.received += 1

    @staticmethod
    def wait(condition: Any, seconds: float = 60.0) -> None:
        """Until it is true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise SystemExit("the node or the camera did not start within a minute")
            time.sleep(0.05)

    def number(self, key: str) -> float:
        """A value of the node's diagnostics."""
        return float(self.values.get(key, "nan").replace("nan", "0"))

    def rolling(self, name: str) -> dict[str, float]:
        """p50, p95, p99 in ms of the last 300 frames, as the node says."""
        return {p: self.number(f"{name} {p} (ms)") for p in ("p50", "p95", "p99")}

    def megabytes(self) -> float:
        """The node's resident memory."""
        pages = Path(f"/proc/{self.node_process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def overhead(seconds: float) -> dict[str, Any]:
    """160x120 at 30 Hz, without a model and with the embedded one."""
    results = {}
    for name, backend in (("bicubic", "bicubic"), ("lite", "auto")):
        with Run(160, 120, 30.0, backend=backend) as run:
            time.sleep(SETTLE + max(seconds, 10.0))  # the node keeps the last 10 s
            kinds = ("overhead", "upscale", "latency")
            results[name] = {kind: run.rolling(kind) for kind in kinds}
        p = results[name]
        print(
            f"overhead    {name:8} p50 {p['overhead']['p50']:.2f} ms, "
            f"p99 {p['overhead']['p99']:.2f} ms; upscale p50 {p['upscale']['p50']:.2f} ms"
        )
    return results


def parameters(seconds: float) -> dict[str, Any]:
    """Round trips of set_parameters from another process, one after the other."""
    from rcl_interfaces.srv import SetParameters
    from rclpy.parameter import Parameter

    with Run(640, 512, 60.0, backend="auto") as run:
        client = run.node.create_client(SetParameters, f"/{NAME}/set_parameters")
        client.wait_for_service()
        time.sleep(SETTLE)
        durations = []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answered = threading.Event()
            wanted = Parameter("seed", value=len(durations)).to_parameter_msg()
            begin = time.monotonic()
            future = client.call_async(SetParameters.Request(parameters=[wanted]))
            future.add_done_callback(lambda _, answered=answered: answered.set())
            if not answered.wait(20) or not future.result().results[0].successful:
                raise SystemExit("a parameter was not set")
            durations.append(1e3 * (time.monotonic() - begin))
            time.sleep(0.02)
        p, upscale = percentiles(durations), run.rolling("upscale")
    print(
        f"parameters  p50 {p['p50']:.1f} ms, p99 {p['p99']:.1f} ms, slowest {max(durations):.1f} "
        f"ms of {len(durations)}, while a frame takes {upscale['p50']:.0f} ms"
    )
    return {"round_trip_ms": p, "calls": len(durations), "upscale_ms": upscale}


def overload(seconds: float) -> dict[str, Any]:
    """640x512 at 30 Hz: more than three times what a CPU of a few cores can do."""
    rate = 30.0
    with Run(640, 512, rate, backend="auto") as run:
        time.sleep(SETTLE)
        megabytes = run.megabytes()
        time.sleep(seconds)
        age, upscale, grown = run.rolling("latency"), run.rolling("upscale"), run.megabytes()
        share = run.number("frames displaced by newer ones") / run.number("frames received")
    bound = 2e3 / rate + upscale["p99"]
    print(
        f"overload    age p50 {age['p50']:.0f} ms, p99 {age['p99']:.0f} ms (two frame times and "
        f"the p99 upscale are {bound:.0f}); {1 / (1 - share):.1f} times the load, "
        f"memory {grown - megabytes:+.1f} MB"
    )
    return {
        "rate": rate,
        "age_ms": age,
        "upscale_ms": upscale,
        "bound_ms": bound,
        "displaced": share,
        "grown_mb": grown - megabytes,
    }


def block(seconds: float) -> dict[str, Any]:
    """300 frames much faster than they can be upscaled."""
    with Run(160, 120, 500.0, frames=300, backend="auto", drop_policy="block") as run:
        Run.wait(lambda: run.received >= 300 or run.number("frames published") >= 300)
        time.sleep(2.0)
        received, published = run.received, int(run.number("frames published"))
    print(f"block       {received} of 300 received, {published} published")
    return {"sent": 300, "published": published, "received": received}


MEASUREMENTS = {f.__name__: f for f in (overhead, parameters, overload, block)}


def main() -> int:
    """Measure and print a line for each figure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--only", choices=MEASUREMENTS, help="measure this alone")
    parser.add_argument("--json", metavar="FILE", help="write the numbers here too")
    parser.add_argument("--role", choices=("publish",), help=argparse.SUPPRESS)
    for name, kind in (("width", int), ("height", int), ("rate", float), ("frames", int)):
        parser.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.role == "publish":
        publish(options)
        return 0
    chosen = [options.only] if options.only else list(MEASUREMENTS)
    results = {name: MEASUREMENTS[name](options.seconds) for name in chosen}
    if options.json:
        Path(options.json).write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
