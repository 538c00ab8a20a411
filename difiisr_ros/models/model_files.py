"""Where model files are; needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

from difiisr_ros.errors import ModelError

EMBEDDED = "lite"
_WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def model_path(model: str) -> Path:
    """Path of ``lite`` (shipped with the package) or of a file.

    Raises:
        ModelError: no such file.
    """
    path = _WEIGHTS / "lite.safetensors" if model == EMBEDDED else Path(model).expanduser()
    if not path.is_file():
        raise ModelError(
            f"model {model!r} is neither {EMBEDDED!r} nor a file; "
            "give the path of a .safetensors file written by 'difiisr train'"
        )
    return path
