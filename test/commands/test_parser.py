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

"""What a misspelt line is answered: one line of usage, and the one that matters last."""

from __future__ import annotations

import sys
import types

import pytest

from difiisr_ros import cli

#: What is typed, and what the last line says.
SLIPS = {
    "upscle a b": "there is no command upscle; did you mean upscale?",
    "upscale --modle nano a b": "there is no option --modle; did you mean --model?",
    "upscale --modle=nano": "there is no option --modle; did you mean --model?",
    "bench --num_steps 3": "there is no option --num_steps; did you mean --num-steps?",
    "upscale a b --xyzzy": "there is no option --xyzzy",
    "--vesion": "there is no option --vesion; did you mean --version?",
    "demo frames/": "there is no argument frames/; a source is given by --input frames/",
    "upscale a": "the following arguments are required: OUT",
}


@pytest.mark.parametrize("line", SLIPS)
def test_the_last_line_says_what_is_wrong(line, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(line.split())
    assert stop.value.code == 2
    usage, error = capsys.readouterr().err.splitlines()
    assert SLIPS[line] in error
    assert usage.startswith("usage: difiisr") and "--help" in usage and len(usage) < 100


def test_what_is_right_is_not_asked_about():
    """An abbreviation, a value that begins with dashes, and what stands behind ``--``."""
    parse = cli.build_parser("upscale").parse_args
    assert parse(["upscale", "a", "b", "--mod", "nano"]).model == "nano"
    assert parse(["upscale", "--", "--in", "--out"]).command == "upscale"


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("--roi -1,0,5,5", "roi", (-1, 0, 5, 5)),
        ("--missing -9999..-9000,0", "missing", "-9999..-9000,0"),
        ("--range-min -1e3", "range_min", -1000.0),
        ("--range-max -.5", "range_max", -0.5),
        ("--output-size -4x3", "output_size", (-4, 3)),
    ],
)
def test_a_value_may_begin_with_a_minus(words, name, value):
    parse = cli.build_parser("upscale").parse_args
    assert getattr(parse(["upscale", "a", "b", *words.split()]), name) == value


def test_what_is_wrong_with_a_negative_value_is_said_by_the_option(tmp_path, capsys):
    assert cli.main(["upscale", __file__, str(tmp_path / "b.png"), "--roi", "-1,0,5,5"]) == 2
    assert "roi is [-1, 0, 5, 5]: a region of interest begins at 0" in capsys.readouterr().err


@pytest.mark.parametrize("installed", [True, False])
def test_the_shell_is_answered_with_the_options_of_the_command(installed, monkeypatch, capsys):
    asked = []
    module = types.ModuleType("argcomplete")
    module.autocomplete = asked.append
    monkeypatch.setitem(sys.modules, "argcomplete", module if installed else None)
    monkeypatch.setenv("_ARGCOMPLETE", "1")
    monkeypatch.setenv("COMP_LINE", "difiisr upscale --mo")
    assert cli.main([]) == 2
    assert len(asked) == installed
    for parser in asked:
        assert parser.parse_args(["upscale", "a", "b", "--model", "nano"]).model == "nano"
