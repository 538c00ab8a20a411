"""Measuring and training: what runs beside a camera's stream, never in it."""
