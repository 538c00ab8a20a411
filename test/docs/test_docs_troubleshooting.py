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

"""docs/troubleshooting.md quotes what the sources say, and names what diagnostics have."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from difiisr_ros.messages.image_encoding import ACCEPTED_ENCODINGS
from difiisr_ros.stream.parameter_table import BY_NAME
from support.paths import REPOSITORY

PAGE = REPOSITORY / "docs" / "troubleshooting.md"
if not PAGE.is_file():
    pytest.skip("the package's sources are not here", allow_module_level=True)
TEXT = PAGE.read_text()
NODE_PAGE = (REPOSITORY / "docs" / "super_resolution_node.md").read_text()

#: What others say, within a message of ours.
FOREIGN = {"No module named 'torch'"}

#: Of rclpy, or checked by test/ros/test_docs_node.py, which sets the parameters.
ELSEWHERE = "A parameter is refused"


def quoted():
    """Messages: lines of text blocks, and code in the first column of tables."""
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE):
        if section.startswith(ELSEWHERE):
            continue
        for block in re.findall(r"^```text\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            yield from block.splitlines()
        for cell in re.findall(r"^\| ([^|]*) \|", section, re.MULTILINE):
            yield from (code for code in re.findall(r"`([^`]+)`", cell) if code.count(" ") > 2)


def _pieces(node):
    """The fixed parts of a text in the sources; between two there is a value."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    pieces = [""]
    for part in node.values:
        if isinstance(part, ast.Constant):
            pieces[-1] += part.value
        else:
            pieces.append("")
    return pieces


@cache
def texts():
    """The fixed parts of every text in the sources that has words."""
    nodes = []
    for file in sorted((REPOSITORY / "difiisr_ros").rglob("*.py")):
        nodes += ast.walk(ast.parse(file.read_text()))
    found = [_pieces(n) for n in nodes if isinstance(n, (ast.Constant, ast.JoinedStr))]
    return [pieces for pieces in found if len(re.findall("[A-Za-z]", "".join(pieces))) >= 6]


@cache
def patterns():
    return [
        re.compile("(.*)".join(re.escape(part) for part in pieces), re.DOTALL) for pieces in texts()
    ]


def begins(text):
    """Whether a text in the sources begins so; values may stand between its fixed parts."""
    for pieces in texts():
        for end, last in enumerate(pieces):
            # Up to somewhere in this part.
            before = "(.*)".join(map(re.escape, pieces[:end])) + ("(.*)" if end else "")
            for cut in range(len(last), 0, -1):
                if text.endswith(last[:cut]):
                    match = re.fullmatch(before + re.escape(last[:cut]), text)
                    if match and len(text) - sum(map(len, match.groups())) >= 8:
                        return True
    return False


def said(text):
    """Whether the sources can say this: a text with values, which may be such texts again."""
    if text.endswith("..."):
        return begins(text[:-3].rstrip()) or begins(text[:-3])
    if text in FOREIGN or text.count(" ") <= 1 or re.fullmatch(r"[^ ]+(, [^ ]+)+", text):
        return True  # a value
    for pattern in patterns():
        match = pattern.fullmatch(text) or pattern.fullmatch(f"; {text}")
        if match and all(said(group) for group in match.groups()):
            return True
    parts = text.split("; ")
    return len(parts) > 1 and all(said(part) for part in parts)


def test_messages_are_those_of_the_sources():
    messages = list(quoted())
    assert len(messages) > 20
    assert [message for message in messages if not said(message)] == []


def test_other_messages_are_not():
    for text in (
        "no picture for 5.2 s on /image_raw; no publisher",
        "not subscribed: off by ~/enable, for now",
        "no image for 5.2 s on /image_raw; 1 sender: /driver (best_effort)",
        "12 of the last frames dropped: an encoding that nobody knows",
        "torch is not there for ...",
    ):
        assert not said(text), text


def test_what_messages_list_as_accepted_is_accepted():
    checked = 0
    for name, accepted in re.findall(r"(\w+) is '?\w+'?; accepted: ([^`\n]+)", TEXT):
        assert accepted == BY_NAME[name].accepted, name
        checked += 1
    assert checked >= 2
    assert f"accepted are {', '.join(ACCEPTED_ENCODINGS)}\n" in TEXT


def documented_keys():
    section = NODE_PAGE.split("\n## Diagnostics\n")[1].split("\n## ")[0]
    items = re.findall(r"^- ((?:`[^`]+`(?:, )?)+):", section, re.MULTILINE)
    return {key for item in items for key in re.findall(r"`([^`]+)`", item)}


def test_what_is_bold_is_in_diagnostics():
    prose = re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    bold = set(re.findall(r"\*\*([^*]+)\*\*", prose)) - {"bold"}
    assert len(bold) > 15
    assert bold <= documented_keys() | {"input", "inference", "backend"}


def causes():
    """What the sources count rejected or noticed frames under."""
    rejected, noticed = set(), set()
    for file in (REPOSITORY / "difiisr_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                if name == "ImageError":
                    either = node.args[0]  # a cause, or one of two
                    ways = (
                        [either.body, either.orelse] if isinstance(either, ast.IfExp) else [either]
                    )
                    rejected |= {way.value for way in ways if isinstance(way, ast.Constant)}
                elif name in ("Notice", "noticed") and texts:
                    noticed.add(texts[0])
                elif name in ("notice", "_notice") and len(node.args) == 2 and texts:
                    noticed.add(texts[0])  # a cause and words
    # upscaling.py gives these to what has no cause of its own.
    source = (REPOSITORY / "difiisr_ros" / "ros" / "upscaling.py").read_text()
    assert '"internal_error"' in source and '"unusable_frame"' in source
    return rejected | {"internal_error", "unusable_frame"}, noticed


def test_every_cause_is_documented_and_has_a_remedy():
    rejected, noticed = causes()
    assert len(rejected) > 10 and len(noticed) > 1
    code = re.compile(r"`([a-z_0-9]+)`")
    used = TEXT.split("\nUnder `noticed: CAUSE`")[1].split("\n\n")[0]
    assert set(code.findall(used)) == noticed
    table = TEXT.split("| cause | do |")[1].split("\n\n")[0]
    first = re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
    assert {name for cell in first for name in code.findall(cell)} == rejected
