"""What an upscale has done so far, and what it has left out."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from difiisr_ros.errors import DifiisrError

_log = logging.getLogger(__name__)
_SHOWN = 8  # kinds of what was not used that the summary names; --json has all


@dataclass
class Outcome:
    """What has been done so far."""

    done: int = 0
    """Frames."""
    skipped: int = 0
    """Files whose results were there already."""
    #: Name and reason of every frame or file that could not be upscaled.
    failed: list[tuple[str, str]] = field(default_factory=list)
    #: What a bag has lost, in sentences.
    notices: list[str] = field(default_factory=list)
    #: Name of a file, and what of it was given and not used.
    not_used: list[tuple[str, str]] = field(default_factory=list)

    def fail(self, name: str, error: DifiisrError) -> None:
        """Note a frame that could not be upscaled, and say so at once."""
        self.failed.append((name, str(error)))
        _log.error("left out: %s", error if name in str(error) else f"{name}: {error}")

    def notice(self, sentence: str) -> None:
        """Note what was missing before we came, and say so."""
        self.notices.append(sentence)
        self.warn(sentence)

    def leave_out(self, name: str, what: str) -> None:
        """Note what was given and is not used; the summary says so."""
        self.not_used.append((name, what))

    def warn(self, sentence: str) -> None:
        """Say what is not about a frame."""
        _log.warning("%s", sentence)

    def not_used_in_words(self) -> str:
        """What was not used, in one line: each kind with one name, or with how many have it."""
        kinds: dict[str, list[str]] = {}
        for name, what in self.not_used:
            kinds.setdefault(what, []).append(name)
        words = [
            f"{what}: {names[0]}" if len(names) == 1 else f"{what}: {len(names)}, as {names[0]}"
            for what, names in kinds.items()
        ]
        more = len(words) - _SHOWN
        return "; ".join(words[:_SHOWN]) + (f"; {more} more kinds (--json)" if more > 0 else "")
