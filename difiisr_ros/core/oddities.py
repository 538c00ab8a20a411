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

"""What in a frame looks as if it were no measurement, though nobody has said so.

Nothing is changed by it: the user is told once, with the setting that helps. The limits are such
that no frame of the cameras at hand is called odd that is not: what is doubtful is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from difiisr_ros.core.byte_order import OTHER, mean_steps, wrong_byte_order
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import with_rounding
from difiisr_ros.core.noise_level import estimate_noise
from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.core.reading import read
from difiisr_ros.errors import FrameError

_INNER_ROWS = 48  # of the picture that tell how rough rows are
_MOST_LINES = 8  # of telemetry, at one border
_LEAST_SIDE = 24
_LINE_ROUGHER = 4.0  # times the roughest row of the picture
_LINE_OUTSIDE = 3.0, 6.0  # times what rows' means span, and times the standard deviation
_APART = 3.0  # times what all other values span: of a value that writers of nodata take
_APART_ODD = 20.0  # of any other
_FEW = 3  # pixels, which may as well be bad ones
_TIMES = 8.0  # of one noise the other: more than cameras and estimates vary
_MUCH = 0.02  # of the range: less noise than that does no harm, whatever is said of it


class Oddity(NamedTuple):
    """Something to tell the user."""

    cause: str
    """A short word to count it under."""
    words: str


def telemetry_lines(frame: np.ndarray) -> tuple[int, int]:
    """How many rows at the top and at the bottom of a frame (H x W) are no part of the picture.

    A row of header words is many times as rough as the picture's, or far outside of it.
    """
    height, width = frame.shape
    if height < _LEAST_SIDE or width < _LEAST_SIDE:
        return 0, 0
    # Each of the outer rows, and of the picture as many as tell how rough it is.
    ends = _MOST_LINES, height - _MOST_LINES
    stride = -(-(ends[1] - ends[0]) // _INNER_ROWS)
    inner = frame[ends[0] : ends[1] : stride].astype(np.float32)
    outer = np.concatenate([frame[: ends[0]], frame[ends[1] :]]).astype(np.float32)
    roughest = float(mean_steps(inner).max())
    means = inner.mean(axis=1)
    low, high = float(means.min()), float(means.max())
    apart = max(_LINE_OUTSIDE[0] * (high - low), _LINE_OUTSIDE[1] * float(inner.std()), 1e-6)
    own = outer.mean(axis=1)
    strange = np.maximum(low - own, own - high) > apart
    if roughest > 0:
        strange |= mean_steps(outer) > _LINE_ROUGHER * roughest
    top, bottom = (_leading(lines) for lines in (strange[:_MOST_LINES], strange[:-9:-1]))
    return top, bottom


def _leading(lines: np.ndarray) -> int:
    """How many lines are strange before the first that is not; 0 where all are: a border."""
    return 0 if lines.all() else int(np.argmin(lines))


def values_apart(frame: np.ndarray) -> Iterator[tuple[float, int, tuple[float, float]]]:
    """The lowest and the highest value of a frame where they are far outside all others.

    Yields:
        The value, how many pixels have it, and the limits of the others.
    """
    known = frame if frame.dtype.kind != "f" else frame[np.isfinite(frame)]
    if known.size < _LEAST_SIDE**2:
        return
    ends = known.min(), known.max()
    most = np.iinfo(known.dtype).max if known.dtype.kind == "u" else np.inf
    low = known.min(where=known > ends[0], initial=most)
    high = known.max(where=known < ends[1], initial=0 if known.dtype.kind == "u" else -np.inf)
    span = float(high) - float(low)
    if not span > 0:
        return
    for value, gap in (
        (ends[0], float(low) - float(ends[0])),
        (ends[1], float(ends[1]) - float(high)),
    ):
        if gap > (_APART if _is_special(float(value), known.dtype) else _APART_ODD) * span:
            yield float(value), int((known == value).sum()), (float(low), float(high))


def _is_special(value: float, dtype: np.dtype) -> bool:
    """Whether writers of nodata take such a value: 0, the largest numbers of types, -9999."""
    size = abs(value)
    whole = value == int(value) if size < 1e9 else True
    return whole and (
        value == 0
        or int(size) + 1 in (1 << 12, 1 << 14, 1 << 15, 1 << 16)
        or (dtype.kind == "u" and value == np.iinfo(dtype).max)
        or size == 1 << 15
        or (str(int(size)).strip("9") == "" and size > 900)
    )


class FrameCheck:
    """Looks at the frames of one source, and names every kind of oddity once.

    The first frames are looked at, and then ever fewer: what is odd in a stream is so for long.

    Args:
        camera: what is known of the frames' camera.
        every: one of so many frames is looked at in the long run; 1: each.
    """

    def __init__(self, camera: CameraProfile, every: int = 64) -> None:
        self._camera = camera
        self._every = every
        self._count = 0
        self._named: set[str] = set()

    def look(
        self, frame: np.ndarray, order: str = "", stored: np.ndarray | None = None
    ) -> list[Oddity]:
        """What is new about a frame.

        Args:
            frame: H x W, uint8, uint16 or float32, before any crop.
            order: of the bytes in its file or message, as they were read: ``little`` or ``big``.
            stored: the same in the type that it was stored in, where that is another.
        """
        self._count += 1
        if self._count & (self._count - 1) and self._count % self._every:
            return []
        try:
            found = oddities(frame, self._camera, order, stored)
        except FrameError:
            return []  # whoever upscales it says the same
        new = [oddity for oddity in found if oddity.cause not in self._named]
        self._named |= {oddity.cause for oddity in new}
        return new


def oddities(
    frame: np.ndarray, camera: CameraProfile, order: str = "", stored: np.ndarray | None = None
) -> list[Oddity]:
    """All that is odd about a frame, but for what the profile says; see :meth:`FrameCheck.look`.

    Raises:
        FrameError: see :func:`difiisr_ros.core.reading.read`.
    """
    reading = read(frame, camera)
    if wrong_byte_order(reading.frame if stored is None else camera.crop.of(stored)):
        other = f"byte_order: {OTHER[order]}" if order else "byte_order (little or big)"
        words = (
            "the bytes of its pixels look swapped: neighbours differ much less the other way "
            f"round, which {other} reads"
        )
        return [Oddity("byte_order", words)]
    found = []
    top, bottom = (0, 0) if reading.missing is not None else telemetry_lines(reading.frame)
    if top or bottom:
        found.append(Oddity("telemetry_rows", _telemetry_in_words(camera, top, bottom)))
    apart = list(values_apart(reading.scene[top : len(reading.scene) - bottom]))
    if apart:
        found.append(Oddity("value_apart", _apart_in_words(apart)))
    if camera.noise:
        estimate = with_rounding(estimate_noise(reading.scene), reading)
        if _is_other_noise(camera.noise, estimate, np.ptp(measure_range(reading.scene))):
            words = (
                f"the noise of the camera's profile is {camera.noise:.3g}, that of this frame "
                f"about {estimate:.2g}: is the profile of another camera, or of other units than "
                "these frames? 'difiisr calibrate' measures it on frames as they come"
            )
            found.append(Oddity("profile_noise", words))
    return found


def _is_other_noise(said: float, estimate: float, span: float) -> bool:
    """Whether what a profile says cannot be a frame's noise, and matters to its result."""
    low, high = sorted((said, estimate))
    return high > max(_TIMES * low, _MUCH * span)


def _telemetry_in_words(camera: CameraProfile, top: int, bottom: int) -> str:
    where = " and ".join(f"{n} at the {e}" for e, n in (("top", top), ("bottom", bottom)) if n)
    crop = camera.crop._replace(top=camera.crop.top + top, bottom=camera.crop.bottom + bottom)
    return (
        f"rows that look like telemetry and not like picture: {where}; crop ({crop.describe()}) "
        "leaves them out"
    )


def _apart_in_words(apart: list[tuple[float, int, tuple[float, float]]]) -> str:
    low, high = apart[0][2]
    pixels = [f"{value:.9g} ({n} pixel{'s' * (n > 1)})" for value, n, _ in apart]
    few = max(n for _, n, _ in apart) <= _FEW
    return (
        f"{' and '.join(pixels)} far outside all other values, {low:.9g} to {high:.9g}; if that is "
        f"no measurement, missing ({', '.join(f'{value:.9g}' for value, _, _ in apart)})"
        f"{' or bad_pixels' * few} says so"
    )
