"""The range that is shown follows a jump at once, and neither a glitch nor a hot object."""

from __future__ import annotations

import itertools

import pytest

from difiisr_ros.core.range_smoother import RangeSmoother, common

SCENE = (29000.0, 31000.0)
HZ = 9.0


def run(ranges, time_constant=1.0, hz=HZ):
    smoother = RangeSmoother(time_constant)
    return [smoother.update(r, i / hz) for i, r in enumerate(ranges)]


@pytest.mark.parametrize(
    "after",
    [
        (2900.0, 3100.0),  # 0.1 K a count instead of 0.01
        (289.85, 309.85),  # kelvin
        (29900.0, 30000.0),  # a gain of a tenth, around the same counts
        (10000.0, 60000.0),  # and of 25
    ],
    ids=str,
)
def test_another_unit_or_gain_is_shown_from_the_second_frame_on(after):
    shown = run([SCENE] * 20 + [after] * 20)
    assert shown[19] == SCENE and shown[20] == SCENE
    assert shown[21:] == [after] * 19


@pytest.mark.parametrize("glitch", [(0.0, 10.0), (65000.0, 65535.0), (0.0, 65535.0)], ids=str)
def test_one_bad_frame_changes_nothing(glitch):
    shown = run([SCENE] * 10 + [glitch] + [SCENE] * 10)
    assert shown == [SCENE] * 21


def test_bad_frames_that_do_not_agree_are_believed_after_five():
    bad = [(1000.0 * i, 1000.0 * i + 100) for i in range(1, 6)]
    shown = run([SCENE] * 10 + bad)
    assert shown[10:14] == [SCENE] * 4 and shown[14] == bad[-1]


def test_a_hot_object_does_not_make_the_picture_pump():
    warm = (29000.0, 36000.0)
    shown = run([SCENE] * 10 + [warm] * 9)
    highs = [high for _, high in shown[10:]]
    assert highs == sorted(highs) and highs[0] < 31700  # a first step of a tenth of the way
    assert highs[-1] == pytest.approx(36000 - 5000 * 0.368, rel=0.01)  # 63 % after a second


def test_what_flickers_between_two_ranges_does_not_flicker_in_the_picture():
    """A fire at the percentile's edge: jumps there and back, and from then on smoothly."""
    wide = (29000.0, 60000.0)
    shown = run(([SCENE] * 3 + [wide] * 3) * 8)
    steps = [abs(b[1] - a[1]) for a, b in itertools.pairwise(shown)]
    assert sum(step > 20000 for step in steps[: int(5 * HZ)]) <= 2


def test_after_a_pause_the_past_does_not_count():
    smoother = RangeSmoother(1.0)
    smoother.update(SCENE, 0.0)
    assert smoother.update((100.0, 200.0), 3.0) == (100.0, 200.0)


def test_what_ranges_have_in_common():
    assert common((0, 2), (1, 3)) == pytest.approx(1 / 3)
    assert common((0, 1), (2, 3)) == 0.0 and common((0, 1), (0, 1)) == 1.0
