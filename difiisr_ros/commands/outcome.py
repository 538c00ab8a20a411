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

"""What a command has done so far, and what it has left out."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass, field

from difiisr_ros.errors import DifiisrError
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.io.not_used import in_words

_log = logging.getLogger(__name__)


def add_strict_argument(parser: argparse._ActionsContainer) -> None:
    """Declare ``--strict``, of commands that leave files out."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="end with exit code 2 at a file that cannot be read, instead of leaving it out",
    )


@dataclass
class Outcome:
    """What has been done so far."""

    done: int = 0
    """Frames."""
    skipped: int = 0
    """Files whose results were there already."""
    #: Every frame or file that could not be upscaled.
    failed: LeftOut = field(default_factory=lambda: LeftOut(log=_log.error))
    #: Whether a file that was read is not whole, which --strict does not let pass.
    incomplete: bool = False
    #: What a bag has lost, in sentences.
    notices: list[str] = field(default_factory=list)
    #: Name of a file, and what of it was given and not used.
    not_used: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, name: str, error: DifiisrError) -> None:
        """Note a frame that could not be upscaled, and say so at once."""
        self.failed.add(name, error)

    def notice(self, sentence: str) -> None:
        """Note what was missing before we came, and say so."""
        self.notices.append(sentence)
        self.warn(sentence)

    def lack(self, sentence: str) -> None:
        """Note what a file says that it has and has not, and say so."""
        self.incomplete = True
        self.notice(sentence)

    def leave_out(self, name: str, what: str) -> None:
        """Note what was given and is not used; the summary says so."""
        self.not_used.append((name, what))

    def warn(self, sentence: str) -> None:
        """Say what is not about a frame."""
        _log.warning("%s", sentence)

    def not_used_in_words(self) -> str:
        """What was not used, in one line."""
        return in_words(self.not_used, " (--json)")
