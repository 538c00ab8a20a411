"""When to say in the log that no image comes: once for each cause, and not before it has lasted."""

from __future__ import annotations

from dataclasses import dataclass

GRACE_S = 5.0
"""Seconds that a cause has to last: a driver that starts with the node, or that has just been
found, needs a moment."""


@dataclass
class SilenceLog:
    """Follows one camera; knows what has been said."""

    _cause: str = ""
    _since: float = 0.0
    _said: str = ""

    def look(self, cause: str, now: float) -> bool | None:
        """Whether to warn now (True), or to say that it is over (False); None: neither.

        Args:
            cause: why nothing comes, in words that stay the same while it does; empty: it comes.
            now: seconds.
        """
        if cause != self._cause:
            self._cause, self._since = cause, now
        if not cause:
            over, self._said = bool(self._said), ""
            return False if over else None
        if cause != self._said and now - self._since >= GRACE_S:
            self._said = cause
            return True
        return None
