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

"""What SuperResolver is called with: what serves, and what is refused by name."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from difiisr_ros import CameraProfile, Region, StreamMemory, SuperResolver
from difiisr_ros.errors import DataError, FrameError, ModelError, OptionError
from difiisr_ros.models.model_files import EMBEDDED, WEIGHTS
from difiisr_ros.stream_memory import MemoryOptions
from support.frames import smooth_frame


@pytest.fixture(scope="module")
def bicubic():
    return SuperResolver.load(backend="bicubic")


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_arrays_of_other_classes_give_the_same_plain_result(bicubic, dtype):
    frame = smooth_frame(dtype)
    expected = bicubic.upscale(frame)
    for other in (np.asmatrix(frame), np.ma.masked_array(frame)):
        (result,) = bicubic.upscale_batch([other])
        assert type(result) is np.ndarray
        assert result.tobytes() == expected.tobytes()


def test_a_masked_frame_is_refused_and_does_what_its_message_says(bicubic):
    frame = np.ma.masked_array(smooth_frame(np.float32), False)
    frame[5, 6] = np.ma.masked
    with pytest.raises(FrameError, match="hides 1 of its pixels"):
        bicubic.upscale(frame)
    result = bicubic.upscale(frame.data, missing=np.ma.getmaskarray(frame))
    assert (result[20:24, 24:28] == frame.data[5, 6]).all()


def test_a_camera_is_named_as_at_load(bicubic, tmp_path):
    profile = CameraProfile(noise=7.0, missing="29000", crop="0,2,0,0")
    profile.write(tmp_path / "camera.yaml")
    frame = smooth_frame()
    expected = bicubic.upscale(frame, camera=profile)
    for path in (tmp_path / "camera.yaml", str(tmp_path / "camera.yaml")):
        assert bicubic.upscale(frame, camera=path).tobytes() == expected.tobytes()
    bicubic.upscale(frame, camera="auto")
    assert bicubic.measurements[0].camera == CameraProfile(source="auto")
    bicubic.remember(frame, StreamMemory(), camera="reduced")
    with pytest.raises(DataError, match=r"nowhere\.yaml"):
        bicubic.upscale(frame, camera="nowhere.yaml")


@pytest.mark.parametrize("kind", [tuple, list, np.array])
def test_a_region_may_be_four_integers(bicubic, kind):
    frame, numbers = smooth_frame(), kind((np.int64(4), 2, 10, 8))
    region = Region(4, 2, 10, 8)
    expected = bicubic.upscale(frame, region=region)
    assert bicubic.upscale(frame, region=numbers).tobytes() == expected.tobytes()
    assert bicubic.view(24, 32, numbers) == bicubic.view(24, 32, region)
    bicubic.warmup(24, 32, numbers)


def test_numbers_of_numpy_are_sides_ranges_and_regions(bicubic):
    frame = smooth_frame()
    size = bicubic.geometry(np.int64(24), np.uint8(32)).size
    assert size == (128, 96)
    assert {type(side) for side in size} == {int}
    expected = bicubic.upscale(frame, value_range=(29_000.0, 31_000.0))
    for same in ((np.uint16(29_000), 31_000), [29_000, 31_000.0], np.array([29_000, 31_000])):
        assert bicubic.upscale(frame, value_range=same).tobytes() == expected.tobytes()
    assert Region(np.int64(0), np.uint8(1), 2, 3) == Region(0, 1, 2, 3)
    assert type(Region(np.int64(0), 1, 2, 3).x) is int


BAD_RANGE, BAD_REGION = "value_range must be two finite numbers", "a region must be a Region or"
BAD_MASK = "mask of missing pixels is a numpy array of bool"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"camera": {"noise": 1.0}}, OptionError, "camera must be a CameraProfile, the path"),
        ({"camera": 5}, OptionError, "auto or reduced, got 5"),
        ({"region": (0, 0, 10)}, FrameError, BAD_REGION),
        ({"region": 5}, FrameError, BAD_REGION),
        ({"region": np.array(5)}, FrameError, BAD_REGION),
        ({"region": "0,0,10,10"}, FrameError, BAD_REGION),
        ({"region": (0.5, 0, 10, 10)}, FrameError, r"x of a region must be an integer, got 0\.5"),
        ({"region": (0, 0, True, 10)}, FrameError, "width of a region must be an integer"),
        ({"region": (0, 0, 0, 0)}, FrameError, "at least one pixel"),
        ({"missing": 0}, FrameError, f"{BAD_MASK}.* got int"),
        ({"missing": np.zeros((24, 32), np.uint8)}, FrameError, rf"{BAD_MASK}.* uint8 of shape"),
        ({"missing": np.zeros(24, bool)}, FrameError, rf"{BAD_MASK}.* shape \(24,\)"),
        ({"missing": np.zeros((24, 31), bool)}, FrameError, "is 31x24, the camera's frame is"),
        ({"memory": "still"}, OptionError, "memory must be a StreamMemory, .* got 'still'"),
        ({"memory": MemoryOptions()}, OptionError, "memory must be a StreamMemory"),
        ({"value_range": (1, 2, 3)}, OptionError, rf"{BAD_RANGE}.* got \(1, 2, 3\)"),
        ({"value_range": 5}, OptionError, BAD_RANGE),
        ({"value_range": np.array(5)}, OptionError, BAD_RANGE),
        ({"value_range": "ab"}, OptionError, BAD_RANGE),
        ({"value_range": ("a", "b")}, OptionError, BAD_RANGE),
        ({"value_range": (0, np.nan)}, OptionError, BAD_RANGE),
        ({"value_range": (0, True)}, OptionError, BAD_RANGE),
        ({"value_range": (5, 4)}, OptionError, "below range_max"),
    ],
)
def test_what_does_not_serve_is_named_and_changes_no_memory(bicubic, given, error, said):
    memory = StreamMemory(MemoryOptions(noise="running"))
    with pytest.raises(error, match=said):
        bicubic.upscale(smooth_frame(), **{"memory": memory, **given})
    assert vars(memory._noise) == vars(StreamMemory()._noise)
    if not {"region", "value_range"} & set(given):
        with pytest.raises(error, match=said):
            bicubic.remember(smooth_frame(), **{"memory": memory, **given})


def test_a_region_that_is_none_is_refused_when_it_is_made():
    for numbers in ((0.5, 0, 10, 10), (0, 0, "1", 10), (None, 0, 1, 1)):
        with pytest.raises(FrameError, match="of a region must be an integer"):
            Region(*numbers)


def test_remembering_needs_a_memory(bicubic):
    with pytest.raises(OptionError, match="memory must be a StreamMemory, got None"):
        bicubic.remember(smooth_frame(), None)


def test_a_batch_has_one_of_each_for_each_frame(bicubic):
    frames = [smooth_frame(seed=1), smooth_frame(seed=2)]
    for name, one, what in (
        ("value_ranges", (0, 1), "value ranges"),
        ("missing", None, "masks of missing pixels"),
        ("memories", None, "memories"),
    ):
        for wrong in ([], [one], [one] * 3):
            with pytest.raises(FrameError, match=f"2 frames need as many {what}, got {len(wrong)}"):
                bicubic.upscale_batch(frames, **{name: wrong})
        with pytest.raises(FrameError, match=f"{what} are a list, one for each frame, got int"):
            bicubic.upscale_batch(frames, **{name: 5})
    with pytest.raises(FrameError, match="frames are a list, one for each frame, got int"):
        bicubic.upscale_batch(5)
    expected = [bicubic.upscale(frame).tobytes() for frame in frames]
    results = bicubic.upscale_batch(iter(frames), [None, None], missing=(None, None))
    assert [result.tobytes() for result in results] == expected


def test_two_frames_of_a_batch_have_no_memory_in_common(bicubic):
    frames, memory = [smooth_frame(seed=1), smooth_frame(seed=2)], StreamMemory()
    with pytest.raises(FrameError, match="memories must be all different"):
        bicubic.upscale_batch(frames, memories=[memory, memory])
    bicubic.upscale_batch(frames, memories=[None, None])
    bicubic.upscale_batch(frames, memories=[memory, StreamMemory()])


@pytest.mark.parametrize("sides", [(0, 0), (0, 80), (60.5, 80), (60, "80"), (-1, 80), (True, 80)])
def test_sides_that_no_frame_has_are_named(bicubic, sides):
    for ask in (bicubic.geometry, bicubic.view, bicubic.warmup):
        with pytest.raises(FrameError, match="height and width of a frame are whole numbers"):
            ask(*sides)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"camera": None}, "camera must be a CameraProfile, the path of its file, .* got None"),
        ({"camera": {"noise": 1.0}}, "camera must be a CameraProfile"),
        ({"device": 0}, "device must be a text, as 'auto', got 0"),
        ({"device": None, "provider": "cpu"}, "device must be a text"),
        ({"precision": None}, "precision must be a text"),
        ({"provider": 1}, "provider must be a text"),
        ({"backend": None}, "backend must be one of auto, torch"),
        ({"model": None}, "model must be lite or nano, or the path of a file, got None"),
        ({"autoencoder": 3}, "autoencoder must be the path of a file, got 3"),
        ({"engine_file": None}, "engine_file must be the path of a file, got None"),
        ({"num_threads": "a"}, r"num_threads must be an integer in 0\.\.256, got 'a'"),
        ({"num_threads": 1.5}, "num_threads must be an integer"),
        ({"num_threads": None}, "num_threads must be an integer"),
        ({"num_threads": True}, "num_threads must be an integer"),
    ],
)
def test_loading_names_what_is_of_a_wrong_type(given, said):
    with pytest.raises(OptionError, match=said):
        SuperResolver.load(**{"backend": "bicubic", **given})


def test_loading_takes_paths_and_numbers_of_numpy():
    resolver = SuperResolver.load(
        "nano", num_threads=np.int64(1), num_steps=np.int64(1), overshoot=np.float32(0.5)
    )
    assert resolver.options.overshoot == 0.5
    resolver.configure(num_steps=np.int32(1), scale=np.int64(2))
    assert resolver.upscale(smooth_frame()).shape == (48, 64)
    assert resolver.info.model == "nano"


def test_a_model_may_be_a_path_object_also_where_another_backend_runs(monkeypatch, tmp_path):
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path))
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "difiisr_ros.backends.torch_backend", raising=False)
    resolver = SuperResolver.load(WEIGHTS / "nano.safetensors", backend="torch")
    assert "torch is not available" in resolver.info.fallback


@pytest.mark.needs("torch")
def test_a_model_may_be_a_path_object():
    resolver = SuperResolver.load(WEIGHTS / "nano.safetensors", backend="torch")
    assert resolver.info.model == str(WEIGHTS / "nano.safetensors")
    with pytest.raises(ModelError, match="nowhere"):
        SuperResolver.load(WEIGHTS / "nowhere.safetensors")


def test_every_embedded_model_is_named_where_one_is_loaded():
    for model in EMBEDDED:
        assert f"``{model}``" in str(SuperResolver.load.__doc__)
