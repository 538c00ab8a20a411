"""The log says once for each cause that no image comes."""

from __future__ import annotations

from difiisr_ros.stream.silence import GRACE_S, SilenceLog


def said(causes):
    """What is said at each second; one cause a second."""
    log = SilenceLog()
    return [(t, found) for t, c in enumerate(causes) if (found := log.look(c, t)) is not None]


def test_a_healthy_start_says_nothing():
    assert said([""] * 20) == []
    assert said(["no publisher"] * 4 + ["1 publisher"] * 4 + [""] * 20) == []


def test_once_for_each_cause_and_when_it_is_over():
    assert said(["no publisher"] * 100) == [(GRACE_S, True)]
    assert said(["no publisher"] * 10 + ["best effort"] * 100) == [(5, True), (15, True)]
    assert said(["gone"] * 10 + [""] * 5 + ["gone"] * 20) == [(5, True), (10, False), (20, True)]


def test_a_cause_that_comes_and_goes_is_not_said_again_and_again():
    flapping = (["a"] * 2 + ["b"] * 2) * 20
    assert said(["a"] * 6 + flapping) == [(5, True)]
