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

"""config/sros2_policy.xml allows what a running node has, and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from rclpy.node import Node

from difiisr_ros.ros.detection_mapper import DetectionMapper
from difiisr_ros.ros.frame_player import FramePlayer
from difiisr_ros.ros.monitor import Monitor
from difiisr_ros.ros.node import SuperResolutionNode
from difiisr_ros.ros.thermal_detector import ThermalDetector
from support.spinning import Spinning
from support.waiting import wait_for

#: What is there only when it is switched on: by use_sim_time, image_transport and output_transport,
#: with Nav2's manager, while a bag is replayed; a service since Jazzy.
OPTIONAL = {
    "/clock",
    "/image_raw/compressed",
    "/sr/image_raw/compressed",
    "/bond",
    "/frames_done",
    "/truth/image_raw",
}


def policy(repository, name):
    """Topics published and subscribed and services served that an enclave allows, resolved."""
    root = ElementTree.parse(repository / "config" / "sros2_policy.xml").getroot()
    assert root.get("version") == "0.2.0"
    (profile,) = root.findall(f"enclaves/enclave[@path='/{name}']/profiles/profile")
    assert (profile.get("ns"), profile.get("node")) == ("/", name)
    allowed = []
    for kind, how in (("topics", "publish"), ("topics", "subscribe"), ("services", "reply")):
        (found,) = [e for e in profile.findall(kind) if e.get(how) == "ALLOW"]
        texts = [entry.text for entry in found]
        assert len(texts) == len(set(texts))
        allowed.append({"/" + t.replace("~", name).lstrip("/") for t in texts})
    return allowed


def running(node: Node):
    """The same of a node, as the graph has it."""
    who = node.get_name(), node.get_namespace()
    found = (
        node.get_publisher_names_and_types_by_node(*who),
        node.get_subscriber_names_and_types_by_node(*who),
        node.get_service_names_and_types_by_node(*who),
    )
    assert not node.get_client_names_and_types_by_node(*who)
    return [{name for name, _ in entries} for entries in found]


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        (SuperResolutionNode, {"backend": "bicubic"}),
        (Monitor, {}),
        (FramePlayer, {"wait_for_subscribers": 9}),
        (ThermalDetector, {}),
        (DetectionMapper, {"mapping": "camera_info"}),
    ],
)
def test_an_enclave_allows_what_its_node_has(repository, monkeypatch, kind, parameters):
    if kind in (ThermalDetector, DetectionMapper):
        pytest.importorskip("vision_msgs", reason="vision_msgs is missing: it comes with ROS 2")
    monkeypatch.setattr(kind, "stop", getattr(kind, "stop", lambda node: None), raising=False)
    with Spinning(kind, **parameters) as spinning:
        node = spinning.node
        getattr(node, "start", lambda: None)()
        if kind is SuperResolutionNode:
            wait_for(lambda: node.state_label == "active", "the node is active")
        publishes, subscribes, serves = policy(repository, node.get_name())
        has = running(node)
        for allowed, there in zip((publishes, subscribes), has):
            assert there <= allowed
            assert allowed - there <= OPTIONAL
        newer = {f"/{node.get_name()}/get_type_description"}  # since Jazzy
        assert has[2] | newer == serves


def test_every_enclave_is_a_nodes(repository):
    root = ElementTree.parse(repository / "config" / "sros2_policy.xml").getroot()
    paths = {enclave.get("path") for enclave in root.iter("enclave")}
    names = ("super_resolution", "sr_monitor", "frame_player", "thermal_detector")
    assert paths == {f"/{name}" for name in (*names, "detection_mapper")}
