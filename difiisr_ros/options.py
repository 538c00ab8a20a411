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

"""What can be chosen about an upscale, with its limits, in one place.

The node's parameters and the commands' flags take their ranges and choices from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

from difiisr_ros.core.condition import DEFAULT_OVERSHOOT
from difiisr_ros.core.guidance import Guidance
from difiisr_ros.core.output_geometry import OUTPUT_FITS, check_output_size
from difiisr_ros.core.plain_numbers import plain_int, plain_ints, plain_real
from difiisr_ros.core.radiometry import RANGE_MODES, check_fixed_range
from difiisr_ros.core.region import Region, parse_region
from difiisr_ros.core.scale import SCALE, SCALES, SCALES_IN_WORDS
from difiisr_ros.core.tiling import LEAST_TILE, tile_starts
from difiisr_ros.errors import OptionError

LIMITS: dict[str, tuple[int, int]] = {
    "num_steps": (1, 1000),  # and not more than the model's schedule has
    "seed": (0, 2**31 - 1),
    "consistency": (0, 4),
    "tile_size": (0, 1 << 16),  # and from 1 on no less than LEAST_BUT_0
    "tile_overlap": (0, 1 << 15),
    "max_input_pixels": (1, 1 << 30),
}

#: The least of those whose 0 switches something off.
LEAST_BUT_0 = {"tile_size": LEAST_TILE}


def not_read(scale: int, output_size: tuple[int, int], output_fit: str) -> str | None:
    """Which of ``scale`` and ``output_fit`` was changed without effect, for the output size."""
    if any(output_size) and scale != UpscaleOptions.scale:
        return "scale"
    if output_fit != UpscaleOptions.output_fit and not all(output_size):
        return "output_fit"
    return None


@dataclass(frozen=True)
class UpscaleOptions:
    """Options that may change between two frames. Checked when made.

    Raises:
        OptionError: naming the option, its value and what is accepted.
    """

    scale: int = SCALE
    """How many times larger the result is: 4, or 2 and 1, the means of 2x2 and 4x4 pixels of that.
    Where an ``output_size`` is given, that decides the scale."""
    output_size: tuple[int, int] = (0, 0)
    """Width and height of results of another size; a 0 follows from the other, keeping the frame's
    shape; two are none."""
    output_fit: str = "stretch"
    """How a frame fits an ``output_size`` of another shape: ``stretch``, ``letterbox`` (whole,
    between bars in the middle of its range) or ``crop`` (its middle)."""
    roi: tuple[int, int, int, int] = (0, 0, 0, 0)
    """First column and row, width and height of the part of the frame that is upscaled, where a
    call names none; all 0: the whole frame."""
    num_steps: int = 1
    """Timesteps that the sampler takes, 1 to the model's schedule length."""
    seed: int = 0
    """Seed of the noise; with the frame's shape it decides the noise entirely."""
    consistency: int = 1
    """How often the result is pulled to the measured frame, 0 to 4: in the means over many pixels,
    or, where the camera is ``reduced``, exactly."""
    visual_scale: float = 0.0
    """Visual guidance: how far the spectrum is brought to what it should be, 0 to 2."""
    perceptual_scale: float = 0.0
    """Perceptual guidance: how far the features are brought to what they should be, 0 to 2."""
    guidance_gradient: str = "closed_form"
    """``closed_form``, or ``exact``: through the network, slower."""
    overshoot: float = DEFAULT_OVERSHOOT
    """How far a result may leave what the camera's 3x3 pixels around span, in units of that span,
    0 to 1: a bound on every result, whatever the model does."""
    range_mode: str = "percentile"
    """What counts as black and white where results are shown by a few levels of gray:
    ``percentile`` (1st to 99th), ``minmax`` or ``fixed``; the first two at least 20 times the
    noise. Published models see it as 0 and 1; others see most of the scene
    (:func:`difiisr_ros.core.radiometry.shown_and_scene_range`)."""
    range_min: float | None = None
    range_max: float | None = None
    """Ends of the ``fixed`` range, in the frame's units."""
    tile_size: int = 640
    """Frames with a longer side are run in tiles of this size (input pixels, 32 or more); 0:
    never."""
    tile_overlap: int = 48
    """Input pixels that neighbouring tiles share and blend over."""
    max_input_pixels: int = 4_000_000
    """Larger frames are refused rather than running the machine out of memory."""

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value, least = getattr(self, name), LEAST_BUT_0.get(name, low)
            whole = self._plain(name, plain_int)
            if whole is None or not low <= whole <= high or low < whole < least:
                limits = f"{'0, or ' if least > low else ''}an integer in {least}..{high}"
                raise OptionError(f"{name} must be {limits}, got {value!r}")
        if self._plain("scale", plain_int) not in SCALES:
            raise OptionError(f"scale must be one of {SCALES_IN_WORDS}, got {self.scale!r}")
        object.__setattr__(self, "output_size", check_output_size(self.output_size))
        if self.output_fit not in OUTPUT_FITS:
            raise OptionError(
                f"output_fit must be one of {', '.join(OUTPUT_FITS)}, got {self.output_fit!r}"
            )
        roi = plain_ints(self.roi, 4)
        if roi is None:
            raise OptionError(
                f"roi must be four integers, first column and row, width and height in camera "
                f"pixels, got {self.roi!r}"
            )
        object.__setattr__(self, "roi", roi)
        self.region  # noqa: B018  # checks its own
        overshoot = self._plain("overshoot", plain_real)
        if overshoot is None or not 0 <= overshoot <= 1:
            raise OptionError(f"overshoot must be a number in 0..1, got {self.overshoot!r}")
        for name in ("range_min", "range_max"):
            if getattr(self, name) is not None and self._plain(name, plain_real) is None:
                raise OptionError(f"{name} must be a number, got {getattr(self, name)!r}")
        for name in ("visual_scale", "perceptual_scale"):
            object.__setattr__(self, name, getattr(self.guidance, name))
        if self.range_mode not in RANGE_MODES:
            raise OptionError(
                f"range_mode must be one of {', '.join(RANGE_MODES)}, got {self.range_mode!r}"
            )
        if self.range_mode == "fixed":
            check_fixed_range(self.range_min, self.range_max)
        if self.tile_size:
            tile_starts(1, self.tile_size, self.tile_overlap)

    def _plain(self, name: str, kind: Callable[[Any], Any]) -> Any:
        """An option as Python's own number, and kept as that; None where it is none."""
        number = kind(getattr(self, name))
        if number is not None:
            object.__setattr__(self, name, number)
        return number

    @cached_property
    def region(self) -> Region | None:
        """The option ``roi``; None where it is the whole frame."""
        return parse_region(self.roi)

    @cached_property
    def guidance(self) -> Guidance:
        """The three options on guidance as backends take them."""
        return Guidance(self.visual_scale, self.perceptual_scale, self.guidance_gradient)

    def changed(self, **changes: Any) -> UpscaleOptions:
        """A checked copy with some options changed; unknown names raise :class:`OptionError`."""
        known = {field.name for field in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise OptionError(
                f"unknown option {unknown[0]!r}; accepted: {', '.join(sorted(known))}"
            )
        return replace(self, **changes)
