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

"""`difiisr upscale` on frames that are not all measurement: declared, and noticed."""

from __future__ import annotations

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from difiisr_ros import CameraProfile, SuperResolver
from difiisr_ros.cli import main
from difiisr_ros.core.bad_pixels import write_bad_pixels
from difiisr_ros.io.images import read_image, write_image
from support.frames import street

tifffile = pytest.importorskip("tifffile")

FRAME = street().frame(0)[0][:48, :64].copy()
WORDS = np.random.default_rng(0).integers(0, 65536, (2, 64)).astype(np.uint16)
HOLES = np.zeros(FRAME.shape, bool)
HOLES[5, 6] = HOLES[20:22, 30] = HOLES[47, 63] = True


@pytest.fixture(scope="module")
def upscaled():
    with_ = SuperResolver.load(backend="bicubic")
    yield with_.upscale
    with_.close()


def run(*arguments):
    return main(["upscale", *map(str, arguments), "--backend", "bicubic"])


def with_holes(value, dtype=np.uint16, picture=FRAME):
    frame = picture.astype(dtype)
    frame[HOLES] = value
    return frame


def test_missing_values_come_back_and_change_nothing_else(tmp_path, upscaled):
    write_image(tmp_path / "a.png", with_holes(0))
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--missing", "0") == 0
    expected = upscaled(with_holes(0), camera=CameraProfile(missing=0))
    result = read_image(tmp_path / "b.png")
    np.testing.assert_array_equal(result, expected)
    assert (result[np.kron(HOLES, np.ones((4, 4))) > 0] == 0).all()
    assert result[result > 0].min() > FRAME.min() - 100


def test_a_crop_gives_the_result_of_the_cropped_frame(tmp_path, upscaled):
    write_image(tmp_path / "a.png", np.vstack([FRAME, WORDS]))
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--crop", "0,2,0,0") == 0
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), upscaled(FRAME))


def test_bad_pixels_come_back_interpolated(tmp_path, upscaled):
    write_bad_pixels(tmp_path / "bad.png", HOLES)
    write_image(tmp_path / "a.png", with_holes(65535))
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--bad-pixels", tmp_path / "bad.png") == 0
    result = read_image(tmp_path / "b.png").astype(int)
    assert abs(result - upscaled(FRAME).astype(int)).max() < np.ptp(FRAME)
    assert result.max() < 40_000


@pytest.mark.parametrize("how", ["--byte-order", "profile"])
def test_the_byte_order_that_was_asked_for(tmp_path, upscaled, how, capsys):
    write_image(tmp_path / "a.png", FRAME.byteswap())
    (tmp_path / "camera.yaml").write_text("byte_order: little\n")
    more = ["--camera", tmp_path / "camera.yaml"] if how == "profile" else [how, "little"]
    assert run(tmp_path / "a.png", tmp_path / "b.png", *more) == 0
    np.testing.assert_array_equal(read_image(tmp_path / "b.png"), upscaled(FRAME))
    assert "look swapped" not in capsys.readouterr().err


def geotiff(path, image, nodata):
    scale = (33550, 12, 3, (2.0, 2.0, 0.0), True)
    tie = (33922, 12, 6, (0.0, 0.0, 0.0, 500000.0, 4600000.0, 0.0), True)
    tifffile.imwrite(
        path, image, metadata=None, extratags=[(42113, 2, 0, str(nodata), True), scale, tie]
    )


def test_gdals_nodata_and_missing_are_one_thing(tmp_path, upscaled):
    frame = with_holes(0)
    frame[5, 6] = 1
    geotiff(tmp_path / "a.tif", frame, 0)
    assert run(tmp_path / "a.tif", tmp_path / "b.tif", "--missing", "1") == 0
    expected = upscaled(frame, camera=CameraProfile(missing=[0, 1]))
    result = tifffile.imread(tmp_path / "b.tif")
    np.testing.assert_array_equal(result, expected)
    assert (result[20:24, 24:28] == 1).all() and (result[188:, 252:] == 0).all()


def test_a_geotiff_keeps_its_place_when_it_is_cropped(tmp_path):
    geotiff(tmp_path / "a.tif", FRAME, -1)
    assert run(tmp_path / "a.tif", tmp_path / "b.tif", "--crop", "3,0,5,0") == 0
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        tie = tiff.pages[0].tags[33922].value
    # The first pixel that is left lay at (5, 3): what lay at (0, 0) is as far outside now.
    assert tie[:2] == (-20.0, -12.0) and tie[3:5] == (500000.0, 4600000.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("nodata", [-9999.0, -3.4e38, -3.4028234663852886e38])
def test_nodata_of_a_float_geotiff_is_as_if_it_was_not_there(tmp_path, upscaled, nodata):
    kelvin = (FRAME / 100).astype(np.float32)
    geotiff(tmp_path / "a.tif", with_holes(nodata, np.float32, kelvin), nodata)
    assert run(tmp_path / "a.tif", tmp_path / "b.tif") == 0
    result = tifffile.imread(tmp_path / "b.tif")
    holes = np.kron(HOLES, np.ones((4, 4))) > 0
    away = cv2.dilate(holes.astype(np.uint8), np.ones((25, 25), np.uint8)) == 0
    assert (result[holes] == np.float32(nodata)).all() and np.isfinite(result).all()
    assert abs(result - upscaled(kelvin))[away].max() < 0.02


def test_pages_without_any_measurement_stay_as_they_are(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([FRAME, np.zeros_like(FRAME)]))
    assert run(tmp_path / "a.tif", tmp_path / "b.tif", "--missing", "0") == 0
    first, second = tifffile.imread(tmp_path / "b.tif")
    assert first.min() > 0 and not second.any()


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        (np.vstack([FRAME, WORDS]), "crop (bottom 2) leaves them out"),
        (with_holes(0), "missing (0)"),
        (FRAME.byteswap(), "byte_order: little"),
    ],
    ids=["telemetry", "zeros", "swapped"],
)
def test_what_nobody_declared_is_named_once(tmp_path, image, cause, caplog):
    (tmp_path / "in").mkdir()
    for name in ("a", "b", "c"):
        write_image(tmp_path / "in" / f"{name}.png", FRAME if name == "a" else image)
    assert run(tmp_path / "in", tmp_path / "out", "--json", tmp_path / "done.json") == 0
    said = [r.getMessage() for r in caplog.records if cause in r.getMessage()]
    assert len(said) == 1 and "b.png" in said[0]
    assert json.loads((tmp_path / "done.json").read_text())["notices"] == said


def test_nothing_is_named_of_frames_as_they_should_be(tmp_path):
    write_image(tmp_path / "a.png", FRAME)
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--json", tmp_path / "done.json") == 0
    assert json.loads((tmp_path / "done.json").read_text())["notices"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--crop", "1,2"), "crop must have whole numbers"),
        (("--crop", "40,8,0,0"), "leaves nothing of a frame of 64x48"),
        (("--missing", "none"), "missing must be numbers"),
        (("--bad-pixels", "nowhere.png"), "nowhere.png: the bad pixels cannot be read"),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path, arguments, words, capsys):
    write_image(tmp_path / "a.png", FRAME)
    assert run(tmp_path / "a.png", tmp_path / "b.png", *arguments) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "b.png").exists()


def bag(path, frame, is_bigendian=0):
    """A bag of four messages and their camera_info."""
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from rosbags.typesys import Stores, get_typestore

    from difiisr_ros.io.bags import CAMERA_INFO, IMAGE, BagWriter

    types = get_typestore(Stores.ROS2_JAZZY).types
    height, width = frame.shape
    with BagWriter(path) as writer:
        for i in range(4):
            stamp = types["builtin_interfaces/msg/Time"](i + 1, 0)
            header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="a")
            info = types[CAMERA_INFO](
                header=header, height=height, width=width, distortion_model="plumb_bob",
                d=np.zeros(5), k=np.array([60.0, 0, 31.5, 0, 60, 23.5, 0, 0, 1]),
                r=np.eye(3).ravel(), p=np.array([60.0, 0, 31.5, 0, 0, 60, 23.5, 0, 0, 0, 1, 0]),
                binning_x=0, binning_y=0,
                roi=types["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False),
            )  # fmt: skip
            image = types[IMAGE](
                header=header, height=height, width=width, encoding="mono16",
                is_bigendian=is_bigendian, step=2 * width, data=frame.view(np.uint8).ravel(),
            )  # fmt: skip
            writer.write("/cam/image_raw", IMAGE, 10**9 * (i + 1), image)
            writer.write("/cam/camera_info", CAMERA_INFO, 10**9 * (i + 1), info)
    return path


def results_of(path):
    """Frames and camera_info of a bag's results."""
    from difiisr_ros.io.bags import BagReader

    with BagReader(path) as reader:
        frames = [np.array(r.frame) for r in reader.read_images("/cam/sr/image_raw")]
        infos = [
            reader.deserialize(c, data) for c, _, data in reader.read_raw(["/cam/sr/camera_info"])
        ]
    return SimpleNamespace(frames=frames, infos=infos)


def test_a_bag_is_cropped_with_its_camera_info(tmp_path, upscaled):
    source = bag(tmp_path / "in", np.pad(np.vstack([WORDS, FRAME]), ((0, 0), (3, 0))))
    assert run(source, tmp_path / "out", "--crop", "2,0,3,0") == 0
    found = results_of(tmp_path / "out")
    assert len(found.frames) == len(found.infos) == 4
    for frame, info in zip(found.frames, found.infos):
        np.testing.assert_array_equal(frame, upscaled(FRAME))
        assert (info.width, info.height) == (256, 192)
        assert (info.k[2], info.k[5]) == (4 * 29.0 - 0.5, 4 * 22.0 - 0.5)


def test_a_bag_whose_messages_lie_about_their_bytes(tmp_path, upscaled, caplog):
    source = bag(tmp_path / "in", FRAME, is_bigendian=1)
    assert run(source, tmp_path / "out") == 0
    said = [r.getMessage() for r in caplog.records if "look swapped" in r.getMessage()]
    assert len(said) == 1 and "/cam/image_raw" in said[0] and "byte_order: little" in said[0]
    assert run(source, tmp_path / "right", "--byte-order", "little") == 0
    np.testing.assert_array_equal(results_of(tmp_path / "right").frames[0], upscaled(FRAME))


def test_zeros_of_a_bag_are_named_and_can_be_declared(tmp_path, upscaled, caplog):
    source = bag(tmp_path / "in", with_holes(0))
    assert run(source, tmp_path / "out") == 0
    assert sum("missing (0)" in r.getMessage() for r in caplog.records) == 1
    caplog.clear()
    assert run(source, tmp_path / "right", "--missing", "0") == 0
    assert not caplog.records
    expected = upscaled(with_holes(0), camera=CameraProfile(missing=0))
    np.testing.assert_array_equal(results_of(tmp_path / "right").frames[0], expected)
