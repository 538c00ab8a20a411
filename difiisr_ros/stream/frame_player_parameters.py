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

"""Every parameter of ``frame_player_node``, in one table. No ROS here."""

from __future__ import annotations

from difiisr_ros.core.camera_profile import AUTO, BYTE_ORDERS
from difiisr_ros.stream.parameter_spec import Change, ParameterSpec

TABLE: tuple[ParameterSpec, ...] = tuple(
    ParameterSpec(change=Change.START, **row)
    for row in (
        # What is played.
        dict(
            name="source",
            default="synthetic",
            description="'synthetic' (the built-in thermal scene), or the path of an image, a "
            "folder of images, or a bag.",
        ),
        dict(
            name="topic",
            default="",
            description="Image topic to play of a bag that has several.",
        ),
        dict(
            name="byte_order",
            default=AUTO,
            description="Of the source's pixels of several bytes; auto: as file or message say.",
            choices=BYTE_ORDERS,
        ),
        dict(
            name="width",
            default=160,
            description="Width of the synthetic camera in pixels.",
            minimum=8,
            maximum=4096,
        ),
        dict(
            name="height",
            default=120,
            description="Height of the synthetic camera in pixels.",
            minimum=8,
            maximum=4096,
        ),
        dict(
            name="seed",
            default=0,
            description="Seed of the synthetic scene's textures and noise.",
            minimum=0,
            maximum=2**31 - 1,
        ),
        # How it is played.
        dict(
            name="rate",
            default=30.0,
            description="Frames a second.",
            minimum=0.01,
            maximum=1000.0,
        ),
        dict(
            name="loop",
            default=True,
            description="Start over at the end of the source; otherwise stop there.",
        ),
        dict(
            name="frame_limit",
            default=0,
            description="Stop after this many frames; 0: no limit.",
            minimum=0,
            maximum=2**31 - 1,
        ),
        dict(
            name="exit_when_done",
            default=True,
            description="End the process after the last frame; otherwise stay idle.",
        ),
        dict(
            name="wait_for_subscribers",
            default=0,
            description="Publish nothing before image_raw has this many subscribers.",
            minimum=0,
            maximum=1000,
        ),
        dict(
            name="wait_timeout",
            default=60.0,
            description="Give up, with exit code 1, when what is waited for (subscribers, or with "
            "max_pending a frame's result) has not come after these seconds.",
            minimum=0.0,
            maximum=86400.0,
        ),
        dict(
            name="max_pending",
            default=0,
            description="Publish no frame while this many are not done, as the recorder counts on "
            "frames_done (sr_monitor_node with reliability reliable), so that none waits in memory "
            "and each is timed alone; 0: do not look.",
            minimum=0,
            maximum=1000,
        ),
        dict(
            name="stamps",
            default="now",
            description="Stamps of the headers: now, the node's clock at publication; or recorded, "
            "those of the bag.",
            choices=("now", "recorded"),
        ),
        dict(
            name="publish_clock",
            default=False,
            description="Publish each frame's recording time on clock before the frame, for nodes "
            "with use_sim_time.",
        ),
        # How it looks on the topics.
        dict(
            name="encoding",
            default="auto",
            description="Encoding to publish; auto keeps the source's (mono8, mono16 or 32FC1). "
            "Where depth is lost, each frame's 1st to 99th percentile becomes the full scale, as "
            "in a camera with automatic gain.",
            choices=("auto", "mono8", "mono16", "32FC1"),
        ),
        dict(
            name="frame_id",
            default="",
            description="frame_id of the headers; empty: the bag's own, else "
            "thermal_optical_frame.",
        ),
        dict(
            name="reliability",
            default="best_effort",
            description="QoS of the publishers; best_effort is what camera drivers offer.",
            choices=("best_effort", "reliable"),
        ),
        dict(
            name="publish_truth",
            default=False,
            description="Publish the noiseless x4 truth on truth/image_raw where it is known "
            "(synthetic source).",
        ),
        dict(
            name="report_file",
            default="",
            description="Write what was published, as JSON, at the end: counts, and each frame's "
            "stamp, index and name.",
        ),
    )
)

BY_NAME = {spec.name: spec for spec in TABLE}
