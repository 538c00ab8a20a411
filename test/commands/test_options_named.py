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

"""Options that messages name: the command that says it has them."""

from __future__ import annotations

import argparse
import ast
import functools
import importlib
import re
import struct

import cv2
import numpy as np
import pytest

from difiisr_ros.cli import COMMANDS, main
from difiisr_ros.io.images import write_image
from support.paths import REPOSITORY

PACKAGE = REPOSITORY / "difiisr_ros"
#: An option in a text, after the command that it belongs to where one is named.
NAMED = re.compile(r"(?:difiisr (?P<command>[a-z-]+) )?(?<![\w-])(?P<option>--[a-z][a-z0-9-]+)")
#: Options of other programs, and of the whole command.
OTHERS = {"--help", "--version", "--ros-args", "--no-deps"}
#: Modules that say something to several commands, or to none of their name -> who hears it.
HEARD_BY = {
    "commands/earlier_profile.py": ("calibrate",),
    "commands/engine_arguments.py": ("upscale", "evaluate", "detect", "bench", "demo"),
    "commands/export_tensorrt.py": ("export",),
    "commands/outcome.py": ("upscale",),
    "commands/parser.py": ("demo",),
    "commands/result_arguments.py": ("upscale",),
    "commands/stream_arguments.py": ("upscale", "evaluate", "demo"),
    "commands/unread_options.py": ("upscale",),
    "commands/upscale_bag.py": ("upscale",),
    "commands/upscale_between.py": ("upscale",),
    "commands/upscale_files.py": ("upscale",),
    "commands/demo_report.py": ("demo",),
    "lab/evaluation": ("evaluate",),
    "lab/report": ("evaluate",),
    "lab/frames/streams.py": ("evaluate",),
    "lab/frames/bag_stream.py": ("evaluate",),
    "lab/frames/folder_stream.py": ("evaluate",),
    "lab/training/distill.py": ("train",),
    "backends/onnx_backend.py": ("export",),  # '(--projection wide)', how it was exported
    # Only who asks for a unit, or for fewer pixels than any file has, hears of it.
    "io/open_stack.py": ("upscale",),
    "io/flir.py": ("upscale",),
    "io/dji.py": ("upscale",),
    "io/stack.py": ("upscale",),
}
#: Not messages: command lines of other programs, CSS.
NOT_SAID = (
    "stream/replay.py",
    "stream/launch_arguments.py",
    "ros/",
    "lab/calibration/report_html.py",
)


@functools.cache
def options_of(command):
    parser = argparse.ArgumentParser()
    importlib.import_module(COMMANDS[command][0]).add_arguments(parser)
    return {option for action in parser._actions for option in action.option_strings}


def unknown(text, commands):
    """Options in a text that a command which says it does not have."""
    found = []
    for match in NAMED.finditer(text):
        asked = [match["command"]] if match["command"] else commands
        if match["option"] == "--allow-fallback":  # said only where it is declared
            asked = [c for c in asked if c in ("upscale", "demo")]
        if match["option"] not in OTHERS:
            found += [(c, match["option"]) for c in asked if match["option"] not in options_of(c)]
    return found


def texts(path):
    """Strings of a module that are no docstrings and no declarations; f-strings in one piece."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for entry in body if isinstance(body, list) else ():
            if isinstance(entry, ast.Expr) and isinstance(entry.value, ast.Constant):
                skipped.add(entry.value)
        is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_call and node.func.attr == "add_argument":
            skipped.update(ast.walk(node))
        if isinstance(node, ast.JoinedStr):
            skipped.update(node.values)
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = [v.value if isinstance(v, ast.Constant) else "\0" for v in node.values]
            yield node.lineno, "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def heard_by(name):
    own = name.removeprefix("commands/").removesuffix(".py").replace("_", "-")
    if own in COMMANDS:
        return (own,)
    return next((found for start, found in HEARD_BY.items() if name.startswith(start)), None)


def test_every_option_in_a_message_is_one_of_the_command_that_says_it():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        if name.startswith(NOT_SAID) or name == "cli.py":
            continue
        for line, text in texts(path):
            if not NAMED.search(text):
                continue
            commands = heard_by(name)
            bare = [m["option"] for m in NAMED.finditer(text) if not m["command"]]
            if commands is None and set(bare) - OTHERS:
                wrong.append(f"{name}:{line}: nobody is known to hear {bare}")
            wrong += [f"{name}:{line}: {c} has no {o}" for c, o in unknown(text, commands or ())]
    assert not wrong, "\n".join(wrong)


def flir_jpeg(content):
    plain = cv2.imencode(".jpg", np.full((48, 64), 90, np.uint8))[1].tobytes()
    segment = b"FLIR\0\x01\0\0" + content
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def huge_png():
    plain = cv2.imencode(".png", np.zeros((8, 8), np.uint8))[1].tobytes()
    return plain[:16] + struct.pack(">II", 1 << 15, 1 << 15) + plain[24:]


FILES = {
    "raw.jpg": flir_jpeg(b"FFF\0 damaged"),
    "big.png": huge_png(),
    "text.png": b"no picture",
    "short.tif": b"II*\0\x08\0\0\0",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", ["upscale", "evaluate", "calibrate", "detect", "train", "demo"])
def test_what_cannot_be_read_is_refused_with_options_that_are_there(
    tmp_path, command, name, capsys, caplog
):
    if command in ("detect", "train"):
        pytest.importorskip("torch")
    if command == "demo":
        pytest.importorskip("rclpy", reason="rclpy is missing: source ROS 2, or use `make test`")
        pytest.importorskip("rosbags", reason="bags need rosbags: pip install rosbags")
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(FILES[name])
    words = {
        "upscale": [folder, tmp_path / "out", "--unit", "kelvin", "--backend", "bicubic"],
        "evaluate": [folder, "--backend", "bicubic"],
        "calibrate": [folder],
        "detect": [folder],
        "train": [folder, "--out", tmp_path / "run", "--crop", "32"],
        "demo": ["--input", folder / name, "--out", tmp_path / "out", "--backend", "bicubic"],
    }[command]
    try:
        assert main([command, *map(str, words)]) != 0
    except Exception as error:  # noqa: BLE001 - a player of its own finds it out in the demo
        pytest.fail(f"{type(error).__name__}: {error}")
    said = capsys.readouterr().err + caplog.text
    assert name in said and not unknown(said, (command,)), said


def test_the_scan_finds_what_is_wrong():
    found = unknown("take it by --allow-preview", ("calibrate",))
    assert found == [("calibrate", "--allow-preview")]
    assert not unknown("'difiisr upscale --allow-preview' takes it", ("calibrate",))
    assert unknown("'difiisr train --allow-preview' takes it", ()) == [("train", "--allow-preview")]


def test_a_file_that_is_too_big_names_the_option_where_there_is_one(tmp_path, capsys):
    write_image(tmp_path / "a.png", np.zeros((40, 50), np.uint8))
    words = ["--backend", "bicubic", "--max-input-pixels", "1999"]
    assert main(["upscale", str(tmp_path / "a.png"), str(tmp_path / "b.png"), *words]) == 2
    assert "50x40 pixels are more than 1999 (--max-input-pixels)" in capsys.readouterr().err
