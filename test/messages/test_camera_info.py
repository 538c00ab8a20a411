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

"""The scaled camera model, checked on images: where a 3-D point lands must be where it is seen."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from difiisr_ros.core.crop import Crop
from difiisr_ros.errors import FrameError, OptionError
from difiisr_ros.messages.camera_info import crop_camera_info, scale_camera_info
from difiisr_ros.pipeline import SuperResolver

WIDTH, HEIGHT, SCALE = 64, 48, 4
POINTS = [(0.0, 0.0, 2.0), (0.3, -0.2, 2.0), (-0.15, 0.11, 1.5), (0.113, 0.217, 3.0)]


def camera(**changes):
    """The fields of a CameraInfo; rectified, the right one of a stereo pair."""
    fields = {
        "width": WIDTH,
        "height": HEIGHT,
        "distortion_model": "plumb_bob",
        "d": [0.1, -0.2, 0.001, 0.002, 0.0],
        "k": [80.0, 0.0, 31.2, 0.0, 82.0, 23.9, 0.0, 0.0, 1.0],
        "r": [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0],
        "p": [80.0, 0.0, 31.2, -9.6, 0.0, 82.0, 23.9, 4.1, 0.0, 0.0, 1.0, 0.0],
        "binning_x": 0,
        "binning_y": 0,
        "roi": SimpleNamespace(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False),
    }
    return SimpleNamespace(**{**fields, **changes})


def project(matrix, point):
    """Pixel coordinates of a 3-D point under a 3x3 or 3x4 matrix."""
    rows = np.asarray(matrix, float).reshape(3, -1)
    point = np.append(point, 1.0) if rows.shape[1] == 4 else np.asarray(point)
    u, v, w = rows @ point
    return u / w, v / w


def picture_of(u, v, height=HEIGHT, width=WIDTH):
    """A warm spot centred at pixel coordinates (u, v)."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.exp(-((columns - u) ** 2 + (rows - v) ** 2) / (2 * 1.5**2)).astype(np.float32)


def seen_at(picture):
    """Centre of gravity in pixel coordinates."""
    rows, columns = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]]
    return (picture * columns).sum() / picture.sum(), (picture * rows).sum() / picture.sum()


@pytest.fixture(scope="module")
def upscale():
    engine = SuperResolver.load(backend="bicubic", consistency=0)
    return lambda picture: engine.upscale(picture, value_range=(0.0, 1.0))


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("matrix", ["k", "p"])
def test_points_project_to_where_they_are_seen(upscale, point, matrix):
    info = camera()
    large = upscale(picture_of(*project(getattr(info, matrix), point)))
    scaled = scale_camera_info(info, SCALE)
    assert seen_at(large) == pytest.approx(project(getattr(scaled, matrix), point), abs=0.02)


@pytest.mark.parametrize("point", POINTS)
def test_image_proc_convention_is_one_and_a_half_pixels_off(upscale, point):
    """Which is what image_proc's users compare with, and why it is not the default."""
    info = camera()
    large = upscale(picture_of(*project(info.p, point)))
    u, v = project(scale_camera_info(info, SCALE, "image_proc").p, point)
    assert seen_at(large) == pytest.approx((u + 1.5, v + 1.5), abs=0.02)


@pytest.mark.parametrize("point", POINTS)
def test_region_of_interest(upscale, point):
    """The camera sends a crop; K and P are the full image's (REP 104)."""
    roi = SimpleNamespace(x_offset=8, y_offset=4, width=48, height=40, do_rectify=False)
    info = camera(roi=roi)
    u, v = project(info.p, point)
    large = upscale(picture_of(u - 8, v - 4, 40, 48))
    scaled = scale_camera_info(info, SCALE)
    u, v = project(scaled.p, point)
    assert seen_at(large) == pytest.approx(
        (u - scaled.roi.x_offset, v - scaled.roi.y_offset), abs=0.02
    )
    assert (scaled.roi.width, scaled.roi.height) == large.shape[::-1]


@pytest.mark.parametrize("point", POINTS)
def test_binning(upscale, point):
    """The camera sends half the calibrated resolution; the calibration stays the full one's."""
    info = camera(binning_x=2, binning_y=2)

    def binned(u, v):  # a binned pixel's centre lies between those of its parts
        return (u + 0.5) / 2 - 0.5, (v + 0.5) / 2 - 0.5

    large = upscale(picture_of(*binned(*project(info.p, point)), HEIGHT // 2, WIDTH // 2))
    scaled = scale_camera_info(info, SCALE)
    assert seen_at(large) == pytest.approx(binned(*project(scaled.p, point)), abs=0.03)
    assert (scaled.binning_x, scaled.binning_y) == (2, 2)


def test_the_baseline_of_a_stereo_pair_survives():
    """Tx = -fx B, Ty = -fy B: the distances in metres must not change."""
    info, scaled = camera(), scale_camera_info(camera(), SCALE)
    assert -scaled.p[3] / scaled.p[0] == pytest.approx(-info.p[3] / info.p[0])
    assert -scaled.p[7] / scaled.p[5] == pytest.approx(-info.p[7] / info.p[5])


def test_lens_and_rectification_stay_and_the_input_is_untouched():
    info = camera()
    scaled = scale_camera_info(info, SCALE)
    assert (scaled.d, scaled.r, scaled.distortion_model) == (info.d, info.r, "plumb_bob")
    assert (scaled.width, scaled.height) == (4 * WIDTH, 4 * HEIGHT)
    assert (scaled.roi.width, scaled.roi.x_offset) == (0, 0)
    assert vars(info).keys() == vars(camera()).keys()
    assert info.k == camera().k
    assert info.p == camera().p


@pytest.mark.parametrize("convention", ["pixel_center", "image_proc"])
def test_an_uncalibrated_camera_stays_uncalibrated(convention):
    info = camera(k=[0.0] * 9, p=[0.0] * 12)
    scaled = scale_camera_info(info, SCALE, convention)
    assert scaled.k == [0.0] * 9
    assert scaled.p == [0.0] * 12
    assert scaled.width == 4 * WIDTH


def test_bags_and_ros_messages_alike():
    stores = pytest.importorskip("rosbags.typesys")
    store = stores.get_typestore(stores.Stores.ROS2_JAZZY)
    kind, roi = (store.types[f"sensor_msgs/msg/{n}"] for n in ("CameraInfo", "RegionOfInterest"))
    header = store.types["std_msgs/msg/Header"]
    time = store.types["builtin_interfaces/msg/Time"]
    fields = vars(camera(roi=roi(0, 0, 0, 0, False)))
    for name in "dkrp":
        fields[name] = np.array(fields[name])
    info = kind(header=header(time(1, 2), "optical"), **fields)
    scaled = scale_camera_info(info, SCALE)
    assert scaled.k.tolist() == scale_camera_info(camera(), SCALE).k
    assert info.k[0] == 80.0
    assert scaled.header == info.header


@pytest.mark.parametrize(
    ("scale", "convention"), [(4, "opencv"), (2.5, "pixel_center"), (0, "image_proc")]
)
def test_unusable_arguments_are_named(scale, convention):
    with pytest.raises(OptionError, match=r"opencv|2\.5|is 0"):
        scale_camera_info(camera(), scale, convention)


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("matrix", ["k", "p"])
def test_points_are_seen_at_their_place_in_what_a_crop_leaves(upscale, point, matrix):
    info, crop = camera(), Crop(top=5, bottom=2, left=7, right=1)
    large = upscale(crop.of(picture_of(*project(getattr(info, matrix), point))))
    scaled = scale_camera_info(info, SCALE, crop=crop)
    assert (scaled.height, scaled.width) == large.shape
    assert seen_at(large) == pytest.approx(project(getattr(scaled, matrix), point), abs=0.05)
    assert (info.width, info.k[2]) == (WIDTH, 31.2)  # the camera's own message stays


def test_a_region_of_interest_is_what_a_crop_makes_smaller():
    roi = SimpleNamespace(x_offset=10, y_offset=20, width=40, height=24, do_rectify=False)
    info = camera(roi=roi, binning_x=2, binning_y=2)
    found = crop_camera_info(info, Crop(top=3, bottom=1, left=2, right=4))
    assert (found.roi.x_offset, found.roi.y_offset) == (14, 26)
    assert (found.roi.width, found.roi.height) == (28, 16)
    assert (found.width, found.height, found.k[2]) == (WIDTH, HEIGHT, 31.2)
    with pytest.raises(FrameError, match=r"40x24 pixels, of which crop \(left 20\) leaves nothing"):
        crop_camera_info(info, Crop(left=20))


def test_an_uncalibrated_camera_is_cropped_without_a_centre():
    info = camera(k=[0.0] * 9, p=[0.0] * 12)
    found = crop_camera_info(info, Crop(top=8))
    assert (found.height, list(found.k), list(found.p)) == (HEIGHT - 8, [0.0] * 9, [0.0] * 12)
