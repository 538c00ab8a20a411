"""Helpers that several test files share; a test file imports them as `support.NAME`."""
