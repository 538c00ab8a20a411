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

"""The parser of the ``difiisr`` command: errors of one line, with what was probably meant."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from difiisr_ros.stream.parameter_spec import likely_meant

EXIT_USAGE = 2


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Adds "(default: x)" where there is a default worth saying."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or isinstance(action.default, list):
            return action.help
        return super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Names a misspelt option before anything else, and the usage in one line.

    What begins with a minus and a digit is a value: no option does.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"-\.?\d")  # argparse's: whole numbers alone

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's; an option that does not exist ends it, also where more is wrong."""
        words = list(sys.argv[1:] if args is None else args)
        mine = words
        if self._subparsers is not None:  # what follows the command is the command's
            mine = words[: next((i for i, w in enumerate(words) if w[:1] != "-"), len(words))]
        for word in _options(mine):
            if not self._knows(word):
                self.error(f"there is no option {word}{suggestion(word, self.options())}")
        found, left = super().parse_known_args(words, namespace)
        if left and self._knows("--input") and not self._words():
            self.error(f"there is no argument {left[0]}; a source is given by --input {left[0]}")
        return found, left

    def options(self) -> list[str]:
        """The long options that are accepted."""
        return [name for name in self._option_string_actions if name.startswith("--")]

    def _knows(self, word: str) -> bool:
        return any(name.startswith(word) for name in self._option_string_actions)

    def error(self, message: str) -> NoReturn:
        """End with the one line that matters, last."""
        rest = "COMMAND ..." if self._subparsers is not None else self._shape()
        self.exit(
            EXIT_USAGE,
            f"usage: {self.prog} {rest}   ({self.prog} --help lists all)\n"
            f"{self.prog}: error: {message}\n",
        )

    def _shape(self) -> str:
        return " ".join([*self._words(), "[options]"])

    def _words(self) -> list[str]:
        """What it takes beside options."""
        return [
            "..." if action.nargs in ("*", "+", argparse.REMAINDER) else str(name)
            for action in self._actions
            if not action.option_strings
            for name in [action.metavar or action.dest]
        ]


def _options(words: Sequence[str]) -> list[str]:
    """The long options among a command's words, without their values."""
    end = words.index("--") if "--" in words else len(words)
    return [word.partition("=")[0] for word in words[:end] if word.startswith("--")]


def suggestion(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing where no known word is like it."""
    close = likely_meant(word, known, likeness=0.6)
    return f"; did you mean {close}?" if close else ""
