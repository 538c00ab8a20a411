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

"""The methods that are compared: kernels, ours, and what a method must give back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from difiisr_ros import CameraProfile
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.lab.evaluation.methods import (
    Method,
    MethodPlan,
    bicubic_upscale,
    lanczos_upscale,
    make_methods,
    pillow_upscale,
    super_resolver_methods,
)
from difiisr_ros.lab.frames.streams import Sample


def sample(lr: np.ndarray) -> Sample:
    return Sample("a frame", 0, lr, None)


def enlarged(s: Sample) -> np.ndarray:
    return np.repeat(np.repeat(s.lr, 4, axis=0), 4, axis=1)


def test_times_leave_out_the_first_call_of_each_size():
    calls = []

    def upscale(s: Sample) -> np.ndarray:
        calls.append(s.lr.shape)
        return enlarged(s)

    method = Method("probe", upscale)
    for shape in ((4, 4), (4, 4), (2, 2)):
        _, milliseconds = method.run(sample(np.zeros(shape, np.uint8)))
        assert milliseconds >= 0
    assert calls == [(4, 4), (4, 4), (4, 4), (2, 2), (2, 2)]


def test_a_method_may_bring_its_own_times():
    calls = []
    known = {0: 12.5}

    def upscale(s: Sample) -> np.ndarray:
        calls.append(s.index)
        return enlarged(s)

    method = Method("recorded", upscale, milliseconds=lambda s: known.get(s.index))
    frame = np.zeros((2, 2), np.uint8)
    assert method.run(Sample("a", 0, frame, None))[1] == 12.5
    assert np.isnan(method.run(Sample("b", 1, frame, None))[1])
    assert calls == [0, 1]  # nothing to warm up


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda s: np.zeros((8, 4), s.lr.dtype), "made 4x8 uint8 of a frame, 3x2 uint8"),
        (lambda s: np.zeros((8, 12), np.float32), "12x8 float32"),
        (lambda s: np.zeros((8, 12, 3), np.uint8), "(8, 12, 3)"),
    ],
)
def test_a_result_of_the_wrong_kind_is_refused(wrong, said):
    with pytest.raises(DataError) as error:
        Method("odd", wrong).run(sample(np.zeros((2, 3), np.uint8)))
    assert said in str(error.value) and "expected is 12x8 uint8" in str(error.value)


def test_each_method_upscales_with_its_own_number_of_steps():
    class Info:
        def as_dict(self):
            return {"model": "m", "num_steps": 0}

    class Resolver:
        steps = 0
        info = Info()
        camera = CameraProfile()

        def configure(self, num_steps):
            self.steps = num_steps

        def upscale(self, lr, camera=None, memory=None):
            return np.full((lr.shape[0] * 4, lr.shape[1] * 4), self.steps, lr.dtype)

    methods = super_resolver_methods(Resolver(), [1, 4, 2])
    assert [m.name for m in methods] == ["difiisr", "difiisr@4", "difiisr@2"]
    assert [m.details["num_steps"] for m in methods] == [1, 4, 2]
    for _ in range(2):
        frame = sample(np.zeros((2, 2), np.uint8))
        assert [int(method.run(frame)[0][0, 0]) for method in methods] == [1, 4, 2]


@pytest.mark.parametrize("kernel", [bicubic_upscale, pillow_upscale, lanczos_upscale])
def test_the_kernels_keep_pixel_centres_and_the_dtypes_limits(kernel):
    ramp = np.tile(np.arange(0, 160, 8, dtype=np.uint8), (8, 1))
    sr = kernel(ramp)
    assert sr.shape == (32, 80) and sr.dtype == np.uint8
    inside = slice(16, -16)
    expected = ((np.arange(80) + 0.5) / 4 - 0.5) * 8  # LR pixel i is centred on HR 4 i + 1.5
    assert np.abs(sr[16, inside] - expected[inside]).max() <= 0.5 + 0.2
    edge = np.zeros((8, 8), np.uint16)
    edge[:, 4:] = 65535
    out = kernel(edge)
    assert out.min() == 0 and out.max() == 65535
    assert out[16, 6] < 10000 and out[16, -6] > 55000


def test_lanczos_is_opencvs():
    frame = np.random.default_rng(0).integers(0, 255, (12, 16), dtype=np.uint8)
    expected = cv2.resize(frame.astype(np.float32), (64, 48), interpolation=cv2.INTER_LANCZOS4)
    np.testing.assert_array_equal(lanczos_upscale(frame), np.rint(expected).clip(0, 255))


def test_a_name_that_occurs_twice_is_refused(tmp_path):
    plan = MethodPlan(results=(("difiisr", tmp_path, None),))
    with pytest.raises(OptionError, match="two methods called 'difiisr'"):
        plan.names()


@pytest.mark.needs("torch")
def test_a_model_file_beside_the_embedded_one(tmp_path):
    from difiisr_ros.models.model_files import model_path

    other = tmp_path / "mine.safetensors"
    other.write_bytes(model_path("lite").read_bytes())
    engine = (("backend", "torch"), ("device", "cpu"), ("num_threads", 1), ("precision", "fp32"))
    frame = np.random.default_rng(1).integers(0, 255, (16, 20), dtype=np.uint8)
    with make_methods(MethodPlan(engine=engine, compare=(other,)), sample(frame)) as methods:
        assert [m.name for m in methods][-2:] == ["difiisr", "mine"]
        ours, theirs = (m.run(sample(frame))[0] for m in methods[-2:])
    np.testing.assert_array_equal(ours, theirs)
