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

"""What every frame reads of the parameters."""

from __future__ import annotations

from difiisr_ros.core.region import Region
from difiisr_ros.core.temperature import TemperatureScale
from difiisr_ros.options import UpscaleOptions
from difiisr_ros.stream.parameter_table import TABLE
from difiisr_ros.stream.settings import StreamSettings

DEFAULTS = {spec.name: spec.default for spec in TABLE}


def test_the_defaults():
    settings = StreamSettings.of(DEFAULTS)
    assert (settings.num_steps, settings.deadline, settings.compressed) == (1, 0.0, False)
    assert settings.max_input_pixels == UpscaleOptions().max_input_pixels
    assert not settings.fixed_range
    UpscaleOptions().changed(**settings.engine)  # every name is an option
    assert settings.region is None and settings.not_used == ()


def test_values_come_in_the_units_that_are_used():
    changed = {
        "deadline_ms": 250.0, "output_transport": "compressed", "output_encoding": "mono8",
        "quality": "detail", "range_mode": "fixed", "range_time_constant": 3.0,
        "camera_info_convention": "image_proc", "max_input_pixels": 77,
        "output_size": [640, 0], "roi": [1, 2, 3, 4], "kelvin_per_count": 0.04,
    }  # fmt: skip
    settings = StreamSettings.of({**DEFAULTS, **changed})
    assert settings.deadline == 0.25
    assert settings.compressed and settings.fixed_range
    assert settings.num_steps == settings.engine["num_steps"] == 4  # quality decides
    assert (settings.output_encoding, settings.range_time_constant) == ("mono8", 3.0)
    assert settings.camera_info_convention == "image_proc"
    assert settings.max_input_pixels == 77
    assert settings.engine["output_size"] == (640, 0)
    assert settings.region == Region(1, 2, 3, 4)
    assert settings.temperature_scale == TemperatureScale(0.04, 0.0)
