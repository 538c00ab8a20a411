"""Subcommands of ``difiisr``, one file each, imported only when chosen."""
