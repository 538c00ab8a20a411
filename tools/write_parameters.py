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

"""Write the parameter tables of the docs and the files in config/ from the tables in the code.

    python tools/write_parameters.py            # write
    python tools/write_parameters.py --check    # exit with 1 where something would change

Writes config/super_resolution.yaml and config/multi_camera.yaml, and what is between markers in
docs/super_resolution_node.md, docs/demo.md, docs/detectors.md and, of the launch files' arguments,
docs/launch.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from launch_stand_ins import launch_file
from marked_text import ROOT, marked, write_files

from difiisr_ros.stream import frame_player_parameters, monitor_parameters, parameter_table
from difiisr_ros.stream.detectors import DETECTOR_TABLE, MAPPER_TABLE
from difiisr_ros.stream.launch_arguments import (
    ENCLAVE,
    LOG_LEVEL,
    NAMESPACE,
    PARAMS_FILE,
    RESPAWN,
    LaunchArgument,
)
from difiisr_ros.stream.parameter_spec import Change, ParameterSpec, Value

LAUNCH_FILES = ("super_resolution", "multi_camera", "replay_evaluation", "demo")
CONFIG, DOCS = ROOT / "config", ROOT / "docs"
CHANGES = {
    Change.LIVE: "live",
    Change.CONFIGURE: "read-only once configured",
    Change.START: "read at start",
}
GROUPS = {
    Change.LIVE: "**Live**: may change at any time, and take effect on the next frame.",
    Change.CONFIGURE: "**Read when configuring**; afterwards a change is refused with the reason.",
    Change.START: "**Read when the node starts.**",
}
_NODE = """\
# Parameters of super_resolution_node, all with their defaults: copy what differs into a file of
# yours, for params_file. Written by tools/write_parameters.py from the node's own table;
# `ros2 param describe /super_resolution NAME` and docs/super_resolution_node.md explain them too.
/**:
  ros__parameters:
"""
_CAMERAS = """\
# To copy from, for multi_camera.launch.py's params_file: parameters of the node that it starts, or,
# with processes:=one_each, of all of them. config/super_resolution.yaml lists everything.
/**:
  ros__parameters:
{camera_names}
    # The launch file's argument of this name wins over it; this is for
    #   ros2 run difiisr_ros super_resolution_node --ros-args --params-file FILE
    camera_names: ["front", "rear"]

# With processes:=one_each, what differs for one camera goes under its node's full name, which wins
# over /**: above. There each process has one CPU thread unless num_threads is given.
# /front/super_resolution:
#   ros__parameters:
#     camera: "/etc/robot/front_camera.yaml"
#     num_threads: 2
#     output_encoding: "mono8"
"""


def comment(spec: ParameterSpec) -> str:
    """What a parameter is, accepts and when it may change, as YAML comments."""
    facts = f"{spec.type_name}; {spec.accepted}; {CHANGES[spec.change]}"
    lines = [line for text in (spec.description, facts) for line in textwrap.wrap(text, 94)]
    return "\n".join(f"    # {line}" for line in lines)


def node_yaml() -> str:
    """config/super_resolution.yaml."""
    parts = [
        f"{comment(s)}\n    {s.name}: {json.dumps(s.default)}\n" for s in parameter_table.TABLE
    ]
    return _NODE + "".join(parts)


def cameras_yaml() -> str:
    """config/multi_camera.yaml."""
    return _CAMERAS.format(camera_names=comment(parameter_table.BY_NAME["camera_names"]))


def shown(value: Value) -> str:
    """A default as it stands in a parameter file."""
    return f"`{json.dumps(value)}`"


def parameters(specs: Sequence[ParameterSpec]) -> str:
    """A node's parameters as a Markdown list."""
    return "\n".join(
        f"- `{s.name}` ({shown(s.default)}{accepted(s)}): {s.description}" for s in specs
    )


def by_change(specs: Sequence[ParameterSpec]) -> str:
    """The same, in groups by when a parameter may change."""
    groups = {change: [s for s in specs if s.change is change] for change in GROUPS}
    return "\n\n".join(f"{GROUPS[c]}\n\n{parameters(s)}" for c, s in groups.items())


def accepted(spec: ParameterSpec) -> str:
    """What is accepted, after the default; nothing where the default's type says it."""
    by_type = spec.accepted in (f"any {spec.type_name}", "true, false")
    return "" if by_type else f"; {spec.accepted}"


def arguments(given: Sequence[LaunchArgument], shared: Sequence[LaunchArgument] = ()) -> str:
    """A launch file's arguments: its own as a list; shared ones and parameters by their names."""
    mirrored = [a for a in given if is_parameter(a)]
    common = [a for a in given if any(a.name == s.name for s in shared) and a not in mirrored]
    lines = [_item(a) for a in given if a not in mirrored and a not in common]
    names = ", ".join(_name(a) for a in common)
    lines.append(f"\nAlso {names}; and by their names the parameters")
    return "\n".join(lines) + " " + ", ".join(f"`{a.name}`" for a in mirrored) + "."


def _name(argument: LaunchArgument) -> str:
    return f"`{argument.name}`" + (f" (`{argument.default}`)" if argument.default else "")


def _item(argument: LaunchArgument) -> str:
    facts = ["required"] if argument.default is None else []
    facts += [f"`{argument.default}`"] if argument.default else []
    facts += [argument.accepted] if argument.accepted != "any" else []
    shown_facts = f" ({'; '.join(facts)})" if facts else ""
    return f"- `{argument.name}`{shown_facts}: {argument.description}"


def is_parameter(argument: LaunchArgument) -> bool:
    """Whether an argument is a parameter and nothing else."""
    if argument.parameter is None or argument.default != "":
        return False
    unset = argument.description.removeprefix(argument.parameter.description)
    unset = unset.removeprefix(" Separated by commas.").strip()
    return unset in ("Empty: as in params_file.", "Empty: the player's default.")


def launch_arguments(name: str) -> Sequence[LaunchArgument]:
    """A launch file's arguments; launch need not be installed."""
    with launch_file(ROOT, name) as module:
        return module.ARGUMENTS


def files() -> dict[Path, str]:
    """What is written: path and text."""
    pages = ("super_resolution_node", "demo", "launch", "detectors")
    node, demo, launch, detectors = (DOCS / f"{name}.md" for name in pages)
    texts = {path: path.read_text() for path in (node, demo, launch, detectors)}

    def put(path: Path, name: str, content: str) -> None:
        texts[path] = marked(texts[path], name, content)

    put(node, "parameters:super_resolution_node", by_change(parameter_table.TABLE))
    put(demo, "parameters:frame_player_node", parameters(frame_player_parameters.TABLE))
    put(demo, "parameters:sr_monitor_node", parameters(monitor_parameters.TABLE))
    put(detectors, "parameters:detection_mapper_node", parameters(MAPPER_TABLE))
    put(detectors, "parameters:thermal_detector_node", parameters(DETECTOR_TABLE))
    shared = [PARAMS_FILE, NAMESPACE, RESPAWN, ENCLAVE, LOG_LEVEL]
    put(launch, "arguments:shared", "\n".join(map(_item, shared)))
    for name in LAUNCH_FILES:
        given = launch_arguments(name)
        put(launch, f"arguments:{name}", arguments(given, [a for a in shared if _same(a, given)]))
    return {
        CONFIG / "super_resolution.yaml": node_yaml(),
        CONFIG / "multi_camera.yaml": cameras_yaml(),
        **texts,
    }


def _same(shared: LaunchArgument, given: Sequence[LaunchArgument]) -> bool:
    """Whether a launch file's argument of this name means the same."""
    return any(a.name == shared.name and a.description == shared.description for a in given)


def main() -> int:
    """Write or check; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    return write_files(files(), parser.parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
