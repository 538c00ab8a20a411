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

"""Room for large images in Fast DDS's shared memory.

With the default segment of 512 KB most best-effort images of a megabyte and more are lost between
two processes. The profile must be named in the environment before rclpy starts.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

PROFILE = "fastdds_large_images.xml"

#: Fast DDS reads the first up to 2.x (Humble, Jazzy), the second from 3.0 on (Kilted).
VARIABLES = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")


def find_profile() -> Path | None:
    """The profile as installed by colcon, in a source checkout, or as installed by pip."""
    candidates = []
    try:
        from ament_index_python.packages import get_package_share_directory

        candidates.append(Path(get_package_share_directory("difiisr_ros")))
    except (ImportError, LookupError, OSError):
        pass  # a checkout or a pip install has no index entry
    candidates.append(Path(__file__).resolve().parents[2])
    candidates.append(Path(sys.prefix) / "share" / "difiisr_ros")
    for folder in candidates:
        profile = folder / "config" / PROFILE
        if profile.is_file():
            return profile
    return None


def lack_of_shared_memory(profile: Path, folder: Path = Path("/dev/shm")) -> str:
    """What to log where the segment does not fit into shared memory, as in a container; or nothing.

    Fast DDS would then say that the platform has no shared memory, and take UDP.
    """
    sizes = re.findall(r"<segment_size>\s*(\d+)", profile.read_text(encoding="utf-8"))
    wanted = max(map(int, sizes), default=0) * 9 // 8  # the segment and its book-keeping
    if not folder.is_dir() or (free := shutil.disk_usage(folder).free) >= wanted:
        return ""
    return (
        f"; {folder} has {free >> 20} MB free and it takes {wanted >> 20}, so that images go "
        "through UDP and large ones may be lost (docker run --ipc=host, or --shm-size=1g)"
    )


def use_large_image_profile() -> str:
    """Name the profile in the environment unless the user named one; returns what to log."""
    for variable in VARIABLES:
        chosen = os.environ.get(variable)
        if chosen:
            return f"Fast DDS profile: {chosen}, as set in {variable}"
    implementation = os.environ.get("RMW_IMPLEMENTATION", "")
    if implementation and "fastrtps" not in implementation:
        return f"Fast DDS profile: not needed by {implementation}"
    profile = find_profile()
    if profile is None:
        return (
            f"Fast DDS profile: {PROFILE} not found; images of a megabyte and more may be lost "
            f"(name a profile in {VARIABLES[0]})"
        )
    for variable in VARIABLES:
        os.environ.setdefault(variable, str(profile))
    return f"Fast DDS profile: {profile}{lack_of_shared_memory(profile)}"
