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

"""``output_unit``: results as temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.parameter import Parameter

from difiisr_ros import SuperResolver
from difiisr_ros.ros.conversions import image_to_array
from support.node_harness import Graph, scene


def as_counts() -> np.ndarray:
    frame = scene().astype(np.uint16)
    return (29000 + 40 * (frame - frame.min())).astype(np.uint16)


def test_results_are_temperatures_by_the_profile(tmp_path):
    frame = as_counts()
    frame[5, 7] = 0
    (tmp_path / "camera.yaml").write_text("kelvin_per_count: 0.01\nmissing: 0\n")
    camera = str(tmp_path / "camera.yaml")
    counts = SuperResolver.load(camera=camera, backend="torch").upscale(frame)
    with Graph(camera=camera, output_unit="celsius", backend="torch") as running:
        running.connect()
        message = running.roundtrip(frame)
        assert message.encoding == "32FC1"
        result = image_to_array(message)
        gone = np.isnan(result)
        assert gone.sum() == 16 and gone[20:24, 28:32].all()
        expected = counts[~gone] * 0.01 - 273.15
        np.testing.assert_allclose(result[~gone], expected, atol=1e-4)

        parameters = [
            Parameter("kelvin_per_count", value=0.02),
            Parameter("kelvin_offset", value=1.0),
            Parameter("output_unit", value="kelvin"),
        ]
        done = running.in_executor(running.node.set_parameters_atomically, parameters)
        assert done.successful, done.reason
        result = image_to_array(running.roundtrip(frame))
        np.testing.assert_allclose(result[~gone], counts[~gone] * 0.02 + 1.0, rtol=1e-6)


def test_without_a_scale_it_is_refused_with_what_helps(log):
    with Graph(output_unit="kelvin", backend="bicubic", wait_active=False):
        assert "set kelvin_per_count, or write it into the camera's profile" in log.wait(
            "nothing says what a count is"
        )


def test_nor_can_it_be_asked_for_while_it_runs():
    with Graph(backend="bicubic") as running:
        (done,) = running.in_executor(
            running.node.set_parameters, [Parameter("output_unit", value="celsius")]
        )
        assert not done.successful and "kelvin_per_count" in done.reason


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"output_encoding": "mono8"}, "output_encoding is mono8; accepted with it: same, 32FC1"),
        ({"output_transport": "compressed"}, "output_transport must be raw"),
        ({"output_unit": "same", "kelvin_per_count": 0.0}, "kelvin_per_count is 0: set it too"),
    ],
)
def test_what_does_not_go_together_is_refused(others, words, log):
    values = {"output_unit": "kelvin", "kelvin_per_count": 0.01, "kelvin_offset": 1.0, **others}
    with Graph(backend="bicubic", wait_active=False, **values):
        assert words in log.wait(words[:20])
