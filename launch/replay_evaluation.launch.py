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

"""Replay a bag through super_resolution_node, record what comes out, and score it.

    ros2 launch difiisr_ros replay_evaluation.launch.py bag:=/path/to/bag

The recorded frames are the truth: they are reduced, played into the live node, and its results are
compared with them by the code of `difiisr evaluate`, beside the same engine offline. When all is
done everything ends by itself and leaves a folder with a report; docs/launch.md describes it.
"""

import shlex
import time
from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import ExecuteProcess, LogInfo, OpaqueFunction
from launch_ros.substitutions import ExecutableInPackage

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.ros.dds_profile import VARIABLES, find_profile
from difiisr_ros.ros.launch_actions import EndOnce, declare, texts_of, tool_node
from difiisr_ros.ros.launch_node import SuperResolutionNode
from difiisr_ros.ros.launch_replay import Replay
from difiisr_ros.stream.launch_arguments import (
    LOG_LEVEL,
    NODE_PARAMETERS,
    PACKAGE,
    PARAMS_FILE,
    LaunchArgument,
    given_parameters,
    of_parameters,
)
from difiisr_ros.stream.replay import (
    NODE,
    PLAYER,
    RECORDER,
    bag_play_command,
    camera_of_played_frames,
    engine_options,
    pixel_options,
    played_topic,
    replay_qos,
)

#: The players, and the rate each has when none is given.
PLAYERS = {"frame_player": PLAYER["rate"], "rosbag2": 1.0}

ARGUMENTS = (
    LaunchArgument("bag", "Path of the bag.", default=None),
    LaunchArgument("topic", "Image topic of the bag. Empty: the only one that it has."),
    LaunchArgument(
        "select",
        "Options of difiisr evaluate that choose the frames and how they are reduced, such as "
        "'--start 10 --duration 60 --degradation camera', or '--no-reference'.",
    ),
    LaunchArgument(
        "score",
        "Further options of difiisr evaluate for the score, such as '--compare model.onnx "
        "--fail-below node:psnr_gain_db=1'.",
    ),
    LaunchArgument(
        "player",
        "frame_player: frame_player_node, each frame when the one before is recorded. rosbag2: "
        "ros2 bag play, at the recorded pace.",
        default="frame_player",
        choices=tuple(PLAYERS),
    ),
    LaunchArgument(
        "rate",
        "Frames a second at most for frame_player, factor of the recorded speed for rosbag2. "
        "Empty: 100 and 1.",
    ),
    LaunchArgument(
        "output", "Folder to make for the results. Empty: replay_ and the time, in the present one."
    ),
    PARAMS_FILE,
    LaunchArgument(
        "namespace",
        "Namespace of all nodes and topics, to keep them apart from those of a live camera.",
        default="replay",
    ),
    *of_parameters("model", "camera", "backend", "num_steps"),
    LOG_LEVEL,
)


def frame_player(bag, rate, namespace, output):
    report = {"source": str(bag), "rate": rate, "report_file": str(output / "player.json")}
    return tool_node("frame_player_node", "frame_player", {**PLAYER, **report}, namespace=namespace)


def rosbag2(bag, rate, namespace, output):
    topic = played_topic(bag)
    qos_file = output / "qos.yaml"
    qos_file.write_text(yaml.safe_dump(replay_qos(topic)))
    profile = find_profile()
    return ExecuteProcess(
        cmd=bag_play_command(str(bag), topic, namespace, rate, str(qos_file)),
        # Room for large images, as our own nodes give themselves.
        additional_env={name: str(profile) for name in VARIABLES} if profile else {},
        output="screen",
    )


def words(texts, name):
    """An argument that holds several words."""
    try:
        return shlex.split(texts[name])
    except ValueError as error:
        raise OptionError(f"{name}:={texts[name]}: {error}") from None


def evaluate(texts, engine, *options):
    """``difiisr evaluate`` of the bag as a process; ``select`` wins over what the node is told."""
    topic = ["--topic", texts["topic"]] if texts["topic"] else []
    command = ExecutableInPackage(package=PACKAGE, executable="difiisr")
    return ExecuteProcess(
        cmd=[
            command,
            "evaluate",
            texts["bag"],
            *topic,
            *engine,
            *words(texts, "select"),
            *map(str, options),
        ],
        output="screen",
    )


def start(context):
    texts = texts_of(ARGUMENTS, context, __file__)
    try:
        rate = float(texts["rate"] or PLAYERS[texts["player"]])
    except ValueError:
        raise OptionError(f"rate:={texts['rate']} is not a number") from None
    if not Path(texts["bag"]).exists():
        raise DataError(f"bag:={texts['bag']}: no such file or folder")
    output = Path(texts["output"] or time.strftime("replay_%Y_%m_%d-%H_%M_%S")).absolute()
    if output.exists():
        raise DataError(f"output:={output}: exists already, and results are never overwritten")
    namespace = "/" + texts["namespace"].strip("/")
    above = namespace.rstrip("/")
    system = EndOnce()
    given = given_parameters(ARGUMENTS, texts, NODE_PARAMETERS)
    camera, profile = camera_of_played_frames(texts["params_file"], given, output)
    node = SuperResolutionNode(
        ARGUMENTS,
        texts,
        namespace=namespace,
        # Time is the bag's own for this node only.
        remappings=[("/clock", f"{above}/clock")],
        more={**NODE, **camera},
        on_exit=system.when_exits("super_resolution_node"),
    )
    files = {"bag": str(output / "bag"), "result_file": str(output / "result.json")}
    recorder = tool_node(
        "sr_monitor_node",
        "recorder",
        {**RECORDER, **files},
        namespace=namespace,
        sigterm_timeout="60",  # seconds to finish the bag
    )
    engine = engine_options(texts["params_file"], given)
    more = words(texts, "score")
    results = ("--results", f"node={output / 'bag'}:{above}/sr/image_raw")
    score = evaluate(texts, engine, *results, "--out", output, *more)
    pixels = pixel_options(texts["params_file"], given)
    prepare = evaluate(texts, pixels, "--write-lr", output / "input")
    output.mkdir(parents=True)
    if profile is not None:
        profile.write(output / "camera.yaml")
    make_player = rosbag2 if texts["player"] == "rosbag2" else frame_player
    replay = Replay(
        f"{above}/super_resolution",
        system,
        prepare=prepare,
        make_player=lambda: make_player(output / "input", rate, namespace, output),
        recorder=recorder,
        score=score,
        finished=lambda published: f"replayed; {published} results, scored in {output}",
    )
    return [LogInfo(msg=f"results go to {output}"), *replay.actions(), node]


def generate_launch_description():
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
