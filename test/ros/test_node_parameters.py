"""Live parameters change the next frame, the others are refused with a reason."""

from __future__ import annotations

import time

import numpy as np
import pytest
from lifecycle_msgs.msg import Transition
from node_harness import Graph, scene, wait_for
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import DescribeParameters, SetParameters
from rclpy.parameter import Parameter

from difiisr_ros import SuperResolver
from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.ros.parameter_table import TABLE, Change


def call(graph, kind, service, request):
    """Call a service of the node and return the response and the seconds that it took."""
    name = f"{graph.node.get_fully_qualified_name()}/{service}"
    client = graph.tester.create_client(kind, name)
    try:
        assert client.wait_for_service(10)
        begin = time.monotonic()
        future = client.call_async(request)
        wait_for(future.done, service)
        return future.result(), time.monotonic() - begin
    finally:
        graph.tester.destroy_client(client)


def set_by_service(graph, name, value):
    """``ros2 param set``: whether it was accepted, the reason, and the seconds that it took."""
    request = SetParameters.Request()
    request.parameters = [Parameter(name, value=value).to_parameter_msg()]
    response, seconds = call(graph, SetParameters, "set_parameters", request)
    result = response.results[0]
    return result.successful, result.reason, seconds


@pytest.fixture(scope="module")
def graph():
    with Graph() as running:
        yield running.connect()


def test_declared_as_the_table_says(graph):
    request = DescribeParameters.Request(names=[spec.name for spec in TABLE])
    response, _ = call(graph, DescribeParameters, "describe_parameters", request)
    kinds = {
        "bool": ParameterType.PARAMETER_BOOL,
        "int": ParameterType.PARAMETER_INTEGER,
        "double": ParameterType.PARAMETER_DOUBLE,
        "string": ParameterType.PARAMETER_STRING,
    }
    for spec, descriptor in zip(TABLE, response.descriptors):
        assert descriptor.type == kinds[spec.type_name], spec.name
        assert spec.description in descriptor.description
        assert descriptor.read_only is (spec.change is Change.START)
        assert not descriptor.dynamic_typing
        ranges = list(descriptor.integer_range) + list(descriptor.floating_point_range)
        assert len(ranges) == (spec.minimum is not None)
        if ranges:
            assert (ranges[0].from_value, ranges[0].to_value) == (spec.minimum, spec.maximum)
        for choice in spec.choices:
            assert choice in descriptor.additional_constraints


def test_nothing_is_declared_outside_the_table(graph):
    names = set(graph.node._parameters)
    extra = {n for n in names if not n.startswith(("qos_overrides.", "use_sim_time", "start_type"))}
    assert extra == {spec.name for spec in TABLE}


@pytest.mark.parametrize(
    ("name", "value", "because"),
    [
        ("model", "other", "read-only once configured"),
        ("backend", "torch", "read-only once configured"),
        ("drop_policy", "block", "read-only once configured"),
        ("backend", "cuda", "torch"),
        ("num_steps", 0, "1"),
        ("consistency", 9, "4"),
        ("range_mode", "auto", "percentile"),
        ("autostart", False, ""),
        ("tile_overlap", 640, "tile"),
    ],
)
def test_refused_with_a_reason(graph, name, value, because):
    before = graph.node.parameters[name]
    accepted, reason, _ = set_by_service(graph, name, value)
    assert not accepted
    assert because in reason
    assert name in reason or name == "autostart"
    assert graph.node.parameters[name] == before
    assert graph.node.get_parameter(name).value == before


def test_a_set_of_which_one_is_wrong_changes_nothing(graph):
    changes = [Parameter("consistency", value=2), Parameter("seed", value=-1)]
    result = graph.node.set_parameters_atomically(changes)
    assert not result.successful
    assert "seed" in result.reason
    assert graph.node.parameters["consistency"] == 1


def test_live_parameters_take_effect_on_the_next_frame(graph):
    frame = scene()
    for consistency in (0, 3, 1):
        assert set_by_service(graph, "consistency", consistency)[0]
        engine = SuperResolver.load(backend="bicubic", consistency=consistency)
        np.testing.assert_array_equal(image_to_array(graph.roundtrip(frame)), engine.upscale(frame))


def test_output_encoding_is_live(graph):
    frame = scene()
    try:
        for encoding in ("mono8", "mono16", "32FC1", "bgr8", "same"):
            assert set_by_service(graph, "output_encoding", encoding)[0]
            got = graph.roundtrip(frame, "mono16")
            assert got.encoding == ("mono16" if encoding == "same" else encoding)
            if encoding == "mono8":
                pixels = image_to_array(got)
                assert pixels.min() < 10
                assert pixels.max() > 245
    finally:
        set_by_service(graph, "output_encoding", "same")


def test_a_fixed_range_must_have_an_extent(graph):
    changes = [Parameter("range_mode", value="fixed"), Parameter("range_max", value=-1.0)]
    result = graph.node.set_parameters_atomically(changes)
    assert not result.successful
    assert "range_min" in result.reason


def test_setting_under_load_answers_quickly(graph, monkeypatch):
    engine = graph.node._upscaler.engine
    real = engine.upscale

    def slow(*args, **kwargs):
        time.sleep(0.3)  # as inference does, this releases the interpreter
        return real(*args, **kwargs)

    monkeypatch.setattr(engine, "upscale", slow)
    graph.images.clear()
    seconds = []
    for i in range(12):
        graph.send(scene(), stamp=i)
        accepted, _, took = set_by_service(graph, "seed", i)
        assert accepted
        seconds.append(took)
    assert sorted(seconds)[-2] < 0.1  # one of them may meet a busy machine
    wait_for(lambda: graph.images, "frames still come")


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
    assert jump(60.0) < 5


class TestWrongOverrides:
    """What a YAML file or the command line got wrong: said, not fatal, correctable."""

    def test_the_node_waits_for_the_correction(self, log):
        with Graph(num_steps=0, range_mode="auto", wait_active=False) as graph:
            line = log.wait("configure failed")
            assert "num_steps is 0; accepted: 1 to" in line
            assert "range_mode is 'auto'; accepted: percentile" in line
            assert graph.node.state_label == "unconfigured"
            graph.node.set_parameters([Parameter("num_steps", value=1)])
            assert not graph.change_state(Transition.TRANSITION_CONFIGURE)
            graph.node.set_parameters([Parameter("range_mode", value="minmax")])
            assert graph.change_state(Transition.TRANSITION_CONFIGURE)

    def test_unknown_backend(self, log):
        with Graph(backend="quantum", wait_active=False) as graph:
            assert "bicubic" in log.wait("backend is 'quantum'")
            assert graph.node.state_label == "unconfigured"

    def test_wrong_type(self, log):
        with Graph(lazy="yes", wait_active=False):
            log.wait("lazy is 'yes', but must be a bool")

    def test_whole_numbers_do_for_doubles(self):
        with Graph(stale_after=3) as graph:
            assert graph.node.parameters["stale_after"] == 3.0

    def test_a_misspelt_name_is_pointed_out(self, log):
        with Graph(num_step=3):
            log.wait("parameter 'num_step' does not exist; did you mean 'num_steps'?")

    def test_yaml_for_any_namespace(self, tmp_path):
        file = tmp_path / "params.yaml"
        file.write_text("/**:\n  ros__parameters:\n    consistency: 3\n    stale_after: 9.5\n")
        arguments = ["--params-file", str(file), "-r", "__ns:=/rig/left"]
        with Graph(*arguments) as graph:
            assert graph.node.get_fully_qualified_name() == "/rig/left/super_resolution"
            assert graph.node.parameters["consistency"] == 3
            assert graph.node.parameters["stale_after"] == 9.5

    def test_the_shipped_yaml(self):
        from pathlib import Path

        file = Path(__file__).resolve().parents[2] / "config" / "super_resolution.yaml"
        with Graph("--params-file", str(file)) as graph:
            assert graph.node.parameters.rejected == {}
            assert graph.node.state_label == "active"


def test_configure_parameters_may_change_while_unconfigured():
    with Graph(autostart=False, wait_active=False) as graph:
        assert set_by_service(graph, "drop_policy", "block")[0]
        assert graph.change_state(Transition.TRANSITION_CONFIGURE)
        accepted, reason, _ = set_by_service(graph, "drop_policy", "latest")
        assert not accepted
        assert "clean up" in reason
