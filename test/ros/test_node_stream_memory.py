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

"""``stream.*``: what the node remembers of each camera's frames, and when it forgets them."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from difiisr_ros import StreamMemory, SuperResolver
from difiisr_ros.core.fixed_pattern import FixedPattern
from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.stream import diagnostic_keys as keys
from difiisr_ros.stream_memory import MemoryOptions
from support.frames import smooth_frame
from support.node_harness import Graph
from support.still_stream import still_frames
from support.waiting import wait_for

ON = {"stream.still": "auto", "stream.noise": "running"}
MEMORY = MemoryOptions("auto", "running")


@pytest.fixture(scope="module")
def engine():
    resolver = SuperResolver.load(backend="bicubic")
    yield resolver
    resolver.close()


def offline(engine, frames, memory: StreamMemory | None) -> list[np.ndarray]:
    return [engine.upscale(frame, memory=memory) for frame in frames]


def online(graph, frames, first: int = 1) -> list[np.ndarray]:
    """Results of frames that are sent one after the other, one second apart."""
    got = [graph.roundtrip(frame, stamp=first + i) for i, frame in enumerate(frames)]
    return [image_to_array(message) for message in got]


def assert_same(results, expected):
    assert len(results) == len(expected)
    for number, (result, of_engine) in enumerate(zip(results, expected)):
        np.testing.assert_array_equal(result, of_engine, err_msg=f"frame {number}")


def differ(results, others) -> bool:
    return any((a != b).any() for a, b in zip(results, others))


def test_online_equals_offline_digit_for_digit():
    """Frames wait for each other in a queue; the model also runs again where the target was."""
    frames = still_frames(8)
    resolver = SuperResolver.load("nano", backend="torch", num_threads=1)
    expected = offline(resolver, frames, StreamMemory(MEMORY))
    assert differ(expected[1:], offline(resolver, frames, None)[1:])
    resolver.close()
    how = {"backend": "torch", "model": "nano", "num_threads": 1, "drop_policy": "block"}
    with Graph(**how, **ON, max_pending=16) as graph:
        graph.connect()
        for stamp, frame in enumerate(frames, 1):
            graph.send(frame, stamp=stamp)
        wait_for(lambda: len(graph.images) == len(frames), "all results")
        assert [m.header.stamp.sec for m in graph.images] == list(range(1, 9))
        assert_same(list(map(image_to_array, graph.images)), expected)


def test_off_is_each_frame_by_itself(engine):
    frames = still_frames(4)
    with Graph() as graph:
        graph.connect()
        assert_same(online(graph, frames), offline(engine, frames, None))
        values, _ = graph.status("inference", lambda v, _: keys.STILL_SHARE in v)
        assert values[keys.STILL_SHARE] == "0" and values[keys.FRAMES_AVERAGED] == "1"


def test_diagnostics_say_how_many_frames_are_averaged_where():
    with Graph(**ON) as graph:
        graph.connect()
        online(graph, still_frames(8, target=False))
        values, _ = graph.status("inference", lambda v, _: float(v[keys.FRAMES_AVERAGED]) > 4)
        assert float(values[keys.STILL_SHARE]) > 80


def test_changed_live_it_forgets(engine):
    frames = still_frames(12, target=False)
    still = MemoryOptions("auto")
    with Graph(**{"stream.still": "auto"}) as graph:
        graph.connect()
        results = online(graph, frames[:4])
        for value, part in (("off", slice(4, 8)), ("auto", slice(8, 12))):
            (answer,) = graph.node.set_parameters([Parameter("stream.still", value=value)])
            assert answer.successful
            results += online(graph, frames[part], part.start + 1)
    expected = offline(engine, frames[:4], StreamMemory(still))
    expected += offline(engine, frames[4:8], None)
    expected += offline(engine, frames[8:], StreamMemory(still))  # not those before
    assert_same(results, expected)
    unbroken = offline(engine, frames, StreamMemory(still))
    assert differ(expected[8:], unbroken[8:])


@pytest.mark.parametrize(("name", "value"), [("stream.still", "on"), ("stream.noise", "auto")])
def test_what_is_not_accepted_is_named(name, value):
    with Graph() as graph:
        (answer,) = graph.node.set_parameters([Parameter(name, value=value)])
        assert not answer.successful and name in answer.reason


def test_time_that_goes_back_starts_anew():
    """The same bag again gives the same bytes again."""
    frames = still_frames(5)
    with Graph(**ON) as graph:
        graph.connect()
        first, again = online(graph, frames), online(graph, frames)
        assert_same(again, first)
        later = online(graph, frames, first=100)  # time goes on: those before are remembered
        assert differ(later, first)


@pytest.mark.parametrize("shutter_frames", ["pass", "hold"])
def test_a_closed_shutter_starts_anew(engine, shutter_frames):
    frames = still_frames(9, target=False)
    flat = np.full(frames[0].shape, 40_000, np.uint16)
    with Graph(**ON, shutter_frames=shutter_frames) as graph:
        graph.connect()
        results = online(graph, [*frames[:6], flat, *frames[6:]])
    assert_same(results[:6], offline(engine, frames[:6], StreamMemory(MEMORY)))
    assert_same(results[7:], offline(engine, frames[6:], StreamMemory(MEMORY)))
    shown = results[5] if shutter_frames == "hold" else engine.upscale(flat)
    np.testing.assert_array_equal(results[6], shown)


def test_each_camera_has_its_own_memory(engine):
    """Also where frames of several are upscaled together."""
    frames = {"front": still_frames(5, seed=1), "rear": still_frames(5, seed=2)}
    with Graph(camera_names=list(frames), **ON) as graph:
        publishers, results = {}, {name: [] for name in frames}
        for name in frames:
            topic = f"{name}/image_raw"
            publishers[name] = graph.tester.create_publisher(Image, topic, 10)
            graph.subscribe(Image, f"{name}/sr/image_raw", results[name])
        for name, publisher in publishers.items():
            wait_for(publisher.get_subscription_count, f"the node subscribes {name}")
            wait_for(graph.node.cameras[name].output_subscribers, f"{name} is matched")
        for i in range(5):
            for name, publisher in publishers.items():
                publisher.publish(graph.image(frames[name][i], stamp=i + 1))
            wait_for(lambda n=i + 1: all(len(r) == n for r in results.values()), "results")
        for name, messages in results.items():
            expected = offline(engine, frames[name], StreamMemory(MEMORY))
            assert_same(list(map(image_to_array, messages)), expected)


def panned(count: int) -> list[np.ndarray]:
    """A camera that turns over a scene, with its own fixed pattern and noise."""
    wide = smooth_frame(np.uint16, (200, 400), 21).astype(np.float64) / 8.0
    wide += 300 * np.sin(np.indices(wide.shape)[1] / 5.0) * np.sin(np.indices(wide.shape)[0] / 7.0)
    wide -= wide.min() - 1000
    pattern = 60 * np.random.default_rng(1).standard_normal((60, 80))
    frames = []
    for t in range(count):
        x, y = 3 * t % 300, 20 + t % 80
        noise = 8 * np.random.default_rng([2, t]).standard_normal(pattern.shape)
        frames.append(np.rint(wide[y : y + 60, x : x + 80] + pattern + noise).astype(np.uint16))
    return frames


def test_what_moves_and_what_is_learnt_equals_offline_and_is_kept(engine, tmp_path):
    everything = MemoryOptions("auto", "running", "learn", "on")
    frames = panned(24)
    expected = offline(engine, frames, memory := StreamMemory(everything))
    kept = tmp_path / "pattern.npz"
    how = {**ON, "stream.pattern": "learn", "stream.motion": "on", "stream.pattern_file": str(kept)}
    with Graph(**how) as graph:
        graph.connect()
        assert_same(online(graph, frames), expected)
        values, _ = graph.status("inference", lambda v, _: keys.PATTERN_COUNTS in v)
        assert float(values[keys.PATTERN_COUNTS]) > 5
        assert float(values[keys.FOLLOWED_SHARE]) > 30
        assert not kept.exists()
        graph.node.trigger_deactivate()
        graph.node.trigger_cleanup()
        found = FixedPattern.read(kept)
        np.testing.assert_array_equal(found.offsets, memory.pattern.offsets)
        assert found.frames > 10 and found.date and found.source == "/image_raw"


def test_a_pattern_that_cannot_be_kept_keeps_no_node(tmp_path):
    how = {"stream.pattern": "learn", "stream.pattern_file": str(tmp_path / "no" / "p.npz")}
    with Graph(**how) as graph:
        graph.connect()
        (tmp_path / "no").write_text("a file, no folder")
        online(graph, panned(6))
        graph.node.trigger_deactivate()
        assert graph.node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS


def test_on_and_off_are_words_though_yaml_has_them_as_booleans():
    """``-p stream.motion:=on``, a params file, and ``ros2 param set``."""
    with Graph(**{"stream.motion": True, "stream.still": False}) as graph:
        node = graph.node
        assert node.get_parameter("stream.motion").value == "on"
        assert node.get_parameter("stream.still").value == "off"
        for name, value, word in (
            ("stream.motion", False, "off"),
            ("stream.motion", True, "on"),
            ("stream.pattern", False, "off"),
        ):  # as the service does it
            change = [Parameter(name, value=value)]
            assert node.set_parameters_atomically(change).successful
            assert node.get_parameter(name).value == word
        wrong = node.set_parameters_atomically([Parameter("stream.still", value=True)])
        assert not wrong.successful  # no value of this one
