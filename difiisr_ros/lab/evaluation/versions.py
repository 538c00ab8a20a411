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

"""What an evaluation ran on: software with versions, and the machine."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from difiisr_ros.version import __version__

#: Always used; others are named where a run needs them.
_LIBRARIES = ("numpy", "torch", "pillow")


def versions(devices: Iterable[str], optional: Iterable[str] = ()) -> dict[str, str]:
    """Names and versions, for the record.

    Args:
        devices: Where models run (``cpu``, ``cuda:0``).
        optional: Further distributions that were used.
    """
    import cv2

    found = {
        "difiisr_ros": __version__,
        "python": platform.python_version(),
        "opencv": cv2.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
    }
    for name in (*_LIBRARIES, *optional):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # apt's Python packages do not all say what they are
            continue
    if any(device.startswith("cuda") for device in devices):
        import torch

        found["gpu"] = torch.cuda.get_device_name()
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{len(names)} x {names[0]}" if names else platform.machine()
