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

"""Several cameras in one node: each gets its own results, whatever the others do."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from rclpy.parameter import Parameter
from sensor_msgs.msg import CameraInfo, Image

from difiisr_ros import SuperResolver
from difiisr_ros.ros.conversions import array_to_image, image_to_array
from support.node_harness import Graph, scene
from support.waiting import wait_for


class Camera:
    """A publisher of frames, and what comes back."""

    def __init__(self, graph, name):
        self.graph, self.name = graph, name
        self.images, self.infos = [], []
        prefix = f"{name}/" if name else ""
        tester = graph.tester
        self.publisher = tester.create_publisher(Image, prefix + "image_raw", 10)
        self.info_publisher = tester.create_publisher(CameraInfo, prefix + "camera_info", 10)
        graph.subscribe(Image, prefix + "sr/image_raw", self.images)
        graph.subscribe(CameraInfo, prefix + "sr/camera_info", self.infos)

    def matched(self):
        stream = self.graph.node.cameras[self.name]
        for end in (self.publisher, self.info_publisher):
            wait_for(end.get_subscription_count, f"the node subscribes {self.name}")
        wait_for(stream.output_subscribers, f"the results of {self.name} are subscribed")
        tester = self.graph.tester
        for subscription in tester.subscriptions:
            wait_for(lambda s=subscription: tester.count_publishers(s.topic_name), "a publisher")

    def send(self, pixels, stamp, **changes):
        message = array_to_image(pixels)
        message.header.frame_id = self.name or "only"
        message.header.stamp.sec = stamp
        for name, value in changes.items():
            setattr(message, name, value)
        self.publisher.publish(message)

    def stamps(self):
        return [image.header.stamp.sec for image in self.images]

    def answers(self, stamp):
        wait_for(lambda: stamp in self.stamps(), f"the result {stamp} of '{self.name}'")
        return next(image for image in self.images if image.header.stamp.sec == stamp)

    def status(self, task, when=None):
        return self.graph.status(f"{self.name} {task}".strip(), when)


def cameras_of(graph, *names):
    made = [Camera(graph, name) for name in names]
    for camera in made:
        camera.matched()
    return made


class Gate:
    """Holds the worker in its first upscale, until opened; notes the size of every batch."""

    def __init__(self, graph, monkeypatch):
        engine = graph.node._upscaler.engine
        self.held, self.opened, self.batches = threading.Event(), threading.Event(), []
        one, many = engine.upscale, engine.upscale_batch

        def upscale(frame, *args, **kwargs):
            self._pass([frame])
            return one(frame, *args, **kwargs)

        def upscale_batch(frames, *args, **kwargs):
            # SuperResolver.upscale comes through here, too.
            if len(frames) > 1:
                self._pass(frames)
            return many(frames, *args, **kwargs)

        monkeypatch.setattr(engine, "upscale", upscale)
        monkeypatch.setattr(engine, "upscale_batch", upscale_batch)

    def _pass(self, frames):
        self.batches.append(len(frames))
        self.held.set()
        assert self.opened.wait(30)

    def wait_until_held(self):
        assert self.held.wait(30)


def received(graph, name, count):
    statistics = graph.node.cameras[name].statistics
    wait_for(lambda: statistics.snapshot().received == count, f"{count} frames of {name}")


def test_each_camera_gets_its_own_results():
    engine = SuperResolver.load(backend="bicubic")
    with Graph(camera_names=["front", "rear"]) as graph:
        front, rear = cameras_of(graph, "front", "rear")
        frames = {front: scene(24, 32, seed=1), rear: scene(40, 20, np.uint8, seed=2)}
        for stamp in (1, 2):
            for camera, frame in frames.items():
                info = CameraInfo(width=frame.shape[1], height=frame.shape[0])
                info.header.stamp.sec = stamp
                camera.info_publisher.publish(info)
                camera.send(frame, stamp)
            for camera, frame in frames.items():
                result = camera.answers(stamp)
                assert result.header.frame_id == camera.name
                np.testing.assert_array_equal(image_to_array(result), engine.upscale(frame))
        for camera, frame in frames.items():
            assert len(camera.images) == 2
            wait_for(lambda c=camera: c.infos, "a camera_info")
            assert (camera.infos[0].height, camera.infos[0].width) == (
                4 * frame.shape[0],
                4 * frame.shape[1],
            )
            values, _ = camera.status("input", lambda v, s: v["frames received"] == "2")
            assert values["topic"] == f"/{camera.name}/image_raw"
            assert values["camera_info topic"] == f"/{camera.name}/camera_info"
            values, _ = camera.status("inference", lambda v, s: v["frames published"] == "2")
            assert values["topic"] == f"/{camera.name}/sr/image_raw"
        names = {status.name for array in graph.diagnostics for status in array.status}
        assert sum("backend" in name for name in names) == 1
        topics = dict(graph.node.get_topic_names_and_types())
        assert "/image_raw" not in topics and "/sr/image_raw" not in topics


def test_an_empty_name_puts_nothing_in_front():
    with Graph(camera_names=["", "rear"]) as graph:
        for camera in cameras_of(graph, "", "rear"):
            camera.send(scene(), 1)
            camera.answers(1)
        assert graph.node.cameras[""].image_topic == "/image_raw"


def test_frames_that_wait_together_are_one_batch(monkeypatch):
    names = ["a", "b", "c", "d"]
    with Graph(camera_names=names) as graph:
        cameras = cameras_of(graph, *names)
        gate = Gate(graph, monkeypatch)
        cameras[0].send(scene(), 1)
        gate.wait_until_held()
        for i, camera in enumerate(cameras):
            camera.send(scene(seed=i) if i < 3 else scene(20, 20), 2)  # the last is of another size
            received(graph, camera.name, 2 if i == 0 else 1)
        gate.opened.set()
        engine = SuperResolver.load(backend="bicubic")
        for i, camera in enumerate(cameras[:3]):
            result = image_to_array(camera.answers(2))
            np.testing.assert_array_equal(result, engine.upscale(scene(seed=i)))
        assert cameras[3].answers(2).width == 80
        assert gate.batches == [1, 3, 1]


def test_the_noise_of_each_camera_is_its_own(monkeypatch, log):
    """Also of those that were taken together in one batch."""
    noise = {"calm": 2.0, "busy": 40.0}
    with Graph(camera_names=list(noise)) as graph:
        cameras = cameras_of(graph, *noise)
        gate = Gate(graph, monkeypatch)
        frames = {
            name: (scene(96, 128) + np.random.default_rng(1).normal(0, sigma, (96, 128)))
            for name, sigma in noise.items()
        }
        frames = {name: np.rint(frame).astype(np.uint16) for name, frame in frames.items()}
        cameras[0].send(frames["calm"], 1)
        gate.wait_until_held()
        for camera, count in zip(cameras, (2, 1)):
            camera.send(frames[camera.name], 2)
            received(graph, camera.name, count)
        gate.opened.set()
        engine = SuperResolver.load(backend="bicubic")
        for camera in cameras:
            camera.answers(2)
            frame = frames[camera.name]
            engine.upscale(frame)
            (alone,) = engine.measurements
            values, _ = camera.status("inference", lambda v, s: "noise (counts)" in v)
            assert values["noise (counts)"] == f"{alone.noise:.4g}"
            assert values["noise (% of range)"] == f"{100 * alone.noise_share:.2f}"
            assert (values["noise source"], values["blur (camera pixels)"]) == (
                "estimated",
                "unknown",
            )
            assert values["camera profile"] == "auto"
            said = log.wait(f"first frame of /{camera.name}/image_raw")
            assert f"noise of this frame {alone.noise:.3g} counts" in said
        assert gate.batches == [1, 2]
        backend, _ = graph.status("backend")
        assert "noise (counts)" not in backend


def test_a_stalled_camera_does_not_hold_up_the_others():
    with Graph(camera_names=["front", "rear"], stale_after=0.5) as graph:
        front, rear = cameras_of(graph, "front", "rear")
        for stamp in range(30):
            front.send(scene(), stamp)
            front.answers(stamp)
        _, status = rear.status("input", lambda v, s: "no image" in s.message)
        assert status.level == b"\x01"
        assert "/rear/image_raw" in status.message
        front.send(scene(), 99)
        values, _ = front.status("input", lambda v, s: int(v["frames received"]) > 30)
        assert values["frames rejected"] == "0"


def test_a_broken_camera_costs_the_others_nothing():
    with Graph(camera_names=["front", "rear"]) as graph:
        front, rear = cameras_of(graph, "front", "rear")
        for stamp in range(20):
            rear.send(scene(), stamp, encoding="thermal14")
            front.send(scene(), stamp)
            front.answers(stamp)
        values, status = rear.status("input", lambda v, s: s.level == b"\x01")
        assert int(values["rejected: unknown_encoding"]) > 0
        assert "thermal14" in status.message
        assert rear.images == []
        values, _ = front.status("input")
        assert values["frames rejected"] == "0"
        rear.send(scene(), 50)
        rear.answers(50)


@pytest.mark.parametrize("where", ["_decode", "_run", "_publish"])
def test_a_bug_with_one_cameras_frame_costs_the_others_nothing(monkeypatch, log, where):
    names = ["front", "rear"]
    with Graph(camera_names=names) as graph:
        cameras = cameras_of(graph, *names)
        gate = Gate(graph, monkeypatch)
        upscaler = graph.node._upscaler
        real = getattr(upscaler, where)

        def explode(*args):
            # What all three are given tells the camera: it, a batch of its frames, or one frame.
            who = args[0]
            if not isinstance(who, list):
                who = [who]
            if any(getattr(item, "camera", item).name == "rear" for item in who):
                raise ZeroDivisionError("a bug")
            return real(*args)

        cameras[0].send(scene(), 1)
        gate.wait_until_held()
        monkeypatch.setattr(upscaler, where, explode)
        for camera, count in zip(cameras, (2, 1)):
            camera.send(scene(), 2)
            received(graph, camera.name, count)
        gate.opened.set()
        cameras[0].answers(2)
        values, _ = cameras[1].status("input", lambda v, s: v["frames rejected"] == "1")
        assert values["rejected: internal_error"] == "1"
        assert values["last error"] == "ZeroDivisionError: a bug"
        values, _ = cameras[0].status("input")
        assert values["frames rejected"] == "0"
        log.wait("ZeroDivisionError: a bug")
        assert cameras[1].images == []


def test_late_frames_are_counted_for_their_camera(monkeypatch):
    with Graph(camera_names=["front", "rear"], deadline_ms=1.0) as graph:
        front, rear = cameras_of(graph, "front", "rear")
        engine = graph.node._upscaler.engine
        real = engine.upscale
        pause = threading.Event()

        def slow(frame, *args, **kwargs):
            pause.wait(0.02)
            return real(frame, *args, **kwargs)

        monkeypatch.setattr(engine, "upscale", slow)
        front.send(scene(), 1)
        front.answers(1)
        values, _ = front.status("inference", lambda v, s: v["frames published"] == "1")
        assert values["frames published late"] == "1"
        values, _ = rear.status("inference")
        assert values["frames published late"] == "0"


def test_lazy_is_decided_for_each_camera():
    with Graph(camera_names=["front", "rear"], lazy=True) as graph:
        (front,) = cameras_of(graph, "front")
        rear = graph.tester.create_publisher(Image, "rear/image_raw", 10)
        front.send(scene(), 1)
        front.answers(1)
        assert not graph.node.cameras["rear"].subscribed
        assert rear.get_subscription_count() == 0


def test_names_are_checked_and_can_be_corrected(log):
    with Graph(camera_names=["front", "re/ar"], wait_active=False) as graph:
        assert "'re/ar'" in log.wait("configure failed")
        wait_for(lambda: graph.node.state_label == "unconfigured", "it is as it was")
        (result,) = graph.node.set_parameters([Parameter("camera_names", value=["a", "a"])])
        assert not result.successful
        assert "'a' is there twice" in result.reason
        (result,) = graph.node.set_parameters([Parameter("camera_names", value=["a", "b"])])
        assert result.successful, result.reason
        for name in ("configure", "activate"):
            assert graph.transition(name)
        for camera in cameras_of(graph, "a", "b"):
            camera.send(scene(), 1)
            camera.answers(1)
        (result,) = graph.node.set_parameters([Parameter("camera_names", value=["c"])])
        assert not result.successful
        assert "read-only once configured" in result.reason


def test_cameras_that_were_taken_away_leave_no_topic_behind():
    with Graph(camera_names=["a", "b"]) as graph:
        for name in ("deactivate", "cleanup"):
            assert graph.transition(name)
        graph.node.set_parameters([Parameter("camera_names", value=["c"])])
        for name in ("configure", "activate"):
            assert graph.transition(name)
        assert list(graph.node.cameras) == ["c"]
        node = graph.node
        topics = {e.topic_name for e in (*node.publishers, *node.subscriptions)}
        assert {"/c/image_raw", "/c/sr/image_raw"} <= topics
        assert not [topic for topic in topics if topic.startswith(("/a/", "/b/"))]
        assert [n for n in node._parameters if n.startswith("qos_overrides./a/")] == []
        (camera,) = cameras_of(graph, "c")
        camera.send(scene(), 1)
        camera.answers(1)
