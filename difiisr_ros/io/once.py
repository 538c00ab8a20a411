"""Warnings that are worth saying once, however many files they are about."""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)
_warned: set[str] = set()


def warn_once(cause: str, message: str) -> None:
    """Log a warning unless one of the same cause has been logged."""
    if cause not in _warned:
        _warned.add(cause)
        _log.warning(message)
