"""Replay a bag through super_resolution_node, every frame of it, and record what comes out.

    ros2 launch difiisr_ros replay_evaluation.launch.py bag:=/path/to/bag

The node runs with ``drop_policy: block``. When the last frame is done everything ends by itself and
leaves a folder with the results as a bag and the counts as JSON; docs/launch.md describes it. What
the results are worth is measured by `difiisr evaluate`, which needs no ROS.
"""

import time
from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import ExecuteProcess, LogInfo, OpaqueFunction

from difiisr_ros.errors import DataError, OptionError
from difiisr_ros.ros.dds_profile import VARIABLES, find_profile
from difiisr_ros.ros.launch_actions import (
    EndOnce,
    declare,
    super_resolution_node,
    texts_of,
    tool_node,
)
from difiisr_ros.ros.launch_arguments import LOG_LEVEL, LaunchArgument, of_parameters, params_file
from difiisr_ros.ros.launch_replay import play_when_ready
from difiisr_ros.ros.replay import bag_play_command, replay_qos

#: The players, and the rate each has when none is given.
PLAYERS = {"frame_player": 10.0, "rosbag2": 1.0}

ARGUMENTS = (
    LaunchArgument("bag", "Path of the bag.", default=None),
    LaunchArgument("topic", "Image topic of the bag. Empty: the only one that it has."),
    LaunchArgument(
        "player",
        "frame_player: frame_player_node, at a steady rate, stamped anew. rosbag2: ros2 bag play, "
        "with the recorded times, and /clock; needs topic.",
        default="frame_player",
        choices=tuple(PLAYERS),
    ),
    LaunchArgument(
        "rate",
        "Frames a second for frame_player, factor of the recorded speed for rosbag2. "
        "Empty: 10 and 1.",
    ),
    LaunchArgument(
        "output", "Folder to make for the results. Empty: replay_ and the time, in the present one."
    ),
    params_file("super_resolution.yaml"),
    LaunchArgument(
        "namespace",
        "Namespace of all nodes and topics, to keep them apart from those of a live camera.",
        default="replay",
    ),
    *of_parameters("model", "backend"),
    LOG_LEVEL,
)


def frame_player(texts, rate, namespace, output):
    return tool_node(
        "frame_player_node",
        "frame_player",
        {
            "source": texts["bag"],
            "topic": texts["topic"],
            "rate": rate,
            "loop": False,
            "reliability": "reliable",
            "wait_for_subscribers": 2,  # the node and the recorder
            "report_file": str(output / "player.json"),
        },
        namespace=namespace,
    )


def rosbag2(texts, rate, namespace, output):
    if not texts["topic"]:
        raise OptionError("player:=rosbag2 needs topic:=, the image topic of the bag")
    qos_file = output / "qos.yaml"
    qos_file.write_text(yaml.safe_dump(replay_qos(texts["topic"])))
    profile = find_profile()
    return ExecuteProcess(
        cmd=bag_play_command(texts["bag"], texts["topic"], namespace, rate, str(qos_file)),
        # Room for large images, as our own nodes give themselves.
        additional_env={name: str(profile) for name in VARIABLES} if profile else {},
        output="screen",
    )


def start(context):
    texts = texts_of(ARGUMENTS, context)
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
    system = EndOnce()
    node = super_resolution_node(
        ARGUMENTS,
        texts,
        namespace=namespace,
        more={
            "camera_names": [""],
            "drop_policy": "block",
            "autostart": True,
            "use_sim_time": texts["player"] == "rosbag2",
        },
        on_exit=system.when_exits("super_resolution_node"),
    )
    recorder = tool_node(
        "sr_monitor_node",
        "recorder",
        {
            "bag": str(output / "bag"),
            "bag_seconds": 0.0,
            "result_file": str(output / "result.json"),
        },
        namespace=namespace,
        sigterm_timeout="60",  # seconds to finish the bag
        on_exit=system.when_exits("the recorder"),
    )
    output.mkdir(parents=True)
    make_player = rosbag2 if texts["player"] == "rosbag2" else frame_player
    return [
        LogInfo(msg=f"results go to {output}"),
        *play_when_ready(
            f"{namespace.rstrip('/')}/super_resolution",
            make_player(texts, rate, namespace, output),
            system,
            lambda published: f"replayed; {published} results, recorded in {output}",
        ),
        recorder,
        node,
    ]


def generate_launch_description():
    return LaunchDescription([*declare(ARGUMENTS), OpaqueFunction(function=start)])
