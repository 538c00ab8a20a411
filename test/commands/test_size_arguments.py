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

"""Every command that upscales takes the two limits on size that the library has."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from difiisr_ros.cli import main
from difiisr_ros.commands.engine_arguments import add_engine_arguments, engine_arguments
from difiisr_ros.errors import OptionError
from difiisr_ros.io.images import write_image
from difiisr_ros.stream.replay import engine_options

BICUBIC = ["--backend", "bicubic"]


def given(*words):
    parser = argparse.ArgumentParser()
    parser.set_defaults(num_steps=None)
    add_engine_arguments(parser)
    return engine_arguments(parser.parse_args(words))


def test_they_reach_the_engine():
    chosen = given("--max-input-pixels", "5000000", "--tile-size", "128")
    assert (chosen["max_input_pixels"], chosen["tile_size"]) == (5_000_000, 128)
    assert chosen["tile_overlap"] == 32, "a quarter of the tile"
    assert given()["tile_overlap"] == given("--tile-size", "0")["tile_overlap"] == 48
    with pytest.raises(OptionError, match="--tile-size must be 0, or 32 or more, got 16"):
        given("--tile-size", "16")


@pytest.mark.parametrize("command", ["upscale", "evaluate"])
def test_a_big_picture_is_let_in(tmp_path, command):
    picture = np.random.default_rng(0).integers(0, 65536, (40, 50), dtype=np.uint16)
    write_image(tmp_path / "in" / "big.png", picture)
    report = tmp_path / "report.json"
    words = [command, str(tmp_path / "in"), *BICUBIC, "--json", str(report)]
    if command == "upscale":
        words.insert(2, str(tmp_path / "out"))
    else:
        words.append("--no-reference")
    assert main([*words, "--max-input-pixels", "1999"]) != 0
    assert main([*words, "--max-input-pixels", "2000", "--tile-size", "32"]) == 0
    assert json.loads(report.read_text())["frames"] == 1


def test_a_replayed_evaluation_has_the_nodes_limits():
    words = engine_options(None, {"max_input_pixels": 7, "tile_size": 64})
    assert words == ["--max-input-pixels", "7", "--tile-size", "64"]


@pytest.mark.parametrize("command", ["upscale", "evaluate", "detect", "bench", "demo"])
def test_the_help_names_them(command, capsys):
    with pytest.raises(SystemExit):
        main([command, "--help"])
    text = capsys.readouterr().out
    assert "--max-input-pixels" in text and "--tile-size" in text
