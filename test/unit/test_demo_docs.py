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


def rows(text, columns):
    """First cell and the others, of the table rows with so many columns."""
    found = []
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split(" | ")]
        if line.startswith("| `") and len(cells) == columns:
            found.append((cells[0].strip("`"), cells[1:]))
    return found


def test_parameters(text):
    documented = rows(text, 5)
    tables = (*frame_player_parameters.TABLE, *monitor_parameters.TABLE)
    assert [name for name, _ in documented] == [spec.name for spec in tables]
    for spec, (_, (kind, default, accepted, meaning)) in zip(tables, documented):
        shown = str(spec.default).lower() if isinstance(spec.default, bool) else str(spec.default)
        assert (kind, default.strip("`")) == (spec.type_name, shown or '""'), spec.name
        assert accepted == spec.accepted, spec.name
        assert meaning == spec.description, spec.name


def test_options_that_are_mentioned_exist(text):
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    known = {option for action in parser._actions for option in action.option_strings}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text)) - {"--ros-args"}
    assert len(mentioned) > 4
    assert mentioned <= known
