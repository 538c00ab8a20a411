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

"""What is known of the camera reaches the engine, the log and diagnostics."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.parameter import Parameter

from difiisr_ros import SuperResolver
from difiisr_ros.ros.conversions import image_to_array
from support.node_harness import Graph, scene


def test_a_camera_profile_is_used_and_told_of(tmp_path, log):
    profile = tmp_path / "camera.yaml"
    profile.write_text("noise: 7.0\nblur: 0.4\n")
    with Graph(camera=str(profile), backend="torch", overshoot=0.25) as running:
        running.connect()
        values, _ = running.status("inference")
        assert "noise (counts)" not in values  # the frame of the warm-up is none
        engine = running.node._upscaler.engine
        assert engine.camera.blur == 0.4
        assert engine.options.overshoot == 0.25
        running.roundtrip(scene())
        told = f"camera: noise 7 counts, blur 0.4 px ({profile}); noise of this frame 7.01 counts"
        assert told in log.wait("first frame")
        values, _ = running.status("backend")
        assert values["camera"] == f"noise 7 counts, blur 0.4 px ({profile})"
        values, _ = running.status("inference", lambda v, _: "noise (counts)" in v)
        assert values["camera profile"] == str(profile)
        assert (values["noise (counts)"], values["noise source"]) == ("7.006", "profile")
        assert values["blur (camera pixels)"] == "0.4"
        assert float(values["noise (% of range)"]) > 0


def test_a_profile_with_an_unknown_key_is_refused_by_name(tmp_path, log):
    profile = tmp_path / "camera.yaml"
    profile.write_text("nois: 7.0\n")
    with Graph(camera=str(profile), wait_active=False):
        assert str(profile) in log.wait("unknown key 'nois'")


def test_a_profile_that_is_not_there_is_refused_by_name_and_can_be_given_then(tmp_path, log):
    profile = tmp_path / "camera.yaml"
    with Graph(camera=str(profile), wait_active=False) as running:
        assert str(profile) in log.wait("camera profile cannot be read")
        profile.write_text("blur: 0.4\n")
        assert running.node.transition("configure")
        values, _ = running.status("backend", lambda v, _: "camera" in v)
        assert values["camera"] == f"noise estimated, blur 0.4 px ({profile})"


def test_overshoot_changes_while_it_runs_and_the_camera_does_not():
    frame, results = scene(), []
    with Graph(backend="torch") as running:
        running.connect()
        for overshoot in (0.5, 0.0):
            parameters = [Parameter("overshoot", value=overshoot)]
            (done,) = running.in_executor(running.node.set_parameters, parameters)
            assert done.successful
            result = image_to_array(running.roundtrip(frame))
            engine = SuperResolver.load(backend="torch", overshoot=overshoot)
            np.testing.assert_array_equal(result, engine.upscale(frame))
            results.append(result)
        assert (results[0] != results[1]).any()
        (done,) = running.in_executor(
            running.node.set_parameters, [Parameter("camera", value="reduced")]
        )
        assert not done.successful and "camera is read-only once configured" in done.reason


@pytest.mark.parametrize("overshoot", [-0.1, 1.5])
def test_an_overshoot_that_cannot_be_is_refused(overshoot, log):
    with Graph(overshoot=overshoot, wait_active=False):
        assert "0 to 1" in log.wait("overshoot")


def test_of_reduced_frames_no_noise_is_told(log):
    with Graph(camera="reduced") as running:
        running.connect()
        running.roundtrip(scene())
        said = log.wait("first frame")
        assert said.endswith("camera: reduced by antialiased bicubic")
        values, _ = running.status("inference", lambda v, _: v["frames published"] == "1")
        assert values["camera profile"] == "reduced"
        assert "noise (counts)" not in values
