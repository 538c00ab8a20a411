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

"""docs/demo.md says what the player, the monitor and the demo really have."""

from __future__ import annotations

import argparse
import re

import pytest

from difiisr_ros.commands import demo
from difiisr_ros.stream import frame_player_parameters, monitor_parameters


@pytest.fixture(scope="module")
def text(repository):
    return (repository / "docs" / "demo.md").read_text()


def test_parameters(text):
    """In order; that each is as the script writes it: test_written_parameters.py."""
    documented = re.findall(r"^- `(\w+)` \(`", text, re.MULTILINE)
    tables = (*frame_player_parameters.TABLE, *monitor_parameters.TABLE)
    assert documented == [spec.name for spec in tables]


def test_options_that_are_mentioned_exist(text):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--ros-args"}
    assert len(mentioned) > 4
    assert mentioned <= known
