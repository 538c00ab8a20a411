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

"""How a bag is played, and when its replay is over."""

from __future__ import annotations

import argparse

import pytest

from difiisr_ros.commands import evaluate
from difiisr_ros.errors import DataError
from difiisr_ros.stream import replay
from difiisr_ros.stream.parameter_table import ENGINE
from difiisr_ros.stream.replay import (
    ReplayProgress,
    Stage,
    bag_play_command,
    camera_of_played_frames,
    engine_options,
    pixel_options,
    replay_qos,
)

NODE = "replay/super_resolution"


def report(state="active", error="", received=0, published=0, rejected=0, skipped=0, subscribers=1):
    return {
        f"{NODE}: backend": {"lifecycle state": state, "last transition error": error},
        f"{NODE}: input": {
            "frames received": str(received),
            "frames rejected": str(rejected),
            "frames displaced by newer ones": "0",
        },
        f"{NODE}: inference": {
            "frames published": str(published),
            "subscribers": str(subscribers),
            "frames skipped for the deadline": str(skipped),
        },
        "someone/else: input": {"frames received": "7"},
    }


@pytest.fixture
def progress():
    """A replay whose node has just become active."""
    made = ReplayProgress(NODE)
    assert made.update(report("unconfigured")) is None
    assert made.update(report("inactive")) is None
    assert made.update(report(subscribers=0)) is None  # nobody would record
    assert made.update(report()) is Stage.ACTIVE
    assert made.update(report()) is None  # once
    return made


def test_done_when_idle_twice_after_the_player_has_ended(progress):
    assert progress.update(report(received=9, published=9)) is None
    assert progress.update(report(received=9, published=9)) is None  # the player may only pause
    progress.played, progress.recorded = True, 10
    assert progress.update(report(received=10, published=10)) is None
    assert progress.update(report(received=10, published=10)) is Stage.DONE
    assert progress.published == 10
    assert progress.update(report(received=10, published=10)) is None


def test_not_done_while_frames_come_or_are_in_work(progress):
    progress.played, progress.recorded = True, 5
    for received, published in [(3, 3), (4, 4), (5, 4), (5, 4), (5, 5)]:
        assert progress.update(report(received=received, published=published)) is None
    assert progress.update(report(received=5, published=5)) is Stage.DONE


def test_not_done_before_all_is_recorded(progress):
    progress.played, progress.recorded = True, 4
    for _ in range(3):
        assert progress.update(report(received=5, published=5)) is None
    progress.recorded = 5
    assert progress.update(report(received=5, published=5)) is None
    assert progress.update(report(received=5, published=5)) is Stage.DONE


def test_rejected_and_skipped_frames_are_done_too(progress):
    progress.played, progress.recorded = True, 6
    values = dict(received=6, published=3, rejected=2, skipped=1)
    assert progress.update(report(**values)) is None
    assert progress.update(report(**values)) is Stage.DONE


def test_a_player_that_played_nothing_ends_too(progress):
    progress.played = True
    assert progress.update(report()) is None
    assert progress.update(report()) is Stage.DONE


def test_a_node_that_cannot_start_is_a_failure():
    progress = ReplayProgress(NODE)
    assert progress.update(report("unconfigured", "configure failed: no model")) is Stage.FAILED
    assert progress.reason == "configure failed: no model"


def test_other_nodes_do_not_count(progress):
    progress.played = True
    other = {name.replace(NODE, "super_resolution"): v for name, v in report().items()}
    assert progress.update(other) is None
    assert progress.update({}) is None


def test_bag_play_command():
    command = bag_play_command("/b", "/cam/image_raw", "/replay", 0.5, "/q.yaml")
    assert command[:4] == ["ros2", "bag", "play", "/b"]
    topics = command[command.index("--topics") + 1 :][:2]
    assert topics == ["/cam/image_raw", "/cam/camera_info"]
    remaps = command[command.index("--remap") + 1 :][:2]
    assert remaps == [
        "/cam/image_raw:=/replay/image_raw",
        "/cam/camera_info:=/replay/camera_info",
    ]
    assert command[command.index("--rate") + 1] == "0.5"
    assert command[command.index("--qos-profile-overrides-path") + 1] == "/q.yaml"
    assert "--clock" in command


def test_the_bag_is_played_reliably():
    profiles = replay_qos("/cam/image_raw")
    assert set(profiles) == {"/cam/image_raw", "/cam/camera_info"}
    assert all(p["reliability"] == "reliable" for p in profiles.values())


def test_the_engine_is_the_nodes(tmp_path):
    file = tmp_path / "params.yaml"
    file.write_text(
        "/**:\n  ros__parameters:\n    num_steps: 2\n    seed: 7\n    range_min: 1.0\n"
        "    lazy: true\nother:\n  ros__parameters:\n    seed: 8\n"
    )
    options = engine_options(str(file), {"backend": "bicubic", "num_steps": 4})
    assert options == ["--backend", "bicubic", "--num-steps", "4", "--seed", "7"]
    fixed = engine_options(str(file), {"range_mode": "fixed"})
    assert fixed[-4:] == ["--range-mode", "fixed", "--range-min", "1.0"]
    assert engine_options(None, {}) == engine_options("", {}) == []


def test_frames_that_were_put_right_are_not_cropped_again(tmp_path):
    (tmp_path / "camera.yaml").write_text("crop: {bottom: 2}\nnoise: 3\nbyte_order: big\n")
    file = tmp_path / "params.yaml"
    own = f"    camera: {tmp_path}/camera.yaml\n    missing: '-9999'\n    overshoot: 0.25\n"
    file.write_text("/**:\n  ros__parameters:\n" + own)
    told, profile = camera_of_played_frames(str(file), {}, tmp_path / "out")
    assert told == {
        "missing": "",
        "crop": "",
        "bad_pixels": "",
        "byte_order": "auto",
        "camera": f"{tmp_path}/out/camera.yaml",
    }
    assert (profile.noise, profile.crop, profile.byte_order) == (3, (0, 0, 0, 0), "auto")
    # The frames are read, and those of the engine offline too, as the camera's own.
    read = pixel_options(str(file), {"crop": "1,0,0,0"})
    assert read == ["--camera", f"{tmp_path}/camera.yaml", "--missing=-9999", "--crop", "1,0,0,0"]
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    parsed = parser.parse_args(["bag", *engine_options(str(file), {})])
    assert (parsed.missing, parsed.overshoot) == ("-9999", 0.25)


@pytest.mark.parametrize("camera", ["auto", "reduced", ""])
def test_a_camera_without_a_file_is_told_as_it_is(tmp_path, camera):
    told, profile = camera_of_played_frames(None, {"camera": camera} if camera else {}, tmp_path)
    assert profile is None and "camera" not in told


def test_every_option_of_the_engine_is_handed_over(repository):
    # Not options of the command, or of the node's own business, or as the evaluation has it.
    without = {"strict_backend", "tile_overlap", "build_only"}
    fixed = {"output_size", "output_fit"}
    assert set(ENGINE) - set(replay._ENGINE) == without | fixed
    assert {*fixed, "roi"} <= set(replay.NODE)


def test_engine_options_exist_and_cover_the_shipped_file(repository):
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    options = engine_options(str(repository / "config" / "super_resolution.yaml"), {})
    parsed = parser.parse_args(["bag", *options])
    assert options and parsed.model == "lite" and parsed.num_steps == [1]


@pytest.mark.parametrize("content", ["a: [", "- 1", "/**: 3"])
def test_a_file_of_parameters_that_is_none_is_named(tmp_path, content):
    file = tmp_path / "params.yaml"
    file.write_text(content)
    with pytest.raises(DataError, match=r"params_file:=.*params\.yaml: cannot be read"):
        engine_options(str(file), {})
