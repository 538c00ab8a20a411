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

"""Tasks and keys of ``/diagnostics`` that other programs of this package read. No ROS here.

:mod:`difiisr_ros.ros.diagnostics` writes them; monitor, replay and demo read them. The backend's
other keys are the fields of :class:`difiisr_ros.pipeline.SuperResolverInfo`.
"""

from __future__ import annotations

INPUT, INFERENCE, BACKEND = "input", "inference", "backend"

TOPIC = "topic"  # of the input's images, and of the results
FRAMES_RECEIVED = "frames received"
FRAMES_DISPLACED = "frames displaced by newer ones"
FRAMES_REJECTED = "frames rejected"
SHUTTER_FRAMES = "shutter frames"
FRAMES_PUBLISHED = "frames published"
FRAMES_SKIPPED = "frames skipped for the deadline"
SUBSCRIBERS = "subscribers"
LIFECYCLE_STATE = "lifecycle state"
LAST_TRANSITION_ERROR = "last transition error"
LOOKS_WRONG = "looks wrong"  # about the input's frames, with the parameter that helps
NOISE_COUNTS = "noise (counts)"
FRAMES_AVERAGED = "frames averaged where still"
FOLLOWED_SHARE = "averaged along the motion (% of the pixels)"
PATTERN_COUNTS = "learnt pattern (counts)"
STILL_SHARE = "still (% of the pixels)"


def status_name(node: str, task: str) -> str:
    """Name of the status of a task, as ``super_resolution: input``."""
    return f"{node}: {task}"


def duration(what: str, percentile: str) -> str:
    """Key of ``latency``, ``upscale`` or ``overhead`` at ``p50``, ``p95`` or ``p99``."""
    return f"{what} {percentile} (ms)"
