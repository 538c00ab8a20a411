"""The range that is shown, smoothed over time: it neither pumps nor lags behind a jump."""

from __future__ import annotations

import math
from collections import deque

from difiisr_ros.core.radiometry import ValueRange
from difiisr_ros.errors import OptionError

JUMP = 0.1
"""Share of their union that two ranges have in common, below which one is a jump of the other: a
change of gain or unit. A hot object that enters a scene leaves more in common, unless it makes the
range ten times as wide; then nothing else is seen either way."""
AGREE = 0.5
"""The same, from which on two frames after a jump confirm each other."""
_MOST_STRANGE = 5  # frames in a row that confirm nothing, before the last of them is believed
_RESETS, _WITHIN_S = 2, 5.0  # there and back; whatever jumps more often is smoothed


class RangeSmoother:
    """First-order low-pass on value ranges, so that a hot object entering does not make the
    picture pump. A jump that two frames agree on is taken at once; a single one changes nothing.

    Args:
        time_constant_s: seconds until a step is followed to 63 %; 0 follows at once.
    """

    def __init__(self, time_constant_s: float) -> None:
        if not time_constant_s >= 0:
            raise OptionError(f"range_time_constant must be 0 or more, got {time_constant_s}")
        self.time_constant_s = float(time_constant_s)
        self.reset()

    def reset(self) -> None:
        """Forget the past; the next range is taken as it is."""
        #: The smoothed range; None before the first.
        self.range: ValueRange | None = None
        self._stamp_s = 0.0
        self._strange: list[ValueRange] = []
        self._resets: deque[float] = deque(maxlen=_RESETS)

    def update(self, value_range: ValueRange, stamp_s: float) -> ValueRange:
        """The smoothed range at ``stamp_s`` (seconds). A clock that jumps back resets."""
        elapsed = stamp_s - self._stamp_s
        self._stamp_s = stamp_s
        if self.range is None or self.time_constant_s == 0 or elapsed < 0:
            self.reset()
            self._stamp_s, self.range = stamp_s, value_range
        elif common(value_range, self.range) >= JUMP or self._too_often(stamp_s):
            self._strange.clear()
            self._follow(value_range, elapsed)
        elif self._believed(value_range, elapsed):
            self._strange.clear()
            self._resets.append(stamp_s)
            self.range = value_range
        else:
            self._strange.append(value_range)
        return self.range

    def _follow(self, value_range: ValueRange, elapsed: float) -> None:
        assert self.range is not None
        gain = 1.0 - math.exp(-elapsed / self.time_constant_s)
        low, high = self.range
        self.range = low + gain * (value_range[0] - low), high + gain * (value_range[1] - high)

    def _believed(self, value_range: ValueRange, elapsed: float) -> bool:
        """Whether a jump is one: confirmed, or where the past is too old to doubt it."""
        if elapsed > 2 * self.time_constant_s or len(self._strange) >= _MOST_STRANGE - 1:
            return True
        return bool(self._strange) and common(value_range, self._strange[-1]) >= AGREE

    def _too_often(self, stamp_s: float) -> bool:
        return len(self._resets) == _RESETS and stamp_s - self._resets[0] < _WITHIN_S


def common(a: ValueRange, b: ValueRange) -> float:
    """What two ranges have in common, as a share of their union: 0 to 1."""
    union = max(a[1], b[1]) - min(a[0], b[0])
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) / union
