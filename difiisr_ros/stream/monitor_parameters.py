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

"""Every parameter of ``sr_monitor_node``, in one table. No ROS here."""

from __future__ import annotations

from difiisr_ros.stream.parameter_spec import Change, ParameterSpec

TABLE: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "period",
        1.0,
        "Seconds between two printed lines.",
        Change.START,
        minimum=0.1,
        maximum=3600.0,
    ),
    ParameterSpec(
        "reliability",
        "best_effort",
        "QoS of the subscriptions. best_effort matches every publisher. reliable loses nothing, "
        "for a node with drop_policy block; frames_done then says how many frames are done.",
        Change.START,
        choices=("best_effort", "reliable"),
    ),
    ParameterSpec(
        "latency_from",
        "stamp",
        "What latency counts from: the frame's stamp, to its result's arrival here; or its "
        "publication, to that of its result, for stamps that are recorded ones. The bag's log "
        "times are arrivals or publications accordingly.",
        Change.START,
        choices=("stamp", "publication"),
    ),
    ParameterSpec(
        "bag",
        "",
        "Record inputs and outputs into this new rosbag2 folder (mcap); empty: do not record.",
        Change.START,
    ),
    ParameterSpec(
        "bag_seconds",
        60.0,
        "Stop recording this long after the first message, to bound the file; 0: never.",
        Change.START,
        minimum=0.0,
        maximum=1e9,
    ),
    ParameterSpec(
        "result_file",
        "",
        "Write what was measured, as JSON, at the end; empty: do not.",
        Change.START,
    ),
)

BY_NAME = {spec.name: spec for spec in TABLE}
