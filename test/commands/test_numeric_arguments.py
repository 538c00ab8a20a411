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

"""Numbers that mean nothing are refused by name, by every option of every command."""

from __future__ import annotations

import importlib

import pytest

from difiisr_ros import cli


def _options():
    """(command, option, type of its number) of every numeric option."""
    for command in cli.available_commands():
        parser = cli.build_parser(command)
        subparsers = next(a for a in parser._actions if a.dest == "command")
        for action in subparsers.choices[command]._actions:
            kind = getattr(action.type, "__name__", "")
            if action.option_strings and kind in ("int", "float", "number", "whole number"):
                yield command, action.option_strings[0], action.type


OPTIONS = list(_options())


@pytest.mark.parametrize("text", ["nan", "inf", "-inf"])
def test_no_option_takes_what_is_no_number(text):
    taken = []
    for command, option, convert in OPTIONS:
        try:
            convert(text)
        except Exception:  # noqa: BLE001 - whatever argparse says of it
            continue
        taken.append((command, option))
    assert taken == []


@pytest.mark.parametrize(
    ("command", "option"),
    [(c, o) for c, o, _ in OPTIONS if o in ("--threads", "--seed", "--degradation-seed")],
)
@pytest.mark.parametrize("value", ["-1", "99999999999"])
def test_threads_and_seeds_have_limits(command, option, value, capsys, tmp_path):
    wanted = {
        "upscale": ["in", "out"], "evaluate": ["in"], "detect": ["in"], "train": ["in"],
        "train-detector": ["in", "--validation", "in"],
    }  # fmt: skip
    try:
        code = cli.main([command, *wanted.get(command, []), option, value])
    except SystemExit as stop:
        code = stop.code
    assert code == 2
    said = capsys.readouterr().err
    assert option in said and f"got {value}" in said, said


def test_types_name_what_is_accepted():
    numbers = importlib.import_module("difiisr_ros.commands.numbers")
    for convert, text, said in (
        (numbers.whole(1), "0", "whole numbers from 1 on, got 0"),
        (numbers.whole(0, 256), "257", r"whole numbers in 0\.\.256, got 257"),
        (numbers.real(0), "-0.5", "numbers from 0 on, got -0.5"),
        (numbers.real(), "nan", "finite numbers, got nan"),
    ):
        with pytest.raises(numbers.argparse.ArgumentTypeError, match=said):
            convert(text)
    assert numbers.whole(0, 256)("256") == 256 and numbers.real(0)("0") == 0.0
