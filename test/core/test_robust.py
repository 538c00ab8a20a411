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

"""Spreads that a few values far off do not change."""

import numpy as np
import pytest

from difiisr_ros.core.robust import spread


def test_it_is_the_standard_deviation_whatever_a_few_values_are():
    values = 3 * np.random.default_rng(0).standard_normal(100_000)
    assert spread(values) == pytest.approx(3, rel=0.01)
    values[:5000] = 1e6
    assert spread(values) == pytest.approx(3, rel=0.08)
    assert spread(values.reshape(100, 1000)) == spread(values)
