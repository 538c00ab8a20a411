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

"""Say what a sourced ROS 2 environment lacks to run this package from its folder.

`make` calls this instead of making a .venv when ROS 2 is sourced: mixing rclpy's wheels with an
installed ROS 2 breaks both. Nothing is installed here; exit code 2 when something is missing.
"""

from __future__ import annotations

import importlib.util
import os
import sys

#: Module -> how to get it. Apt names are those of Ubuntu, which ROS 2 supports first.
NEEDED = {
    "rclpy": "apt: ros-{distro}-rclpy",
    "sensor_msgs": "apt: ros-{distro}-sensor-msgs",
    "diagnostic_msgs": "apt: ros-{distro}-diagnostic-msgs",
    "lifecycle_msgs": "apt: ros-{distro}-lifecycle-msgs",
    "std_srvs": "apt: ros-{distro}-std-srvs",
    "numpy": "apt: python3-numpy",
    "cv2": "apt: python3-opencv",
    "PIL": "apt: python3-pil",
    "tifffile": "apt: python3-tifffile",
    "tqdm": "apt: python3-tqdm",
    "torch": "pip: torch",
    "rosbags": "pip: rosbags",
    "pytest": "apt: python3-pytest",
}


def missing_modules() -> dict[str, str]:
    """Return the modules this interpreter cannot find, each with how to get it."""
    distro = os.environ.get("ROS_DISTRO", "<distro>")
    return {
        module: source.format(distro=distro)
        for module, source in NEEDED.items()
        if importlib.util.find_spec(module) is None
    }


def main() -> int:
    """Print what is missing; 0 when nothing is."""
    missing = missing_modules()
    if not missing:
        return 0
    print(
        f"ROS 2 {os.environ.get('ROS_DISTRO')} is sourced, so `make` uses it and installs nothing, "
        f"but {sys.executable} lacks:",
        file=sys.stderr,
    )
    for module, source in missing.items():
        print(f"  {module:16} {source}", file=sys.stderr)
    print(
        "rosdep install --from-paths . --ignore-src  brings the apt packages. For the pip ones:\n"
        "  python3 -m venv --system-site-packages ~/difiisr && . ~/difiisr/bin/activate\n"
        "  pip install torch rosbags\n"
        "Or leave ROS aside: run make in a shell where no setup.bash was sourced.",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
