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

"""The parameters that every frame reads, typed: made when they change, not for each frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from difiisr_ros.core.region import Region, parse_region
from difiisr_ros.core.temperature import TemperatureScale
from difiisr_ros.stream.parameter_table import SAME, engine_options, not_used, stream_options
from difiisr_ros.stream_memory import MemoryOptions


@dataclass(frozen=True)
class StreamSettings:
    """One consistent set."""

    engine: Mapping[str, Any]
    """What ``SuperResolver.configure`` is given."""
    num_steps: int
    """As asked for, by itself or by ``quality``."""
    deadline: float
    """Seconds from a frame's arrival to its publication; 0: none."""
    max_input_pixels: int
    output_encoding: str
    temperatures: str | None
    """Unit of the results, or None for the camera's counts."""
    temperature_scale: TemperatureScale | None
    """What a count is, where parameters say so and not the camera's profile."""
    compressed: bool
    """Whether results are published as png."""
    camera_info_convention: str
    fixed_range: bool
    """Whether the range is given instead of measured."""
    range_time_constant: float
    """Seconds over which the range that is shown is smoothed."""
    shutter_frames: str
    """What is done with frames of a closed shutter: ``pass``, ``hold`` or ``drop``."""
    region: Region | None
    """Of the camera's image, as the parameter ``roi`` says; None: all of it."""
    stream: MemoryOptions
    """What is used of the frames before one."""
    pattern_file: str
    """Where what was learnt of a camera's pattern is written at the end; empty: nowhere."""
    not_used: tuple[str, ...]
    """What was set and is not read, in words."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> StreamSettings:
        """Made from all values of :data:`difiisr_ros.stream.parameter_table.TABLE`."""
        engine = engine_options(values, live=True)
        unit, per_count = values["output_unit"], values["kelvin_per_count"]
        temperatures = TemperatureScale(per_count, values["kelvin_offset"]) if per_count else None
        return cls(
            engine=engine,
            num_steps=engine["num_steps"],
            deadline=values["deadline_ms"] / 1e3,
            max_input_pixels=values["max_input_pixels"],
            output_encoding=values["output_encoding"] if unit == SAME else "32FC1",
            temperatures=None if unit == SAME else unit,
            temperature_scale=temperatures,
            compressed=values["output_transport"] == "compressed",
            camera_info_convention=values["camera_info_convention"],
            fixed_range=values["range_mode"] == "fixed",
            range_time_constant=values["range_time_constant"],
            shutter_frames=values["shutter_frames"],
            region=parse_region(values["roi"]),
            stream=stream_options(values),
            pattern_file=values["stream.pattern_file"],
            not_used=not_used(values),
        )
