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

"""Launch files, docs/launch.md and the parameter tables say the same, and the files do it.

Runs with stand-ins for launch; test/launch runs the files with the real one.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from launch_stand_ins import LAUNCH_FILES, declared, kind, launch_file, nodes, plain, started

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.scene.street import SyntheticScene
from difiisr_ros.stream import frame_player_parameters, monitor_parameters
from difiisr_ros.stream.launch_arguments import NODE_PARAMETERS
from difiisr_ros.stream.replay import NODE, PLAYER, RECORDER

TABLES = (NODE_PARAMETERS, frame_player_parameters.BY_NAME)
BOOLEANS = ("true", "True", "false", "False")


def test_every_launch_file_is_tested(repository):
    files = {path.name for path in (repository / "launch").glob("*.launch.*")}
    assert files == {f"{name}.launch.py" for name in LAUNCH_FILES}


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_arguments_are_declared_and_mirror_parameters(repository, name):
    with launch_file(repository, name) as module:
        declarations = declared(module)
        arguments = module.ARGUMENTS
    assert list(declarations) == [argument.name for argument in arguments]
    for argument in arguments:
        says = declarations[argument.name]
        assert says["description"] == argument.description
        assert argument.description.endswith(".")
        assert says["choices"] == (list(argument.accepted_texts) or None)
        assert says["default_value"] == argument.default
        assert argument.default in (None, *(argument.accepted_texts or (argument.default,)))
        same_name = [table[argument.name] for table in TABLES if argument.name in table]
        if argument.parameter is None:
            # A name that is also a parameter's must not mean something else.
            assert not same_name or name == "replay_evaluation"
            continue
        assert argument.parameter in same_name
        spec = argument.parameter
        assert argument.description.startswith(spec.description)
        texts = tuple(map(str, spec.choices))
        assert argument.choices == (BOOLEANS if spec.type_name == "bool" else texts)


def in_share(repository, path):
    """The file that a path of the package's share folder stands for."""
    file = repository / "/".join(path.args[0][1:])
    assert file.is_file()
    return file


@pytest.mark.parametrize("name", LAUNCH_FILES)
def test_docs_have_every_argument_as_it_is(repository, name):
    """That they are as the script writes them: test_written_parameters.py."""
    with launch_file(repository, name) as module:
        arguments = module.ARGUMENTS
    text = (repository / "docs" / "launch.md").read_text()
    shared = text.split("<!-- arguments:shared -->")[1].split("<!-- /arguments")[0]
    section = text.split(f"\n## {name}.launch.py\n")[1].split("\n## ")[0]
    part = section.split(f"<!-- arguments:{name} -->")[1].split("<!-- /arguments")[0]
    for argument in arguments:
        assert f"`{argument.name}`" in part, argument.name
        mirrored = argument.parameter is not None and argument.default == ""
        if not mirrored:
            assert argument.description in shared + part, argument.name
            assert argument.accepted == "any" or argument.accepted in shared + part
        if argument.default:
            assert f"`{argument.default}`" in part, argument.name
    assert f"ros2 launch difiisr_ros {name}.launch.py" in section


def test_examples_use_arguments_that_exist(repository):
    pages = [*(repository / "docs").rglob("*.md"), repository / "README.md"]
    pages += (repository / "launch").glob("*.launch.py")
    examples = 0
    for page in pages:
        lines = re.findall(r"ros2 launch difiisr_ros (\w+)\.launch\.py([^\n`]*)", page.read_text())
        for name, rest in lines:
            with launch_file(repository, name) as module:
                arguments = {a.name: a for a in module.ARGUMENTS}
            for argument, value in re.findall(r"(\w+):=(\S+)", rest):
                examples += 1
                assert argument in arguments, f"{page.name}: {argument}"
                accepted = arguments[argument].accepted_texts
                assert not accepted or value in accepted, f"{page.name}: {argument}:={value}"
    assert examples > 15


@pytest.mark.parametrize(
    ("name", "needed"),
    [
        ("super_resolution", {}),
        ("multi_camera", {"camera_names": "a,b"}),
        ("replay_evaluation", {"bag": "."}),
        ("demo", {"view": "none"}),
    ],
)
def test_what_is_started_is_installed_with_parameters_that_exist(
    repository, tmp_path, name, needed
):
    if name == "replay_evaluation":
        needed = {**needed, "output": str(tmp_path / "out")}
    setup = (repository / "setup.py").read_text()
    with launch_file(repository, name) as module:
        found = nodes(started(module, **needed))
        for node in found.values():
            assert node["package"] == "difiisr_ros"
            assert f'"{node["executable"]} = difiisr_ros.ros.' in setup
            values = plain(node.get("parameters"))
            table = {
                "super_resolution_node": NODE_PARAMETERS,
                "frame_player_node": frame_player_parameters.BY_NAME,
                "sr_monitor_node": monitor_parameters.BY_NAME,
            }[node["executable"]]
            for key, value in values.items():
                if kind(value) == "PathJoinSubstitution":  # a file of the package
                    value = str(in_share(repository, value))
                assert table[key].check(value) is None, key


def test_what_is_not_given_is_left_to_who_includes_the_file(repository, tmp_path):
    """Not even an empty file of parameters, nor an empty list of ROS arguments."""
    with launch_file(repository, "super_resolution") as module:
        (node,) = nodes(started(module)).values()
        assert node["name"] == "super_resolution"
        assert node["parameters"] is None
        assert node["ros_arguments"] is None
        assert node["remappings"] == [("image_raw", "image_raw")]
        assert node["respawn"] is False
        file = tmp_path / "mine.yaml"
        file.write_text("/**: {ros__parameters: {num_steps: 2}}")
        (node,) = nodes(started(module, params_file=str(file))).values()
        assert node["parameters"] == [str(file)]


@pytest.mark.parametrize(
    ("name", "needed"), [("super_resolution", {}), ("multi_camera", {"camera_names": "a,b"})]
)
def test_the_node_stands_in_the_launch_description(repository, name, needed):
    """So that a file that includes it can name it as the target of an event handler."""
    with launch_file(repository, name) as module:
        (entities,) = module.generate_launch_description().args
        (node,) = [e for e in entities if kind(e) == "DeclaredNode"]
        assert node.kwargs["name"] == "super_resolution"
        assert kind(node.kwargs["namespace"]) == "LaunchConfiguration"
        assert started(module, **needed)[-1] is not node  # of another description


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("super_resolution", {"image": "/a/2nd"}),
        ("super_resolution", {"camera_info": "/a b/info"}),
        ("super_resolution", {"image": "/a//b"}),
        ("multi_camera", {"camera_names": "a,b", "image": "th-ermal"}),
    ],
)
def test_names_that_no_topic_can_have_end_the_launch(repository, name, more):
    (argument, text), *_ = reversed(more.items())
    with (
        launch_file(repository, name) as module,
        pytest.raises(OptionError, match=f"{argument}:={text}: is no name of a topic"),
    ):
        started(module, **more)


@pytest.mark.parametrize("name", ["super_resolution", "multi_camera"])
def test_a_node_is_started_again_if_that_is_asked_for(repository, name):
    needed = {"camera_names": "a,b"} if name == "multi_camera" else {}
    with launch_file(repository, name) as module:
        (node,) = nodes(started(module, respawn="true", **needed)).values()
        assert node["respawn"] is True and node["respawn_delay"] > 0
        with pytest.raises(OptionError, match=r"build_only:=true with respawn:=true"):
            started(module, respawn="true", build_only="True", **needed)


def test_a_file_of_parameters_for_others_is_warned_of(repository, tmp_path, caplog):
    file = tmp_path / "nav2.yaml"
    file.write_text("amcl: {ros__parameters: {alpha1: 0.2}}")
    with launch_file(repository, "super_resolution") as module:
        started(module, params_file=str(file), namespace="rig")
        assert "sets nothing on /rig/super_resolution" in caplog.text
        assert "/amcl" in caplog.text
        caplog.clear()
        file.write_text("/rig/super_resolution: {ros__parameters: {num_steps: 2}}")
        started(module, params_file=str(file), namespace="rig")
    assert caplog.text == ""


def test_what_is_given_overrides_the_file_in_the_right_type(repository):
    given = {
        "model": "2024",  # a file may be called so
        "backend": "bicubic",
        "autostart": "False",
        "use_sim_time": "true",
        "log_level": "debug",
        "enclave": "/super_resolution",
        "image": "/a/image",
        "camera_info": "/b/info",
        "namespace": "rig",
        "scale": "2",
        "output_size": "[640, 0]",
        "roi": "1,2,3,4",
    }
    with launch_file(repository, "super_resolution") as module:
        (node,) = nodes(started(module, **given)).values()
        assert plain(node["parameters"]) == {
            "model": "2024",
            "backend": "bicubic",
            "autostart": False,
            "use_sim_time": True,
            "scale": 2,
            "output_size": [640, 0],
            "roi": [1, 2, 3, 4],
        }
    security = ["--enclave", "/super_resolution"]
    assert node["ros_arguments"] == [*security, "--log-level", "debug"]
    assert node["remappings"] == [("image_raw", "/a/image"), ("camera_info", "/b/info")]
    assert node["namespace"] == "rig"


def test_a_missing_file_of_parameters_is_named(repository):
    with (
        launch_file(repository, "super_resolution") as module,
        pytest.raises(DataError, match=r"params_file:=/nowhere\.yaml"),
    ):
        started(module, params_file="/nowhere.yaml")


def test_one_process_serves_all_cameras(repository):
    given = {"camera_names": "front, rear", "namespace": "truck", "image": "thermal/image"}
    with launch_file(repository, "multi_camera") as module:
        found = nodes(started(module, backend="bicubic", **given))
        (node,) = found.values()
        overrides = plain(node["parameters"])
    assert list(found) == ["truck/super_resolution"]
    assert overrides == {"camera_names": ["front", "rear"], "backend": "bicubic"}
    assert node["remappings"] == [
        ("front/image_raw", "front/thermal/image"),
        ("rear/image_raw", "rear/thermal/image"),
    ]
    assert node["ros_arguments"] is None


@pytest.mark.parametrize(
    ("namespace", "expected"),
    [
        ("", ["front/super_resolution", "rear/super_resolution"]),
        ("truck", ["truck/front/super_resolution", "truck/rear/super_resolution"]),
        ("/truck/", ["/truck/front/super_resolution", "/truck/rear/super_resolution"]),
        ("/", ["/front/super_resolution", "/rear/super_resolution"]),
    ],
)
def test_every_camera_has_a_process_in_its_namespace(repository, namespace, expected):
    given = {"camera_names": "front, rear", "namespace": namespace, "processes": "one_each"}
    with launch_file(repository, "multi_camera") as module:
        found = nodes(started(module, image="thermal/image", **given))
        overrides = [plain(node["parameters"]) for node in found.values()]
    assert list(found) == expected
    # The file of parameters may name the cameras for one process.
    assert overrides == [{"camera_names": [""]}] * 2
    for node in found.values():
        assert node["remappings"] == [("image_raw", "thermal/image")]
        assert node["ros_arguments"] == ["-p", "num_threads:=1"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("", "camera_names:= is empty"),
        ("front,,rear", "camera_names:=front,,rear: .*nothing between two commas"),
        ("front,front", "'front' is there twice"),
        ("front,re/ar", "'re/ar' is none"),
    ],
)
@pytest.mark.parametrize("processes", ["one", "one_each"])
def test_camera_names_that_cannot_be_are_refused(repository, processes, names, said):
    with (
        launch_file(repository, "multi_camera") as module,
        pytest.raises(OptionError, match=said),
    ):
        started(module, camera_names=names, processes=processes)


@pytest.mark.parametrize("name", ["demo", "replay_evaluation"])
def test_what_plays_one_camera_starts_a_node_for_one(repository, tmp_path, name):
    """Whatever cameras the user's file of parameters names."""
    needed = {"bag": ".", "output": str(tmp_path / "out")} if name != "demo" else {"view": "none"}
    with launch_file(repository, name) as module:
        found = nodes(started(module, **needed))
        (node,) = [n for n in found.values() if n["executable"] == "super_resolution_node"]
        assert plain(node["parameters"])["camera_names"] == [""]


def test_cameras_cannot_share_a_topic(repository):
    with (
        launch_file(repository, "multi_camera") as module,
        pytest.raises(OptionError, match=r"image:=/a/image.*relative"),
    ):
        started(module, camera_names="a,b", image="/a/image")


def handlers(actions):
    """What happens when: functions by the name of the event, and of the program that has ended."""
    found = {}
    for action in actions:
        if kind(action) != "RegisterEventHandler":
            continue
        (handler,) = action.args
        if kind(handler) == "OnProcessExit":
            target = handler.kwargs["target_action"].kwargs
            name = target.get("executable") or f"evaluate {option_of(target['cmd'])}"
            found[name] = handler.kwargs["on_exit"]
    entities = [
        e.kwargs["function"]
        for a in actions
        if kind(a) == "RegisterEventHandler" and kind(a.args[0]) == "EventHandler"
        for e in a.args[0].kwargs["entities"]
    ]
    return found, {function.__name__: function for function in entities}


def option_of(command):
    """Which of the two runs of `difiisr evaluate` it is."""
    return next(word for word in command if word in ("--write-lr", "--results"))


class Ended:
    """A process that has ended."""

    def __init__(self, returncode=0):
        self.returncode = returncode


class Context:
    """Notes what launch is asked for."""

    is_shutdown = False

    def __init__(self):
        self.events = []

    def emit_event_sync(self, event):
        self.events.append(event)


def play(actions):
    """The player, which starts when the frames are written and the node is ready."""
    on_exit, on_event = handlers(actions)
    assert on_event["_when_ready"](Context()) is None
    registered, player = on_exit["evaluate --write-lr"](Ended(), Context())
    return player, registered.args[0].kwargs["on_exit"]


def test_replay_runs_one_step_after_the_other(repository, tmp_path):
    out = tmp_path / "out"
    with launch_file(repository, "replay_evaluation") as module:
        given = {"bag": str(tmp_path), "output": str(out), "rate": "5", "num_steps": "2"}
        given["camera"] = str(tmp_path / "own.yaml")
        (tmp_path / "own.yaml").write_text("crop: {bottom: 2}\nnoise: 3\n")
        actions = started(module, **given, select="--every 2", score="--fail-below psnr_gain_db=1")
        found = nodes(actions)
        node = plain(found["/replay/super_resolution"]["parameters"])
        recorder = plain(found["/replay/recorder"]["parameters"])
        assert {k: node[k] for k in NODE} == NODE and node["num_steps"] == 2
        assert found["/replay/super_resolution"]["remappings"] == [("/clock", "/replay/clock")]
        assert recorder == {
            **RECORDER,
            "bag": f"{out}/bag",
            "result_file": f"{out}/result.json",
        }
        (prepare,) = [a for a in actions if kind(a) == "ExecuteProcess"]
        camera = ["--camera", f"{tmp_path}/own.yaml"]
        command = ["evaluate", str(tmp_path), *camera, "--every", "2"]
        assert prepare.kwargs["cmd"][1:] == [*command, "--write-lr", f"{out}/input"]
        # What is played has been cropped.
        assert (node["camera"], node["crop"]) == (f"{out}/camera.yaml", "")
        assert (out / "camera.yaml").read_text().count("\n") == 3  # a heading, the noise
        player, when_played = play(actions)
        played = plain(player.kwargs["parameters"])
        assert played == {
            **PLAYER,
            "rate": 5.0,
            "source": f"{out}/input",
            "report_file": f"{out}/player.json",
        }
        assert player.kwargs["namespace"] == "/replay"
        when_played(Ended(), Context())
        on_exit, on_event = handlers(actions)
        context = Context()
        on_event["_when_recorded"](context)
        (signalled,) = context.events
        assert kind(signalled) == "SignalProcess"
        (score,) = on_exit["sr_monitor_node"](Ended(), context)
        words = score.kwargs["cmd"][1:]
        assert words[:2] == command[:2] and words[words.index("--every") + 1] == "2"
        assert words[words.index("--camera") + 1] == str(tmp_path / "own.yaml")
        assert words[words.index("--results") + 1] == f"node={out}/bag:/replay/sr/image_raw"
        assert words[words.index("--num-steps") + 1] == "2"  # as the node has
        assert words[words.index("--out") + 1] == str(out)
        assert words[-2:] == ["--fail-below", "psnr_gain_db=1"]
        on_exit["evaluate --results"](Ended(), context)
        assert kind(context.events[-1]) == "Shutdown"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("evaluate --write-lr", "nothing to play"),
        ("sr_monitor_node", "the recorder has ended with exit code 2"),
        ("evaluate --results", "scoring has ended with exit code 2"),
    ],
)
def test_a_replay_ends_with_the_step_that_failed(repository, tmp_path, program, said):
    given = {"bag": str(tmp_path), "output": str(tmp_path / "out")}
    with launch_file(repository, "replay_evaluation") as module:
        on_exit, _ = handlers(started(module, **given))
        context = Context()
        on_exit[program](Ended(2), context)
        (failure,) = context.events
    assert said in failure.reason


def test_a_recorder_that_ends_early_is_a_failure(repository, tmp_path):
    given = {"bag": str(tmp_path), "output": str(tmp_path / "out")}
    with launch_file(repository, "replay_evaluation") as module:
        on_exit, _ = handlers(started(module, **given))
        context = Context()
        assert on_exit["sr_monitor_node"](Ended(), context) is None
    assert context.events[0].reason == "the recorder has ended"


def test_replay_by_rosbag2_plays_the_frames_that_were_written(repository, tmp_path):
    pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    from difiisr_ros.io.bag_writer import BagWriter

    out = tmp_path / "out"
    given = {"bag": str(tmp_path), "output": str(out), "player": "rosbag2", "rate": "2"}
    with launch_file(repository, "replay_evaluation") as module:
        actions = started(module, **given)
        with BagWriter(out / "input") as writer:
            writer.write_image("/cam/image_raw", 1, np.zeros((8, 8), np.uint16))
        player, _ = play(actions)
    command = player.kwargs["cmd"]
    assert command[:4] == ["ros2", "bag", "play", f"{out}/input"]
    assert "/cam/image_raw:=/replay/image_raw" in command
    assert "/clock:=/replay/clock" in command
    assert command[command.index("--rate") + 1] == "2"
    qos = command[command.index("--qos-profile-overrides-path") + 1]
    assert "reliability: reliable" in Path(qos).read_text()
    assert "FASTRTPS_DEFAULT_PROFILES_FILE" in player.kwargs["additional_env"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"bag": "/nowhere"}, "bag:=/nowhere: no such file"),
        ({"rate": "fast"}, "rate:=fast is not a number"),
        ({"output": "."}, "exists already"),
        ({"select": "--topic 'a"}, "No closing quotation"),
        ({"score": "'"}, "No closing quotation"),
    ],
)
def test_replays_that_cannot_be_are_refused_before_anything_is_made(
    repository, tmp_path, monkeypatch, given, said
):
    monkeypatch.chdir(tmp_path)
    with (
        launch_file(repository, "replay_evaluation") as module,
        pytest.raises((DataError, OptionError), match=said),
    ):
        started(module, **{"bag": ".", **given})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("installed", "view", "expected"),
    [
        (("image_view", "rviz2"), "auto", ["image_view", "image_view", "rviz2"]),
        (("rqt_image_view",), "auto", ["rqt_image_view", "rqt_image_view"]),
        (("image_view", "rqt_image_view"), "auto", ["image_view", "image_view"]),
        (("rviz2",), "auto", ["rviz2"]),
        (("image_view", "rviz2"), "rviz2", ["rviz2"]),
        (("image_view", "rviz2"), "none", []),
        (("image_view",), "rviz2", []),
        ((), "auto", []),
    ],
)
def test_viewers_are_started_where_they_are_installed(
    repository, monkeypatch, installed, view, expected
):
    monkeypatch.setenv("DISPLAY", ":0")
    with launch_file(repository, "demo", installed) as module:
        actions = started(module, view=view)
        viewers = [n for n in nodes(actions).values() if n["package"] != "difiisr_ros"]
        assert [node["executable"] for node in viewers] == expected
        topics = [str(node.get("remappings", node.get("arguments"))) for node in viewers]
        if len(expected) > 1:
            assert "/image_raw" in topics[0] and "/sr/image_raw" in topics[1]
        if "rviz2" in expected:
            flag, config = viewers[-1]["arguments"]
            assert flag == "-d" and in_share(repository, config)
    said = [a.kwargs["msg"] for a in actions if kind(a) == "LogInfo"]
    if view != "none" and not expected:
        assert said and all("not installed" in line for line in said)


def test_without_a_display_no_viewer_is_started(repository, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with launch_file(repository, "demo", ("image_view", "rviz2")) as module:
        actions = started(module)
    assert len(nodes(actions)) == 3
    assert "no display" in actions[-1].kwargs["msg"]


def test_demo_plays_as_asked(repository):
    with launch_file(repository, "demo") as module:
        found = nodes(started(module, view="none", rate="9", num_steps="2"))
        played = plain(found["/frame_player"]["parameters"])
        node = plain(found["/super_resolution"]["parameters"])
    assert played == {"rate": 9.0, "encoding": "mono8", "reliability": "reliable"}
    assert in_share(repository, node.pop("camera")).name == "synthetic_camera.yaml"
    assert node == {"num_steps": 2, "camera_names": [""]}


@pytest.mark.parametrize(
    ("given", "camera"),
    [
        ({"source": "my_bag"}, None),  # another camera: as in params_file
        ({"camera": "auto"}, "auto"),
        ({"source": "my_bag", "camera": "mine.yaml"}, "mine.yaml"),
    ],
)
def test_demo_tells_only_the_synthetic_scenes_camera(repository, given, camera):
    with launch_file(repository, "demo") as module:
        found = nodes(started(module, view="none", **given))
        node = plain(found["/super_resolution"]["parameters"])
    assert node.get("camera") == camera


def test_the_synthetic_scenes_profile_is_its_cameras(repository):
    told = CameraProfile.read(repository / "config" / "synthetic_camera.yaml")
    profile = SyntheticScene(32, 24, real_camera=True).profile
    assert (told.blur, told.blur_error, told.noise) == (profile.blur, None, None)
