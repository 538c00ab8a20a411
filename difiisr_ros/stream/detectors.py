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

"""The parameters of the nodes that detect, and that map what was detected."""

from __future__ import annotations

from difiisr_ros.messages.camera_info import CONVENTIONS
from difiisr_ros.models.detector.yolo_layouts import LAYOUTS
from difiisr_ros.stream.parameter_spec import Change, ParameterSpec

BY_PARAMETERS, BY_CAMERA_INFO = "parameters", "camera_info"

#: Every parameter of ``thermal_detector_node``.
DETECTOR_TABLE: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "detector",
        "detector_judge",
        "detector_judge or detector (embedded), the path of a file of 'difiisr train-detector', "
        "or of an .onnx file of YOLOX's or YOLOv8's layout.",
        Change.START,
    ),
    ParameterSpec(
        "layout",
        "auto",
        "Layout of an .onnx file; auto: by the shape of its output.",
        Change.START,
        choices=("auto", *LAYOUTS),
    ),
    ParameterSpec(
        "classes",
        "",
        "Names of an .onnx file's classes, in their order, with commas between them. Empty: those "
        "of NAME.detector.yaml beside it, of the file, COCO's where it has 80, else numbers.",
        Change.START,
    ),
    ParameterSpec(
        "min_score",
        0.3,
        "Weaker detections are not published.",
        Change.START,
        minimum=0.0,
        maximum=1.0,
    ),
)

#: Every parameter of ``detection_mapper_node``.
MAPPER_TABLE: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "message_type",
        "vision_msgs",
        "What is subscribed and published: vision_msgs (Detection2DArray), as of Isaac ROS and "
        "thermal_detector_node, or yolo_msgs (DetectionArray), as of yolo_ros.",
        Change.START,
        choices=("vision_msgs", "yolo_msgs"),
    ),
    ParameterSpec(
        "mapping",
        BY_PARAMETERS,
        "Where the mapping comes from: the parameters here; or camera_info and sr/camera_info, "
        "which tell of each frame any scale, output size and region, also one that moves, where "
        "the camera is calibrated.",
        Change.START,
        choices=(BY_PARAMETERS, BY_CAMERA_INFO),
    ),
    ParameterSpec(
        "scale",
        4.0,
        "Pixels of the detector's image a pixel of the camera's, along each side.",
        Change.START,
        minimum=0.01,
        maximum=64.0,
    ),
    ParameterSpec(
        "scale_y",
        0.0,
        "The same from top to bottom, where it differs; 0: as scale.",
        Change.START,
        minimum=0.0,
        maximum=64.0,
    ),
    ParameterSpec(
        "coordinates",
        "centers",
        "What 0 is: the first pixel's centre (camera_info, thermal_detector_node), or its edge "
        "(detectors of the YOLO family).",
        Change.START,
        choices=("centers", "edges"),
    ),
    ParameterSpec(
        "offset_x",
        0.0,
        "Camera pixels that the super-resolution node's crop or region left out at the left.",
        Change.START,
        minimum=0.0,
        maximum=65536.0,
    ),
    ParameterSpec(
        "offset_y",
        0.0,
        "Camera pixels that it left out at the top.",
        Change.START,
        minimum=0.0,
        maximum=65536.0,
    ),
    ParameterSpec(
        "left",
        0.0,
        "Pixels of the detector's image left of the camera's: the bar of output_fit letterbox. "
        "Negative: what output_fit crop cut off.",
        Change.START,
        minimum=-65536.0,
        maximum=65536.0,
    ),
    ParameterSpec(
        "top",
        0.0,
        "The same at the top.",
        Change.START,
        minimum=-65536.0,
        maximum=65536.0,
    ),
    ParameterSpec(
        "camera_info_convention",
        CONVENTIONS[0],
        "As the super-resolution node has it, for mapping camera_info.",
        Change.START,
        choices=CONVENTIONS,
    ),
)
