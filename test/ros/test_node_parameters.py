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

"""Live parameters change the next frame, the others are refused with a reason."""

from __future__ import annotations

import time

import numpy as np
import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import (
    DescribeParameters,
    GetParameters,
    ListParameters,
    SetParameters,
    SetParametersAtomically,
)
from rclpy.parameter import Parameter

from difiisr_ros import SuperResolver
from difiisr_ros.ros.conversions import image_to_array
from difiisr_ros.stream.parameter_spec import Change
from difiisr_ros.stream.parameter_table import TABLE
from support.node_harness import Graph, scene
from support.waiting import wait_for


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
        "string_array": ParameterType.PARAMETER_STRING_ARRAY,
        "int_array": ParameterType.PARAMETER_INTEGER_ARRAY,
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
        assert spec.accepted in descriptor.additional_constraints


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
        ("scale", 3, "accepted: 4, 2, 1"),
        ("output_size", [640], "2 whole numbers, each 0 to 65 536"),
        ("output_size", [65536, 65536], "at most 67108864"),
        ("output_fit", "fill", "stretch, letterbox, crop"),
        ("roi", [0, 0, 40, 70000], "4 whole numbers, each 0 to 65 536"),
        ("roi", [5, 0, 0, 0], "four zeros are the whole frame"),
    ],
)
def test_refused_with_a_reason(graph, name, value, because):
    before = graph.node.parameters[name]
    accepted, reason, _ = set_by_service(graph, name, value)
    assert not accepted
    assert because in reason
    assert name in reason or name == "autostart"
    assert graph.node.parameters[name] == before
    now = graph.node.get_parameter(name).value
    assert (list(now) if isinstance(before, list) else now) == before


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


def test_the_nodes_own_dump_can_be_loaded(graph):
    """As ``ros2 param dump`` and ``load`` do, read-only parameters and rclpy's own included."""
    listed, _ = call(graph, ListParameters, "list_parameters", ListParameters.Request())
    names = list(listed.result.names)
    assert {"model", "autostart", "use_sim_time"} <= set(names)
    assert any(name.startswith("qos_overrides.") for name in names)
    dumped, _ = call(graph, GetParameters, "get_parameters", GetParameters.Request(names=names))
    request = SetParameters.Request()
    request.parameters = [ParameterMessage(name=n, value=v) for n, v in zip(names, dumped.values)]
    response, _ = call(graph, SetParameters, "set_parameters", request)
    assert [r.reason for r in response.results if not r.successful] == []
    together = SetParametersAtomically.Request(parameters=request.parameters)
    response, _ = call(graph, SetParametersAtomically, "set_parameters_atomically", together)
    assert response.result.successful
    # What it is not is refused as before.
    assert not set_by_service(graph, "autostart", False)[0]
    assert not set_by_service(graph, "model", "nano")[0]
