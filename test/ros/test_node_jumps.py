"""Streams that jump, as the node shows them: another gain, a closed shutter, no image at all."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rclpy.parameter import Parameter

from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.stream import silence
from support.node_harness import Graph, scene, wait_for

SHUTTER = "noticed: shutter_frame"


def counts(i: int = 0) -> np.ndarray:
    frame = scene().astype(np.float64)
    frame = (frame - frame.min()) / np.ptp(frame)
    noise = np.random.default_rng(i).normal(size=frame.shape)
    return np.rint(29000 + 2000 * frame + 3 * noise).astype(np.uint16)


def closed(i: int = 0) -> np.ndarray:
    noise = np.random.default_rng(i).normal(size=counts().shape)
    return np.rint(32000 + 3 * noise).astype(np.uint16)


def contrast(message) -> float:
    low, high = np.percentile(image_to_array(message), [2, 98])
    return float(high - low)


def test_a_change_of_unit_is_seen_from_the_second_frame_on():
    with Graph(output_encoding="mono8", range_time_constant=5.0) as running:
        running.connect()
        for i in range(3):
            assert contrast(running.roundtrip(counts(i), stamp=1 + i)) > 150
        assert contrast(running.roundtrip(counts(3) // 10, stamp=5)) == 0  # one frame in doubt
        for i in range(4, 7):
            assert contrast(running.roundtrip(counts(i) // 10, stamp=2 + i)) > 150


@pytest.mark.parametrize("policy", ["pass", "hold", "drop"])
def test_a_closed_shutter(policy):
    with Graph(output_encoding="mono8", shutter_frames=policy) as running:
        running.connect()
        before = [running.roundtrip(counts(i), stamp=1 + i) for i in range(4)][-1]
        if policy == "drop":
            for i in range(3):
                running.send(closed(i), stamp=10 + i)
                values, _ = running.status(
                    "inference", lambda v, _, i=i: v["shutter frames dropped"] == str(i + 1)
                )
            assert len(running.images) == 4
        else:
            shown = [running.roundtrip(closed(i), stamp=10 + i) for i in range(3)]
            assert [m.header.stamp.sec for m in shown] == [10, 11, 12]
            pictures = [image_to_array(m) for m in shown]
            same = [np.array_equal(p, image_to_array(before)) for p in pictures]
            assert same == [policy == "hold"] * 3
            if policy == "pass":  # as hot as it is, by the scene's range
                assert all(p.min() == 255 for p in pictures)
        after = running.roundtrip(counts(9), stamp=20)
        assert contrast(after) > 150  # the range is the scene's
        assert abs(image_to_array(after).mean() - image_to_array(before).mean()) < 5
        values, _ = running.status("input", lambda v, _: SHUTTER in v)
        assert values[SHUTTER] == "3"


def test_what_the_network_sees_does_not_depend_on_shutter_or_encoding():
    """Counts of a frame after a shutter are those of the frame alone."""
    with Graph(shutter_frames="hold", backend="torch", warmup_width=0) as running:
        running.connect()
        alone = image_to_array(running.roundtrip(counts(1), stamp=1))
        for i in range(2):
            held = image_to_array(running.roundtrip(closed(i), stamp=2 + i))
            np.testing.assert_array_equal(held, alone)
        changed = [Parameter("shutter_frames", value="pass")]
        assert running.in_executor(running.node.set_parameters, changed)[0].successful
        passed = image_to_array(running.roundtrip(closed(5), stamp=5))
        assert passed.min() > 31900
        np.testing.assert_array_equal(image_to_array(running.roundtrip(counts(1), stamp=6)), alone)


def test_silence_is_said_once_for_each_cause(log, monkeypatch):
    monkeypatch.setattr(silence, "GRACE_S", 1.0)
    with Graph(stale_after=1.5) as running:
        assert "WARN" in log.wait("on /image_raw; no publisher")
        running.connect()

        def over() -> bool:  # looked at once a second
            running.roundtrip(counts())
            time.sleep(0.1)
            return bool(log.lines("no longer without images"))

        wait_for(over, "images are said to come")
        assert "WARN" in log.wait("on /image_raw; 1 publisher: /tester")  # which has fallen silent
        running.status("input")
        running.status("input")
        assert len(log.lines("no image for")) == 2


def test_a_healthy_start_warns_of_nothing(log):
    with Graph() as running:
        running.connect()
        for i in range(3):
            running.roundtrip(counts(i), stamp=1 + i)
        running.status("input", lambda v, _: v["frames received"] == "3")
    assert "no image" not in log.text
