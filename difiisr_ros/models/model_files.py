"""Where model files are; needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

from difiisr_ros.errors import ModelError

EMBEDDED = ("lite", "nano")
"""Models that are shipped with the package: the better one, and the faster one."""
WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def model_path(model: str) -> Path:
    """Path of a model of :data:`EMBEDDED` or of a file.

    Raises:
        ModelError: no such file.
    """
    shipped = model in EMBEDDED
    path = WEIGHTS / f"{model}.safetensors" if shipped else Path(model).expanduser()
    if not path.is_file():
        raise ModelError(
            f"model {model!r} is neither 'lite' nor 'nano' nor a file; "
            "give the path of a .safetensors file written by 'difiisr train'"
        )
    return path
