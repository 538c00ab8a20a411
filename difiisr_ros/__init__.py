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

"""Real-time super-resolution of thermal camera streams.

``from difiisr_ros import SuperResolver`` is the whole engine: numpy frame in, numpy frame out, no
ROS. It is looked up on first use, so that ``import difiisr_ros`` costs nothing and a process that
only reads messages or prints help does not pay for PyTorch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from difiisr_ros.onednn import bound_primitive_cache
from difiisr_ros.openmp import wait_politely
from difiisr_ros.version import __version__

if TYPE_CHECKING:
    from difiisr_ros.core.camera_profile import CameraProfile
    from difiisr_ros.core.region import Region
    from difiisr_ros.pipeline import SuperResolver
    from difiisr_ros.stream_memory import StreamMemory

wait_politely()
bound_primitive_cache()
__all__ = ["CameraProfile", "Region", "StreamMemory", "SuperResolver", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "SuperResolver":
        from difiisr_ros.pipeline import SuperResolver

        return SuperResolver
    if name == "CameraProfile":
        from difiisr_ros.core.camera_profile import CameraProfile

        return CameraProfile
    if name == "Region":
        from difiisr_ros.core.region import Region

        return Region
    if name == "StreamMemory":
        from difiisr_ros.stream_memory import StreamMemory

        return StreamMemory
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
