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

"""What a node's ``--help`` prints: what it is, its topics, its parameters, how it is started."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from difiisr_ros.stream import (
    detectors,
    frame_player_parameters,
    monitor_parameters,
    parameter_table,
)
from difiisr_ros.stream.parameter_spec import Change, ParameterSpec

_WIDTH = 100
_GROUPS = {
    Change.LIVE: "may change at any time, from the next frame on",
    Change.CONFIGURE: "read when configuring",
    Change.START: "read when the node starts",
}


@dataclass(frozen=True)
class NodeHelp:
    """A node, in words."""

    executable: str
    what: str
    subscribed: tuple[str, ...]
    published: tuple[str, ...]
    table: Sequence[ParameterSpec]
    example: str
    """Arguments of ``ros2 run difiisr_ros EXECUTABLE``."""
    launch: str = ""
    """The launch file that starts it, with an argument; empty: none starts it alone."""

    def text(self) -> str:
        """All of it, lines below a hundred characters."""
        start = [f"ros2 run difiisr_ros {self.executable} {self.example}"]
        start += [f"ros2 launch difiisr_ros {self.launch}"] if self.launch else []
        parts = [
            textwrap.fill(f"{self.executable}: {self.what}", _WIDTH),
            _listed("start it", start),
            _listed("subscribes to (remap with -r NAME:=TOPIC)", self.subscribed),
            _listed("publishes", self.published),
        ]
        for change, words in _GROUPS.items():
            rows = [spec for spec in self.table if spec.change is change]
            if rows:
                parts.append(f"parameters, {words} (-p NAME:=VALUE):\n" + "".join(map(_row, rows)))
        return "\n\n".join(part.rstrip("\n") for part in parts if part)


def _listed(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *(f"  {line}" for line in lines)]) if lines else ""


def _row(spec: ParameterSpec) -> str:
    facts = f"default {json.dumps(spec.default)}; {spec.accepted}"
    text = textwrap.fill(
        spec.description, _WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
    )
    return f"  {spec.name} ({facts})\n{text}\n"


NODES = {
    node.executable: node
    for node in (
        NodeHelp(
            "super_resolution_node",
            "upscales every frame of a thermal camera, or a part of it, four times in width and "
            "height, or to another size, with the camera's header, type and units. A lifecycle "
            "node that starts by itself.",
            (
                "image_raw (sensor_msgs/Image; or image_raw/compressed)",
                "camera_info (sensor_msgs/CameraInfo, beside the image)",
                "~/roi (sensor_msgs/RegionOfInterest, latched; ~/CAMERA/roi with camera_names)",
            ),
            (
                "sr/image_raw (sensor_msgs/Image; or sr/image_raw/compressed)",
                "sr/camera_info (sensor_msgs/CameraInfo)",
                "/diagnostics (diagnostic_msgs/DiagnosticArray)",
            ),
            parameter_table.TABLE,
            "--ros-args -r image_raw:=/thermal/image_raw -p model:=nano",
            "super_resolution.launch.py image:=/thermal/image_raw",
        ),
        NodeHelp(
            "frame_player_node",
            "publishes frames of a file, a folder, a bag or the built-in synthetic scene, as a "
            "thermal camera does.",
            ("frames_done (std_msgs/UInt64, with max_pending)",),
            (
                "image_raw (sensor_msgs/Image)",
                "camera_info (sensor_msgs/CameraInfo)",
                "truth/image_raw (sensor_msgs/Image, with publish_truth)",
                "clock (rosgraph_msgs/Clock, with publish_clock)",
            ),
            frame_player_parameters.TABLE,
            "--ros-args -p source:=/data/frames -p rate:=9.0",
            "demo.launch.py",
        ),
        NodeHelp(
            "sr_monitor_node",
            "prints rate, latency and drops of super_resolution_node, and can record a bag.",
            (
                "image_raw, sr/image_raw (sensor_msgs/Image)",
                "camera_info, sr/camera_info (sensor_msgs/CameraInfo)",
                "/diagnostics (diagnostic_msgs/DiagnosticArray)",
            ),
            ("frames_done (std_msgs/UInt64, with reliability reliable)",),
            monitor_parameters.TABLE,
            "--ros-args -r image_raw:=/thermal/image_raw",
        ),
        NodeHelp(
            "detection_mapper_node",
            "gives boxes that a detector found in results back in the camera's pixels.",
            (
                "sr/detections (vision_msgs/Detection2DArray, or yolo_msgs' by message_type)",
                "camera_info, sr/camera_info (sensor_msgs/CameraInfo, with mapping camera_info)",
            ),
            ("detections (the same type)",),
            detectors.MAPPER_TABLE,
            "--ros-args -r sr/detections:=/detector/detections",
        ),
        NodeHelp(
            "thermal_detector_node",
            "finds persons and vehicles in thermal images, by the detector that comes along or by "
            "an ONNX file of YOLOX's or YOLOv8's layout.",
            ("sr/image_raw (sensor_msgs/Image)",),
            ("sr/detections (vision_msgs/Detection2DArray)",),
            detectors.DETECTOR_TABLE,
            "--ros-args -p detector:=yolox_nano.onnx",
        ),
    )
}


def help_text(executable: str, arguments: Sequence[str]) -> str | None:
    """What to print where ``-h`` or ``--help`` is among a node's arguments; else None."""
    if not {"-h", "--help"} & set(arguments):
        return None
    return NODES[executable].text()
