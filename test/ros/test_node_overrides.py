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

"""Parameters given at start: what is wrong is said, not fatal, and can be corrected."""

from __future__ import annotations

import numpy as np
from lifecycle_msgs.msg import Transition
from rclpy.parameter import Parameter

from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.messages.write import spread
from difiisr_ros.ros.conversions import image_to_array
from support.node_harness import Graph, scene
from support.paths import REPOSITORY


def test_the_node_waits_for_the_correction(log):
    with Graph(num_steps=0, range_mode="auto", wait_active=False) as graph:
        line = log.wait("configure failed")
        assert "num_steps is 0; accepted: 1 to" in line
        assert "range_mode is 'auto'; accepted: percentile" in line
        command = "`ros2 lifecycle set /super_resolution"
        assert f"{command} configure` and {command} activate`" in log.wait("not started")
        assert graph.node.state_label == "unconfigured"
        graph.node.set_parameters([Parameter("num_steps", value=1)])
        assert not graph.change_state(Transition.TRANSITION_CONFIGURE)
        graph.node.set_parameters([Parameter("range_mode", value="minmax")])
        assert graph.change_state(Transition.TRANSITION_CONFIGURE)


def test_unknown_backend(log):
    with Graph(backend="quantum", wait_active=False) as graph:
        assert "bicubic" in log.wait("backend is 'quantum'")
        log.wait("not started")
        assert graph.node.state_label == "unconfigured"


def test_wrong_type(log):
    with Graph(lazy="yes", wait_active=False):
        log.wait("lazy is 'yes', but must be a bool")


def test_whole_numbers_do_for_doubles():
    with Graph(stale_after=3) as graph:
        assert graph.node.parameters["stale_after"] == 3.0


def test_a_misspelt_name_is_pointed_out(log):
    with Graph(num_step=3):
        log.wait("parameter 'num_step' does not exist; did you mean 'num_steps'?")


def test_every_name_that_is_no_parameter_is_told_once(log, tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    use_sim_time: false\n    threads: 2\n    nosuch: 3\n"
        "    start_type_description_service: true\n    controller: {rate: 5}\n"
        "    qos_overrides: {/image_raw: {subscription: {depth: 2}}}\n"
    )
    given = ["--params-file", str(file), "-p", "steps:=4", "-p", "output_width:=320"]
    with Graph(*given, autostart=False, wait_active=False) as graph:
        assert not log.lines("did you mean")
        for _ in range(2):
            assert graph.change_state(Transition.TRANSITION_CONFIGURE)
            assert graph.change_state(Transition.TRANSITION_CLEANUP)
        for name, meant in (
            ("threads", "num_threads"),
            ("steps", "num_steps"),
            ("output_width", "output_size"),
        ):
            line = f"parameter '{name}' does not exist; did you mean '{meant}'?"
            assert len(log.lines(line)) == 1
        assert len(log.lines("did you mean")) == 3
        (line,) = log.lines("this node has no such parameters")
        assert "no such parameters: nosuch, controller.rate; --help" in line
        assert "WARN" in line


def test_yaml_for_any_namespace(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text("/**:\n  ros__parameters:\n    consistency: 3\n    stale_after: 9.5\n")
    arguments = ["--params-file", str(file), "-r", "__ns:=/rig/left"]
    with Graph(*arguments) as graph:
        assert graph.node.get_fully_qualified_name() == "/rig/left/super_resolution"
        assert graph.node.parameters["consistency"] == 3
        assert graph.node.parameters["stale_after"] == 9.5


def test_the_shipped_yaml():
    file = REPOSITORY / "config" / "super_resolution.yaml"
    with Graph("--params-file", str(file)) as graph:
        assert graph.node.parameters.rejected == {}
        assert graph.node.state_label == "active"


def test_configure_parameters_may_change_while_unconfigured():
    with Graph(autostart=False, wait_active=False) as graph:
        assert graph.node.set_parameters([Parameter("drop_policy", value="block")])[0].successful
        assert graph.change_state(Transition.TRANSITION_CONFIGURE)
        result = graph.node.set_parameters([Parameter("drop_policy", value="latest")])[0]
        assert not result.successful
        assert "clean up" in result.reason


def test_the_picture_does_not_pump():
    """A warm object enters: with smoothing, the background of a mono8 output keeps its gray."""

    def jump(time_constant):
        with Graph(output_encoding="mono8", range_time_constant=time_constant) as graph:
            graph.connect()
            cold = scene(48, 48)
            hot = cold.copy()
            hot[:24] += 20000
            before = image_to_array(graph.roundtrip(cold, stamp=1))[120:].mean()
            after = image_to_array(graph.roundtrip(hot, stamp=2))[120:].mean()
            return abs(float(after) - float(before))

    assert jump(0.0) > 50
    assert jump(3600.0) < 5


def test_what_is_measured_does_not_depend_on_how_it_is_shown():
    """A warm object enters: mono8 is smoothed over an hour, and maps the very counts that are
    published as they are otherwise."""
    cold = scene(48, 48)
    hot = cold.copy()
    hot[:24] += 20000

    def results(encoding):
        with Graph(
            backend="torch", precision="fp32", output_encoding=encoding, range_time_constant=3600.0
        ) as graph:
            graph.connect()
            return [image_to_array(graph.roundtrip(f, stamp=i)) for i, f in enumerate((cold, hot))]

    first_range = measure_range(cold)  # what an hour makes of it within a second
    for counts, picture in zip(results("same"), results("mono8")):
        shown = spread(counts, first_range, np.dtype(np.uint8))
        # The range has moved by a few counts of thousands.
        assert np.abs(shown.astype(int) - picture).max() <= 1
        assert np.ptp(picture) > 100
