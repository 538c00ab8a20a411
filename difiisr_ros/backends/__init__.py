"""What runs the whole sampler as one graph; one file each, imported only when chosen."""

from __future__ import annotations

import logging

from difiisr_ros.backends.base import Backend
from difiisr_ros.errors import BackendUnavailable, OptionError

BACKENDS = ("auto", "torch", "bicubic")
DEVICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")

_logger = logging.getLogger(__name__)


def create(
    name: str,
    *,
    model: str,
    device: str = "auto",
    precision: str = "auto",
    strict: bool = False,
    num_threads: int = 0,
) -> tuple[Backend, str | None]:
    """Load a backend, falling back to bicubic where it cannot run and ``strict`` is off.

    Only a backend that is *unavailable* (a library or device that is missing) falls back. A model
    file that is broken never does: what the user asked for would silently not run.

    Returns:
        The loaded backend, and the reason of a fallback or None.

    Raises:
        OptionError: an unknown backend, device or precision.
        ModelError: the model file is not usable.
        BackendUnavailable: with ``strict``, the backend cannot run here.
    """
    if name not in BACKENDS:
        raise OptionError(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}")
    if device not in DEVICES and not device.startswith("cuda:"):
        raise OptionError(f"device must be one of {', '.join(DEVICES)} or cuda:N, got {device!r}")
    if precision not in PRECISIONS:
        raise OptionError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if name == "bicubic":
        return _bicubic(), None
    try:
        return _torch(model, device, precision, num_threads), None
    except BackendUnavailable as error:
        if strict:
            raise
        reason = f"backend {name} is not available, bicubic runs instead: {error}"
        _logger.warning(reason)
        return _bicubic(), reason


def _bicubic() -> Backend:
    from difiisr_ros.backends.bicubic import BicubicBackend

    return BicubicBackend()


def _torch(model: str, device: str, precision: str, num_threads: int) -> Backend:
    try:
        from difiisr_ros.backends.torch_backend import TorchBackend
    except ImportError as error:
        import sys

        raise BackendUnavailable(
            f"torch cannot be imported by {sys.executable} ({error}); "
            f"install it with: {sys.executable} -m pip install torch"
        ) from error
    backend = TorchBackend(model, device=device, precision=precision, num_threads=num_threads)
    backend.load()
    return backend


__all__ = ["BACKENDS", "DEVICES", "PRECISIONS", "Backend", "create"]
