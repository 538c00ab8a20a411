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

"""SuperResolver: frames in, frames of four times the size out, the same every time."""

from __future__ import annotations

import threading
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from difiisr_ros import CameraProfile, StreamMemory, SuperResolver
from difiisr_ros.errors import BackendUnavailable, FrameError, OptionError
from difiisr_ros.options import UpscaleOptions
from support.frames import smooth_frame

BICUBIC = Image.BICUBIC
DTYPES = [np.uint8, np.uint16, np.float32]
#: Several steps: the graphs in the package are for one.
NEEDS_TORCH = pytest.mark.needs("torch")


@pytest.fixture(scope="module")
def lite():
    resolver = SuperResolver.load()
    yield resolver
    resolver.close()


@pytest.fixture(autouse=True)
def _defaults(lite):
    lite.configure(**asdict(UpscaleOptions()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (24, 32)])
@pytest.mark.parametrize("num_steps", [1, pytest.param(2, marks=NEEDS_TORCH)])
def test_size_and_dtype(lite, dtype, shape, num_steps):
    lite.configure(num_steps=num_steps)
    frame = smooth_frame(np.uint8).astype(dtype)[: shape[0], : shape[1]]
    before = frame.copy()
    result = lite.upscale(frame)
    assert result.shape == (4 * shape[0], 4 * shape[1])
    assert result.dtype == dtype
    assert result.flags.c_contiguous
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("num_steps", [1, pytest.param(4, marks=NEEDS_TORCH)])
def test_same_frame_same_bytes_whatever_came_before(lite, num_steps):
    lite.configure(num_steps=num_steps)
    frame = smooth_frame()
    first = lite.upscale(frame)
    lite.upscale(smooth_frame(np.uint8, (17, 9), 5))
    lite.upscale_batch([smooth_frame(seed=7), smooth_frame(seed=8)])
    lite.configure(seed=3)
    lite.upscale(frame)
    lite.configure(seed=0)
    again = lite.upscale(frame)
    assert first.tobytes() == again.tobytes()
    fresh = SuperResolver.load(num_steps=num_steps)
    assert first.tobytes() == fresh.upscale(frame).tobytes()


@pytest.mark.needs("torch")
def test_seed_changes_many_steps_and_not_one(lite):
    frame = smooth_frame()
    one = [lite.upscale(frame), (lite.configure(seed=1), lite.upscale(frame))[1]]
    assert one[0].tobytes() == one[1].tobytes()
    lite.configure(num_steps=4)
    four = [lite.upscale(frame), (lite.configure(seed=0), lite.upscale(frame))[1]]
    assert four[0].tobytes() != four[1].tobytes()


@pytest.mark.needs("torch")
def test_consistency_pulls_reduced_frames_to_the_measurement(lite):
    frame, errors = smooth_frame(shape=(48, 64)), []
    # Without a bound, which has the last word.
    camera = CameraProfile(source="reduced")
    for consistency in (0, 1, 2, 4):
        lite.configure(consistency=consistency, overshoot=1.0)
        result = lite.upscale(frame, camera=camera).astype(np.float32)
        down = Image.fromarray(result).resize((64, 48), BICUBIC)
        errors.append(float(np.abs(np.asarray(down) - frame).mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.5 * errors[0]


@pytest.mark.needs("torch")
def test_consistency_pulls_a_cameras_frames_in_wide_means_alone(lite):
    """What one pixel differs by is noise; what the mean over many does is not."""
    frame = (30_000 + 40 * np.random.default_rng(0).standard_normal((96, 128))).astype(np.uint16)

    def deviations(consistency: int) -> tuple[float, float]:
        lite.configure(consistency=consistency, overshoot=0.5)
        result = lite.upscale(frame, camera=CameraProfile(noise=40.0))
        means = result.astype(float).reshape(96, 4, 128, 4).mean(axis=(1, 3)) - frame
        wide = means.reshape(4, 24, 4, 32).mean(axis=(1, 3))
        return float(np.abs(means).mean()), float(np.abs(wide).max())

    (_, free), (single, held) = deviations(0), deviations(1)
    assert held < 1.4  # counts, the noise of such a mean
    assert held <= free + 0.2
    assert single > 10.0


def test_hot_target_beyond_the_percentiles_survives(lite):
    frame = smooth_frame()
    frame[10:14, 10:14] = 60_000
    result = lite.upscale(frame)
    assert result[44:52, 44:52].min() > 50_000  # the range ends near 31_000


def test_flat_frame_stays_flat(lite):
    for dtype in DTYPES:
        result = lite.upscale(np.full((16, 16), 100, dtype))
        assert np.abs(result.astype(float) - 100).max() <= 1


def test_missing_float_pixels_stay_missing_and_touch_nothing_else(lite):
    frame = smooth_frame(np.float32)
    whole = lite.upscale(frame)
    frame[5, 6], frame[7, 8] = np.nan, -np.inf
    result = lite.upscale(frame)
    assert np.isnan(result[20:24, 24:28]).all()
    assert np.isneginf(result[28:32, 32:36]).all()
    finite = np.isfinite(result)
    assert finite.sum() == result.size - 32
    assert np.abs(result[finite] - whole[finite]).max() < 400  # of a range of 2000


def test_given_range_replaces_the_measured_one(lite):
    frame = smooth_frame()
    other = lite.upscale(frame, value_range=(28_000.0, 32_000.0))
    assert not np.array_equal(other, lite.upscale(frame))
    with pytest.raises(OptionError, match="below range_max"):
        lite.upscale(frame, value_range=(5.0, 5.0))


@pytest.mark.parametrize(
    "how",
    [{"range_mode": "fixed", "range_min": 0.0, "range_max": 65_535.0}, {"range_mode": "minmax"}],
    ids=lambda how: how["range_mode"],
)
def test_how_results_are_shown_is_nothing_to_the_network(lite, how):
    """It would do badly with a scene that takes up a small part of what it sees as its range."""
    frame = smooth_frame()
    frame[3, 4] = 60_000
    plain = lite.upscale(frame)
    ranges = [lite.measurements[0].value_range]
    try:
        lite.configure(**how)
        np.testing.assert_array_equal(lite.upscale(frame), plain)
        ranges.append(lite.measurements[0].value_range)
        assert ranges[0] == ranges[1] != lite.measurements[0].shown
    finally:
        lite.configure(range_mode="percentile")


def test_more_steps_than_a_model_has_learnt_are_named(lite, caplog):
    lite.configure(num_steps=4)
    assert "num_steps" not in caplog.text
    lite.configure(num_steps=8)
    lite.configure(seed=3)
    lite.configure(num_steps=1, seed=0)
    said = [r.getMessage() for r in caplog.records]
    assert said == ["num_steps is 8: lite has learnt up to 4, and makes dots along edges of more"]


def test_strided_frames_are_read_as_they_are(lite):
    frame = smooth_frame(shape=(48, 64))
    np.testing.assert_array_equal(
        lite.upscale(frame[::2, ::-2]), lite.upscale(np.ascontiguousarray(frame[::2, ::-2]))
    )


def test_batch_equals_single_frames_within_a_count_or_two(lite):
    frames = [smooth_frame(seed=i) for i in range(3)]
    for single, batched in zip(map(lite.upscale, frames), lite.upscale_batch(frames)):
        assert np.abs(single.astype(int) - batched).max() <= 2  # of a range of 2000


@pytest.mark.parametrize("num_steps", [1, pytest.param(4, marks=NEEDS_TORCH)])
def test_tiles_show_no_seam(lite, num_steps):
    frame = smooth_frame(shape=(200, 260))
    lite.configure(num_steps=num_steps, tile_size=0)
    whole = lite.upscale(frame).astype(int)
    lite.configure(tile_size=128, tile_overlap=48)
    tiled = lite.upscale(frame).astype(int)
    difference = np.abs(tiled - whole)
    assert difference.max() <= 20  # of a range of 2000
    assert difference.mean() < 1


@pytest.mark.needs("torch")
def test_info_tells_what_runs(lite):
    lite.configure(num_steps=2)
    info = lite.info.as_dict()
    assert (info["model"], info["backend"], info["scale"], info["num_steps"]) == (
        "lite",
        "torch",
        4,
        2,
    )
    assert info["precision"] in ("fp32", "bf16", "fp16")
    assert info["fallback"] is None


def test_bfloat16_stays_within_an_eighth_of_a_count_of_8_bits_in_the_mean(drone_frames):
    from difiisr_ros.io.images import read_image

    frames = [read_image(p) for p in drone_frames[:4]]
    frames = [np.asarray(Image.fromarray(f).resize((160, 128), BICUBIC)) for f in frames]
    fp32, bf16 = (SuperResolver.load(precision=p) for p in ("fp32", "bf16"))
    for frame in frames:
        as_float = frame.astype(np.float32)
        difference = np.abs(fp32.upscale(as_float) - bf16.upscale(as_float))
        assert difference.mean() < 0.125
        assert np.percentile(difference, 99.9) < 1.2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_steps": 0}, r"num_steps must be an integer in 1\.\.15, got 0"),
        ({"num_steps": 16}, r"num_steps must be an integer in 1\.\.15, got 16"),
        ({"num_steps": 1.5}, r"num_steps must be an integer in 1\.\.15, got 1\.5"),
        ({"num_steps": True}, "num_steps must be an integer"),
        ({"seed": -1}, "seed must be"),
        ({"consistency": 5}, r"consistency must be an integer in 0\.\.4, got 5"),
        ({"range_mode": "auto"}, "range_mode must be one of percentile, fixed, minmax"),
        ({"range_mode": "fixed"}, "range_min and range_max"),
        ({"tile_size": 5}, r"tile_size must be 0, or an integer in 32\.\.65536, got 5"),
        ({"tile_size": 31, "tile_overlap": 0}, "tile_size must be 0, or an integer in 32"),
        ({"tile_size": -1}, "tile_size must be 0, or an integer in 32"),
        ({"tile_size": 64, "tile_overlap": 60}, r"tile_overlap must be in 0\.\.56"),
        ({"max_input_pixels": 0}, "max_input_pixels"),
        ({"num_stepz": 2}, "unknown option 'num_stepz'; accepted: consistency"),
    ],
)
def test_bad_options_are_named_and_change_nothing(lite, change, said):
    before = lite.options
    with pytest.raises(OptionError, match=said):
        lite.configure(**{"seed": 9, **change})
    assert lite.options is before


@pytest.mark.parametrize("steps", [0, 16, 1.5])
def test_the_limit_of_steps_is_the_model_s_when_it_is_loaded(lite, steps):
    backend = lite.info.backend
    with pytest.raises(OptionError, match=rf"num_steps must be an integer in 1\.\.15, got {steps}"):
        SuperResolver.load(backend=backend, num_steps=steps)


def test_bad_frames_are_named(lite):
    with pytest.raises(FrameError, match="two dimensions"):
        lite.upscale(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(FrameError, match="no frames"):
        lite.upscale_batch([])
    with pytest.raises(FrameError, match="one shape and dtype"):
        lite.upscale_batch([np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)])
    with pytest.raises(FrameError, match="as many value ranges"):
        lite.upscale_batch([np.zeros((4, 4), np.uint8)], [])
    lite.configure(max_input_pixels=100)
    try:
        with pytest.raises(FrameError, match=r"\(16x16\), max_input_pixels is 100"):
            lite.upscale(np.zeros((16, 16), np.uint8))
    finally:
        lite.configure(max_input_pixels=4_000_000)


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            {"backend": "cuda"},
            "backend must be one of auto, torch, onnx, tensorrt, tensorrt_rtx, opencv, bicubic",
        ),
        ({"device": "gpu"}, "device must be one of auto, cpu, cuda"),
        ({"precision": "half"}, "precision must be one of auto, fp32, bf16, fp16"),
    ],
)
def test_bad_choices_list_the_accepted_ones(choice, said):
    with pytest.raises(OptionError, match=said):
        SuperResolver.load(**choice)


def test_missing_torch_falls_back_loudly_or_not_at_all(monkeypatch, caplog, tmp_path):
    import sys

    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path))  # where no exported graph is kept
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "difiisr_ros.backends.torch_backend", raising=False)
    resolver = SuperResolver.load(num_steps=2)  # of which no graph is shipped
    assert resolver.upscale(smooth_frame()).shape == (96, 128)
    assert resolver.info.backend == "bicubic"
    assert "needs PyTorch and onnx" in resolver.info.fallback
    assert "bicubic runs instead" in caplog.text
    with pytest.raises(BackendUnavailable, match="pip install torch"):
        SuperResolver.load(backend="torch", strict_backend=True)


def test_bicubic_backend_imports_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, numpy as np; from difiisr_ros import SuperResolver;"
        "SuperResolver.load(backend='bicubic').upscale(np.zeros((4, 4), np.uint8));"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_calls_from_several_threads_do_not_mix(lite):
    frames = [smooth_frame(seed=i) for i in range(4)]
    expected = [lite.upscale(f).tobytes() for f in frames]
    wrong = []

    def work(i: int) -> None:
        for _ in range(5):
            if lite.upscale(frames[i]).tobytes() != expected[i]:
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


BACKENDS = [
    "bicubic",
    "opencv",
    pytest.param("torch", marks=NEEDS_TORCH),
    pytest.param("onnx", marks=pytest.mark.needs("onnxruntime")),
]


@pytest.mark.parametrize("backend", BACKENDS)
def test_close_is_final_and_may_be_repeated(backend):
    resolver = SuperResolver.load("nano", backend)
    frame, memory = smooth_frame(), StreamMemory()
    resolver.upscale(frame)
    told = resolver.info, resolver.options, resolver.geometry(24, 32), resolver.measurements
    resolver.close()
    resolver.close()
    for use in (
        lambda: resolver.upscale(frame),
        lambda: resolver.upscale_batch([frame]),
        lambda: resolver.remember(frame, memory),
        lambda: resolver.warmup(24, 32),
        lambda: resolver.configure(seed=1),
        resolver.__enter__,
    ):
        with pytest.raises(BackendUnavailable, match="SuperResolver is closed; load another"):
            use()
    assert told == (
        resolver.info,
        resolver.options,
        resolver.geometry(24, 32),
        resolver.measurements,
    )


def test_it_is_closed_at_the_end_of_a_with_statement():
    with SuperResolver.load(backend="bicubic") as resolver:
        assert resolver.upscale(smooth_frame()).shape == (96, 128)
    with pytest.raises(BackendUnavailable, match="closed"):
        resolver.upscale(smooth_frame())
    with pytest.raises(ZeroDivisionError), SuperResolver.load(backend="bicubic") as resolver:
        raise ZeroDivisionError
    with pytest.raises(BackendUnavailable, match="closed"):
        resolver.configure(seed=1)


def test_a_frame_is_refused_that_was_taken_before_it_is_closed():
    resolver = SuperResolver.load(backend="bicubic")

    class Closing(StreamMemory):
        def take(self, *given):
            resolver.close()  # as another thread may, before the frame's turn
            return super().take(*given)

    with pytest.raises(BackendUnavailable, match="closed"):
        resolver.upscale(smooth_frame(), memory=Closing())


def test_what_was_measured_of_each_frame_is_kept(lite):
    frames = [smooth_frame(seed=1), smooth_frame(seed=2) + 500]
    lite.upscale_batch(frames, camera=CameraProfile(noise=7.0))
    batch = lite.measurements
    for frame, measured in zip(frames, batch, strict=True):
        lite.upscale(frame, camera=CameraProfile(noise=7.0))
        assert lite.measurements == (measured,)
        low, high = measured.value_range
        assert measured.noise == pytest.approx(np.hypot(7.0, 12**-0.5))
        assert measured.noise_share == measured.noise / (high - low)
        assert measured.camera == CameraProfile(noise=7.0)
    assert batch[0].value_range != batch[1].value_range
    lite.upscale(frames[0])
    assert lite.measurements[0].camera == lite.camera
    lite.warmup(8, 8)
    assert lite.measurements == ()


@pytest.mark.needs("torch")
def test_guidance_is_made_when_options_are(lite):
    lite.configure(visual_scale=0.5)
    guidance = lite.options.guidance
    lite.upscale(smooth_frame())
    assert lite.options.guidance is guidance
    lite.configure(visual_scale=0.25)
    assert lite.options.guidance.visual_scale == 0.25
