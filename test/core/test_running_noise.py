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

"""The noise of a stream: steadier than a frame's, and at once another when it jumps."""

import numpy as np

from difiisr_ros.core.running_noise import RunningNoise


def test_it_is_steadier_than_the_estimates():
    rng = np.random.default_rng(0)
    estimates = 3.0 + 0.5 * rng.standard_normal(200)
    running = RunningNoise()
    told = [running.update(estimate) for estimate in estimates]
    assert np.std(told[15:]) < 0.45 * np.std(estimates)
    assert abs(np.mean(told[15:]) - 3.0) < 0.1


def test_one_frame_that_is_off_changes_little_and_a_jump_is_followed():
    running = RunningNoise()
    for _ in range(20):
        running.update(2.0)
    assert running.update(9.0) == 2.0
    for _ in range(5):
        running.update(2.0)
    assert [running.update(9.0) for _ in range(3)] == [2.0, 2.0, 9.0]
    assert running.update(9.1) > 8.9


def test_noise_that_comes_and_goes_from_nothing():
    running = RunningNoise()
    assert [running.update(0.0) for _ in range(4)] == [0.0] * 4
    assert [running.update(1.0) for _ in range(3)][-1] == 1.0
