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

"""How to start one of this package's nodes, wherever the package is: checkout, pip or colcon."""

from __future__ import annotations

import json
import os
import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import difiisr_ros


def node_command(module: str, parameters: Mapping[str, Any]) -> list[str]:
    """The command line of ``difiisr_ros.ros.<module>`` with these parameters; None is left out."""
    command = [sys.executable, "-m", f"difiisr_ros.ros.{module}", "--ros-args"]
    for name, value in parameters.items():
        if value is not None:
            command += ["-p", f"{name}:={_yaml(value)}"]
    return command


def node_environment() -> dict[str, str]:
    """For the nodes: this package importable, and no other robot in hearing distance."""
    environment = dict(os.environ)
    # As `-m` would find it from the current folder, but independent of that.
    package = str(Path(difiisr_ros.__file__).resolve().parents[1])
    paths = [package, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    # ament_index_python (rclpy needs it) looks packages up here; an installed ROS 2 has set it.
    environment.setdefault("AMENT_PREFIX_PATH", sys.prefix)
    # Up to 101 a domain's ports stay below the ephemeral ones.
    environment.setdefault("ROS_DOMAIN_ID", str(random.SystemRandom().randint(1, 101)))
    environment.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if environment.get("ROS_DISTRO") == "humble":  # older than the variable above
        environment.setdefault("ROS_LOCALHOST_ONLY", "1")
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def _yaml(value: Any) -> str:
    """A parameter value as rcl reads it from the command line: strings quoted, never guessed."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value))
