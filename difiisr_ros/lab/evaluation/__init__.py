"""Scoring of super-resolved frames against a reference."""
