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

"""A bag's results of other sizes: their camera_info, also before its image, and temperatures."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")

from rosbags.rosbag2 import StoragePlugin, Writer

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.commands.upscale_bag import upscale_bag
from difiisr_ros.io.bags import CAMERA_INFO, IMAGE, BagReader
from difiisr_ros.messages.camera_info import result_camera_info
from support.bag_messages import STORE, camera_info, header, image

HEIGHT, WIDTH = 12, 16


def frame(i):
    return (29000 + 100 * i + np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)).astype(np.uint16)


def record(path, broken=0):
    """A camera whose camera_info comes first, and whose first images may be broken."""
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        kinds = {"/cam/camera_info": CAMERA_INFO, "/cam/image_raw": IMAGE}
        added = {t: writer.add_connection(t, kind, typestore=STORE) for t, kind in kinds.items()}
        for i in range(3):
            t = 10**18 + i * 10**8
            wrong = {"encoding": "thermal14"} if i < broken else {}
            picture = frame(i)
            picture[2, 3] = 0
            for topic, message in (
                ("/cam/camera_info", camera_info(header(t), 99, 77)),  # not the image's size
                ("/cam/image_raw", image(header(t), picture, **wrong)),
            ):
                writer.write(added[topic], t, STORE.serialize_cdr(message, kinds[topic]))
    return path


class Outcome(SimpleNamespace):
    """Counts, and keeps what failed."""

    def __init__(self):
        super().__init__(done=0, failed=[], notices=[])

    def fail(self, name, error):
        self.failed.append(str(error))

    def notice(self, sentence):
        self.notices.append(sentence)

    def leave_out(self, name, what):
        pass


def upscaled(source, target, resolver, **how):
    """The results, and their camera_info."""
    outcome = Outcome()
    upscale_bag(source, target, resolver, outcome, **how)
    with BagReader(target) as reader:
        frames = [np.array(r.frame) for r in reader.read_images("/cam/sr/image_raw")]
        raw = reader.read_raw(["/cam/sr/camera_info"])
        infos = [reader.deserialize(connection, data) for connection, _, data in raw]
    return frames, infos, outcome


@pytest.mark.parametrize("broken", [0, 1])
@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"scale": 2}, (24, 32)),
        ({"output_size": (40, 50), "output_fit": "letterbox"}, (50, 40)),
        ({"output_size": (40, 50)}, (50, 40)),
    ],
)
def test_camera_info_is_of_the_results_size(tmp_path, options, shape, broken):
    crop = CameraProfile(crop="top 2")
    resolver = SuperResolver.load(backend="bicubic", camera=crop, **options)
    source = record(tmp_path / "in", broken)
    frames, infos, outcome = upscaled(source, tmp_path / "out", resolver)
    assert (len(frames), len(infos), outcome.done) == (3 - broken, 3, 3 - broken)
    shape = (20, 32) if "scale" in options else shape
    assert {f.shape for f in frames} == {shape}
    geometry = resolver.geometry(HEIGHT - 2, WIDTH)
    expected = result_camera_info(camera_info(header(), 99, 77), geometry, crop=crop.crop)
    for info in infos:
        assert (info.width, info.height) == (expected.width, expected.height)
        np.testing.assert_allclose(info.k, expected.k)
        np.testing.assert_allclose(info.p, expected.p)


def test_a_region_that_reaches_beyond_the_frames_is_said_once(tmp_path):
    resolver = SuperResolver.load(backend="bicubic", scale=1, roi=(10, 2, 9, 4))
    frames, _, outcome = upscaled(record(tmp_path / "in"), tmp_path / "out", resolver)
    assert {f.shape for f in frames} == {(4, 6)}
    (notice,) = (words for words in outcome.notices if "clipped" in words)
    assert notice.startswith("/cam/image_raw: the region 9x4 at (10, 2) is clipped to 6x4")


def test_missing_pixels_of_temperatures_are_where_they_lie(tmp_path):
    camera = CameraProfile(missing=0, kelvin_per_count=0.01)
    how = {"output_size": (32, 36), "output_fit": "letterbox"}
    resolver = SuperResolver.load(backend="bicubic", camera=camera, **how)
    frames, _, _ = upscaled(record(tmp_path / "in"), tmp_path / "out", resolver, unit="kelvin")
    gone = np.zeros((36, 32), bool)
    gone[6 + 4 : 6 + 6, 6:8] = True
    for result in frames:
        np.testing.assert_array_equal(np.isnan(result), gone)
