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

"""Replaying a bag through the node: how it is played, when it is over, how it is scored.

No ROS here; the launch file, and the test that starts the processes itself, share this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from difiisr_ros.core.camera_profile import AUTO, CameraProfile, resolve_camera
from difiisr_ros.errors import DataError
from difiisr_ros.io.bags import BagReader, camera_info_topic_for
from difiisr_ros.stream import diagnostic_keys as keys
from difiisr_ros.stream.frames_done import without_result
from difiisr_ros.stream.parameter_table import BY_NAME, PIXELS

TASKS = (keys.BACKEND, keys.INPUT, keys.INFERENCE)

#: How a replay runs the three: every frame in its own time, none ahead of another.
NODE = {
    "drop_policy": "block",
    "autostart": True,
    "use_sim_time": True,
    # What a file of parameters may say for a vehicle, and would make results incomparable.
    "camera_names": [""],
    "image_transport": "raw",
    "output_transport": "raw",
    "output_encoding": "same",
    "output_unit": "same",
    "output_size": [0, 0],
    "output_fit": "stretch",
    "roi": [0, 0, 0, 0],
    "deadline_ms": 0.0,
    "lazy": False,
}
PLAYER = {
    "rate": 100.0,  # at most: the next frame comes when the one before is recorded
    "loop": False,
    "stamps": "recorded",
    "publish_clock": True,
    "reliability": "reliable",
    "max_pending": 1,
    "wait_for_subscribers": 2,  # the node and the recorder
}
RECORDER = {"reliability": "reliable", "latency_from": "publication", "bag_seconds": 0.0}


#: What says which of the recorded pixels measure, and of what camera they are.
_PIXELS = {
    "camera": "--camera",
    "missing": "--missing",
    "crop": "--crop",
    "bad_pixels": "--bad-pixels",
    "byte_order": "--byte-order",
}
#: Parameters of the node that are options of ``difiisr evaluate``.
_ENGINE = {
    "model": "--model",
    "autoencoder": "--autoencoder",
    **_PIXELS,
    "backend": "--backend",
    "engine_file": "--engine-file",
    "provider": "--provider",
    "device": "--device",
    "precision": "--precision",
    "num_threads": "--threads",
    "scale": "--scale",
    "num_steps": "--num-steps",
    "quality": "--quality",
    "guidance.visual_scale": "--visual-scale",
    "guidance.perceptual_scale": "--perceptual-scale",
    "guidance.gradient": "--guidance-gradient",
    "seed": "--seed",
    "consistency": "--consistency",
    "overshoot": "--overshoot",
    "range_mode": "--range-mode",
    "range_min": "--range-min",
    "range_max": "--range-max",
    "max_input_pixels": "--max-input-pixels",
    "tile_size": "--tile-size",
}


class Stage(Enum):
    """How far a replay has come."""

    STARTING = "starting"
    """The node loads its model, or nobody is there yet to receive its results."""
    ACTIVE = "active"
    """The node takes frames and is heard: the player may begin."""
    FAILED = "failed"
    """The node could not be configured or activated."""
    DONE = "done"
    """The player has ended, the node has nothing left to do, and all results are recorded."""


@dataclass
class ReplayProgress:
    """Follows the node's diagnostics.

    With ``drop_policy: block`` frames wait in the middleware until the node takes them, so the end
    of the player says nothing about the end of the work. Diagnostics come again every second, so
    none of this depends on being there when something happens.
    """

    node_name: str
    """Fully qualified, without the leading slash: ``replay/super_resolution``."""
    played: bool = False
    """To be set when the player has ended."""
    recorded: int = 0
    """To be set to what the recorder says on ``frames_done``."""
    stage: Stage = Stage.STARTING
    published: int = 0
    """Frames whose result was published."""
    reason: str = ""
    """Why the node failed."""
    _idle_at: int | None = None

    def update(self, statuses: Mapping[str, Mapping[str, str]]) -> Stage | None:
        """The new stage, if this report leads to one.

        Args:
            statuses: one ``DiagnosticArray``: values by key, by status name. Without the statuses
                of this node it is ignored.
        """
        found = {t: statuses.get(keys.status_name(self.node_name, t)) for t in TASKS}
        tasks = {task: values for task, values in found.items() if values is not None}
        if len(tasks) < len(found):
            return None
        before = self.stage
        if before is Stage.STARTING:
            self._begin(tasks)
        elif before is Stage.ACTIVE:
            self._follow(tasks)
        return None if self.stage is before else self.stage

    def _begin(self, tasks: Mapping[str, Mapping[str, str]]) -> None:
        backend, met = tasks[keys.BACKEND], int(tasks[keys.INFERENCE][keys.SUBSCRIBERS])
        # A result that is published before a subscriber was met is lost, also by reliable QoS.
        if backend[keys.LIFECYCLE_STATE] == "active" and met > 0:
            self.stage = Stage.ACTIVE
        elif backend[keys.LAST_TRANSITION_ERROR]:
            self.stage, self.reason = Stage.FAILED, backend[keys.LAST_TRANSITION_ERROR]

    def _follow(self, tasks: Mapping[str, Mapping[str, str]]) -> None:
        received = int(tasks[keys.INPUT][keys.FRAMES_RECEIVED])
        self.published = int(tasks[keys.INFERENCE][keys.FRAMES_PUBLISHED])
        ended = self.published + without_result(tasks)
        if not self.played or received != ended or self.recorded < ended:
            self._idle_at = None
        elif self._idle_at == received:
            self.stage = Stage.DONE
        else:  # one report is not enough: a frame may be on its way from the middleware just now
            self._idle_at = received


def engine_options(params_file: str | None, given: Mapping[str, Any]) -> list[str]:
    """Options that give ``difiisr evaluate`` the engine that the node has.

    Args:
        params_file: YAML file of parameters, of which the section for all nodes (``/**``) counts.
        given: Parameters that were given besides, by name; they come first.

    Raises:
        DataError: The file cannot be read.
    """
    values = _values(params_file, given)
    if values.get("range_mode") != "fixed":
        values = {k: v for k, v in values.items() if k not in ("range_min", "range_max")}
    return [
        word
        for name, option in _ENGINE.items()
        if name in values and values[name] != ""
        for word in _words(option, str(values[name]))
    ]


def pixel_options(params_file: str | None, given: Mapping[str, Any]) -> list[str]:
    """The part of :func:`engine_options` that says how recorded frames are to be read."""
    values = _values(params_file, given)
    return engine_options(None, {name: values[name] for name in _PIXELS if name in values})


def camera_of_played_frames(
    params_file: str | None, given: Mapping[str, Any], folder: Path
) -> tuple[dict[str, Any], CameraProfile | None]:
    """What a node is told of the camera whose frames are played to it: these are put right.

    Args:
        params_file, given: As for :func:`engine_options`.
        folder: Where a profile may be written.

    Returns:
        Parameters that keep the node from cropping and filling in once more; and the profile that
        is to be written as ``camera.yaml`` there for them, if any.

    Raises:
        DataError, OptionError: see :func:`difiisr_ros.core.camera_profile.resolve_camera`.
    """
    values = _values(params_file, given)
    known = resolve_camera(values.get("camera", AUTO))
    told: dict[str, Any] = {name: BY_NAME[name].default for name in PIXELS}
    scene = known.of_the_scene()
    if scene == known:
        return told, None
    return {**told, "camera": str(folder / "camera.yaml")}, scene


def _words(option: str, value: str) -> list[str]:
    """For a command line, where what begins with a minus is an option."""
    return [f"{option}={value}"] if value.startswith("-") else [option, value]


def _values(params_file: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    import yaml

    values: dict[str, Any] = {}
    if params_file:
        try:
            sections = yaml.safe_load(Path(params_file).read_text(encoding="utf-8")) or {}
            values.update(sections.get("/**", {}).get("ros__parameters", {}))
        except (OSError, ValueError, AttributeError, yaml.YAMLError) as error:
            raise DataError(f"params_file:={params_file}: cannot be read: {error}") from error
    return {**values, **given}


def bag_play_command(bag: str, topic: str, namespace: str, rate: float, qos_file: str) -> list[str]:
    """``ros2 bag play`` of one camera into a namespace, with its clock.

    Args:
        bag: path of the bag.
        topic: its image topic; the calibration is expected beside it.
        namespace: absolute; ``image_raw`` and ``camera_info`` are published in it.
        rate: factor of the recorded speed.
        qos_file: YAML file of :func:`replay_qos`.
    """
    info = camera_info_topic_for(topic)
    above = namespace.rstrip("/")
    return [
        "ros2",
        "bag",
        "play",
        bag,
        "--topics",
        topic,
        info,
        "--remap",
        f"{topic}:={above}/image_raw",
        f"{info}:={above}/camera_info",
        f"/clock:={above}/clock",
        "--qos-profile-overrides-path",
        qos_file,
        "--rate",
        f"{rate:g}",
        # Discovery first: what is published before it is lost, also by a reliable publisher.
        "--delay",
        "2",
        "--wait-for-all-acked",
        "10000",
        "--clock",
        "100",
        "--disable-keyboard-controls",
    ]


def played_topic(bag: Path) -> str:
    """The one image topic of a bag that was written to be played."""
    with BagReader(bag) as reader:
        return reader.image_topics()[0]


def replay_qos(topic: str) -> dict[str, dict[str, str]]:
    """The QoS to play a bag's topics with: reliable, though they may be recorded best effort.

    ``drop_policy: block`` subscribes reliably, and a best-effort publisher would not match.
    """
    profile = {"reliability": "reliable", "history": "keep_all", "durability": "volatile"}
    return {name: dict(profile) for name in (topic, camera_info_topic_for(topic))}
