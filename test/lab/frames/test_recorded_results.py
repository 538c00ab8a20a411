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

"""A recording as a method: what is played is what is scored, and results find their frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")


from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.errors import DataError
from difiisr_ros.io.bags import CAMERA_INFO, BagReader, BagWriter
from difiisr_ros.io.images import write_image
from difiisr_ros.lab.frames.degrade import degrade_bicubic
from difiisr_ros.lab.frames.open_streams import open_streams
from difiisr_ros.lab.frames.recorded import RecordedResults
from difiisr_ros.lab.frames.replay_input import write_lr
from difiisr_ros.lab.frames.streams import StreamOptions
from difiisr_ros.messages.camera_info import scale_camera_info
from support.bag_messages import camera_info, header

T0 = 1_700_000_000_123_456_789
MS = 10**6


def scene(i, shape=(64, 96)):
    noise = np.random.default_rng(i).normal(size=shape).astype(np.float32)
    return (30000 + 400 * cv2.GaussianBlur(noise, (0, 0), 2.0)).astype(np.uint16)


def info():
    return camera_info(header(T0), 96, 64, focal=90.0, roi=(8, 4, 32, 64, False))


def write_recording(path, stamps, latency_ms=20, order=None, topic="/replay/sr/image_raw"):
    """What sr_monitor_node leaves of frames with these stamps."""
    with BagWriter(path) as writer:
        events = []
        for i, stamp in enumerate(stamps):
            sent = T0 + 10**12 + i * 100 * MS
            events.append((sent, "/replay/image_raw", scene(i, (16, 24)), stamp))
            events.append((sent + latency_ms * MS, topic, scene(i), stamp))
        for time, name, frame, stamp in events if order is None else [events[i] for i in order]:
            writer.write_image(name, time, frame, header(stamp))
    return path


@pytest.fixture
def bag(tmp_path):
    with BagWriter(tmp_path / "bag") as writer:
        for i in range(6):
            t = T0 + i * 100 * MS
            writer.write("/cam/camera_info", CAMERA_INFO, t, info())
            writer.write_image("/cam/image_raw", t + 3, scene(i), header(t))
    return tmp_path / "bag"


def test_what_is_played_is_what_is_scored(tmp_path, bag):
    options = StreamOptions(every=2, start_s=0.05)
    line = write_lr(open_streams([bag], options), tmp_path / "input")
    assert "3 frames" in line
    samples = [s for stream in open_streams([bag], options) for s in stream.samples()]
    with BagReader(tmp_path / "input") as reader:
        records = list(reader.read_images())
        recorded = reader.first_camera_info("/cam/camera_info")
    assert len(records) == len(samples) == 3
    for record, sample in zip(records, samples):
        np.testing.assert_array_equal(record.frame, sample.lr)
        stamp = record.message.header.stamp
        assert stamp.sec * 10**9 + stamp.nanosec == sample.stamp_ns
        assert record.log_time_ns == sample.log_time_ns
        assert (record.topic, record.message.header.frame_id) == ("/cam/image_raw", "flir")
    # The node makes the camera's own calibration of it again.
    assert (recorded.width, recorded.height) == (24, 16)
    back, original = scale_camera_info(recorded, 4), info()
    np.testing.assert_allclose(back.k, original.k)
    np.testing.assert_allclose(back.p, original.p)
    roi = (back.roi.x_offset, back.roi.y_offset, back.roi.width, back.roi.height)
    assert roi == (8, 4, 64, 32)


@pytest.mark.parametrize("no_reference", [False, True])
def test_what_is_played_has_been_cropped_once(tmp_path, bag, no_reference):
    camera = CameraProfile(crop=(8, 8, 16, 0), missing=0)
    options = StreamOptions(no_reference=no_reference, pixels=camera, degradation="reduced")
    line = write_lr(open_streams([bag], options), tmp_path / "input", camera)
    assert "play it into a node that has none of these" in line
    with BagReader(tmp_path / "input") as reader:
        played = np.array(next(reader.read_images()).frame)
        recorded = reader.first_camera_info("/cam/camera_info")
    picture = scene(0)[8:-8, 16:]
    expected = picture if no_reference else degrade_bicubic(picture)
    np.testing.assert_array_equal(played, expected)
    # Of the region, which describes the image, the crop takes its part.
    assert recorded.roi.x_offset == (24 if no_reference else 6)
    resolver = SuperResolver.load(backend="bicubic", camera=camera.of_the_scene())
    assert resolver.upscale(played).shape == tuple(4 * side for side in expected.shape)


def test_without_reference_the_frames_are_played_as_they_are(tmp_path, bag):
    write_lr(open_streams([bag], StreamOptions(no_reference=True)), tmp_path / "input")
    with BagReader(tmp_path / "input") as reader:
        np.testing.assert_array_equal(next(reader.read_images()).frame, scene(0))
        assert reader.first_camera_info("/cam/camera_info").width == 96


def test_what_cannot_be_played_is_refused_and_leaves_nothing(tmp_path, bag):
    with BagWriter(tmp_path / "twice") as writer:
        for i in range(3):
            writer.write_image("/cam/image_raw", T0 + i, scene(i), header(T0 + i // 2))
            writer.write_image("/two/image_raw", T0 + i, scene(i), header(T0 + i))
    (tmp_path / "folder").mkdir()
    write_image(tmp_path / "folder" / "a.png", scene(0))
    one = StreamOptions(topics=("/cam/image_raw",))
    for streams, said in (
        (open_streams([tmp_path / "twice"], one), "have the same stamp"),
        (open_streams([tmp_path / "twice"], StreamOptions()), "choose a topic"),
        (open_streams([tmp_path / "folder"], StreamOptions()), "no stamps"),
    ):
        with pytest.raises(DataError, match=said):
            write_lr(streams, tmp_path / "input")
    assert not (tmp_path / "input").exists()


def test_results_are_found_by_stamp_with_their_latency(tmp_path):
    stamps = [T0 + i for i in range(5)]
    recorded = RecordedResults(write_recording(tmp_path / "rec", stamps))
    assert recorded.topic == "/replay/sr/image_raw"
    assert recorded.milliseconds(stamps[0]) is None  # not read yet
    for i, stamp in enumerate(stamps):
        np.testing.assert_array_equal(recorded.result(stamp), scene(i))
        assert recorded.result(stamp) is recorded.result(stamp)
        assert recorded.milliseconds(stamp) == 20.0
    # Once more, for a report's pictures.
    for i in (1, 4, 0):
        np.testing.assert_array_equal(recorded.result(stamps[i]), scene(i))
    recorded.close()


def test_results_may_come_in_another_order_and_frames_may_be_left_out(tmp_path):
    stamps = [T0 + i for i in range(5)]
    order = [0, 2, 3, 1, 4, 5, 6, 8, 9, 7]  # events: frame, result, frame, result ...
    recorded = RecordedResults(write_recording(tmp_path / "rec", stamps, order=order))
    for i in (0, 2, 1, 4):
        np.testing.assert_array_equal(recorded.result(stamps[i]), scene(i))
    recorded.close()


def test_a_missing_result_is_named(tmp_path):
    recorded = RecordedResults(write_recording(tmp_path / "rec", [T0, T0 + 2]))
    with pytest.raises(DataError, match=f"rec: has no result .* with stamp {T0 + 1} ns"):
        recorded.result(T0 + 1)
    np.testing.assert_array_equal(recorded.result(T0 + 2), scene(1))  # others are still found
    recorded.close()


def test_a_recording_without_its_frames_has_no_latency(tmp_path):
    with BagWriter(tmp_path / "rec") as writer:
        writer.write_image("/sr/image_raw", T0, scene(0), header(T0))
    recorded = RecordedResults(tmp_path / "rec")
    recorded.result(T0)
    assert recorded.milliseconds(T0) is None
    recorded.close()


def test_the_topic_can_be_chosen_and_must_be_clear(tmp_path):
    with BagWriter(tmp_path / "rec") as writer:
        for topic in ("/a/sr/image_raw", "/b/sr/image_raw", "/a/image_raw"):
            writer.write_image(topic, T0, scene(0), header(T0))
    with pytest.raises(DataError, match=r"/a/sr/image_raw, /b/sr/image_raw.*after a colon"):
        RecordedResults(tmp_path / "rec")
    with pytest.raises(DataError, match="has no images on /c"):
        RecordedResults(tmp_path / "rec", "/c")
    RecordedResults(tmp_path / "rec", "/b/sr/image_raw").close()
