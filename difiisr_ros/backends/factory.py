# Copyright 2026 difiisr_ros contributors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The backend that was asked for, or what runs in its place."""

from __future__ import annotations

import itertools
import logging
from pathlib import Path
from typing import Any

from difiisr_ros.backends.base import Backend
from difiisr_ros.backends.libraries import LibraryMissing, check_torch, missing
from difiisr_ros.backends.onnx_plugins import PLUGINS
from difiisr_ros.backends.onnx_providers import check_provider, device_of
from difiisr_ros.backends.tensorrt_flavour import FLAVOURS
from difiisr_ros.core.plain_numbers import plain_int
from difiisr_ros.errors import BackendUnavailable, OptionError
from difiisr_ros.models.model_files import EMBEDDED
from difiisr_ros.models.published.kind import is_published

AUTO = "auto"
BACKENDS = (AUTO, "torch", "onnx", "tensorrt", "tensorrt_rtx", "opencv", "bicubic")
DEVICES = (AUTO, "cpu", "cuda")
PRECISIONS = (AUTO, "fp32", "bf16", "fp16", "int8")
THREADS = (0, 256)  # 0 leaves the number to the backend

#: Backend -> what runs in its place where it cannot; bicubic in that of all others.
_INSTEAD = {"tensorrt": "torch", "tensorrt_rtx": "torch", "onnx": "torch"}

_logger = logging.getLogger(__name__)


def plain_choices(
    *,
    model: str | Path,
    autoencoder: str | Path = "",
    device: str = AUTO,
    precision: str = AUTO,
    num_threads: int = 0,
    engine_file: str | Path = "",
    build_only: bool = False,
    provider: str = AUTO,
) -> dict[str, Any]:
    """What :func:`create` is to load, by its keywords: paths as texts, numbers as ints.

    Raises:
        OptionError: one of another type, or a number of threads that cannot be.
    """
    for name, text in (("device", device), ("precision", precision), ("provider", provider)):
        if not isinstance(text, str):
            raise OptionError(f"{name} must be a text, as {AUTO!r}, got {text!r}")
    files = {"model": model, "autoencoder": autoencoder, "engine_file": engine_file}
    for name, path in files.items():
        if not isinstance(path, (str, Path)):
            file = f"{' or '.join(EMBEDDED)}, or the path" if name == "model" else "the path"
            raise OptionError(f"{name} must be {file} of a file, got {path!r}")
    (low, high), threads = THREADS, plain_int(num_threads)
    if threads is None or not low <= threads <= high:
        raise OptionError(f"num_threads must be an integer in {low}..{high}, got {num_threads!r}")
    return {
        **{name: str(path) for name, path in files.items()},
        "device": device,
        "precision": precision,
        "num_threads": threads,
        "build_only": build_only,
        "provider": provider,
    }


def create(name: str, *, strict: bool = False, **choices: Any) -> tuple[Backend, str | None]:
    """Load a backend, falling back to what runs where it cannot and ``strict`` is off.

    Only what is *unavailable* (a library, a device, a precision) falls back: a precision to
    another precision, a device or a provider to another, and only then a backend to the next one.
    A model file that is broken never does: what the user asked for would silently not run.

    Args:
        name: one of :data:`BACKENDS`.
        strict: whether to raise instead of falling back.
        choices: what to load, see :func:`plain_choices`.

    Returns:
        The loaded backend, and the reason of a fallback or None.

    Raises:
        OptionError: an unknown backend, device, precision or provider.
        ModelError: the model file is not usable.
        BackendUnavailable: with ``strict``, the backend cannot run here.
    """
    if name not in BACKENDS:
        raise OptionError(f"backend must be one of {', '.join(BACKENDS)}, got {name!r}")
    how = plain_choices(**choices)
    provider, precision, engine_file = how["provider"], how["precision"], how["engine_file"]
    check_provider(provider, name)
    if provider != AUTO:
        name, how["device"] = "onnx", device_of(provider, how["device"])
    if provider not in PLUGINS:
        _check_device(name, how["device"])
        how["provider"] = AUTO  # the device says it
    if precision not in PRECISIONS:
        raise OptionError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
    if engine_file and name not in FLAVOURS:
        raise OptionError(
            f"engine_file {engine_file} needs backend {' or '.join(FLAVOURS)}, got {name!r}"
        )
    if engine_file and how["build_only"]:
        raise OptionError("build_only builds engines, and engine_file is one; give one of them")
    try:
        return _load(name, **how), None
    except BackendUnavailable as error:
        if strict:
            raise
        found = _with_less(name, how, error)
        return create_instead(name, error, **how) if found is None else found


def _with_less(
    name: str, how: dict[str, Any], error: BackendUnavailable
) -> tuple[Backend, str] | None:
    """The same backend in another precision, else on another device; None where it runs in none.

    A plug-in's devices are its own, and are given up with it.
    """
    named = [key for key in ("precision", "device", "provider") if how[key] != AUTO]
    attempts = itertools.chain.from_iterable(
        itertools.combinations(named, n + 1) for n in range(len(named))
    )
    for given_up in attempts:
        if "provider" in given_up and "device" in named and "device" not in given_up:
            continue
        try:
            backend = _load(name, **{**how, **dict.fromkeys(given_up, AUTO)})
        except BackendUnavailable:
            continue
        *others, last = (f"{key} {how[key]}" for key in given_up)
        asked = f"{', '.join(others)} and {last}" if others else last
        reason = (
            f"{asked} {'are' if len(given_up) > 1 else 'is'} not available, {backend.name} on "
            f"{backend.device} ({backend.precision}) runs instead: {error}"
        )
        _logger.warning(reason)
        return backend, reason
    return None


def _check_device(name: str, device: str) -> None:
    kind, _, index = device.partition(":")
    numbered = index.isdecimal() and kind == "cuda"
    if name == "onnx" and kind == "tensorrt":  # ONNX Runtime's execution provider of that name
        numbered = index.isdecimal() or device == kind
    if device not in DEVICES and not numbered:
        raise OptionError(
            f"device must be one of {', '.join(DEVICES)} or cuda:N (with backend onnx also "
            f"tensorrt or tensorrt:N), got {device!r}"
        )


def create_instead(
    name: str,
    error: BackendUnavailable,
    tried: tuple[str, ...] = (),
    plugin: str = "",
    **how: Any,
) -> tuple[Backend, str]:
    """Load what runs in the place of a backend that does not; says so in the log.

    Args:
        name: of the backend that does not run.
        error: why.
        tried: backends that did not run either.
        plugin: the plug-in provider that it ran on, without which the backend may run.
        how: see :func:`plain_choices`.

    Returns:
        The loaded backend, and the reason.
    """
    what, other = f"backend {name}", _INSTEAD.get(name, "bicubic")
    if how.get("provider", AUTO) in PLUGINS:  # whose devices are no others'
        how["device"] = how["provider"] = AUTO
    if isinstance(error, LibraryMissing) and how["model"] in EMBEDDED:
        if name == "torch" and "onnx" not in tried:
            other = "onnx"  # whose graphs of the embedded models come with the package
        elif name in ("torch", "onnx", AUTO) and "opencv" not in tried:
            other = "opencv" if name == AUTO or {name, *tried} >= {"torch", "onnx"} else other
    if plugin:
        what, other = f"provider {plugin}", name
    elif how["model"].endswith(".onnx"):  # nothing else runs an exported graph
        other = "bicubic"
    if how["device"].startswith("tensorrt"):
        how["device"] = how["device"].replace("tensorrt", "cuda")
    reason = f"{what} is not available, {other} runs instead: {error}"
    _logger.warning(reason)
    if other == "bicubic":
        how["device"] = how["precision"] = AUTO
    try:
        return _load(other, **how), reason
    except BackendUnavailable as second:
        last, why = _with_less(other, how, second) or create_instead(
            other, second, (*tried, name), **how
        )
        return last, f"{why}; {reason}"


def _load(
    name: str,
    *,
    model: str,
    device: str,
    precision: str,
    num_threads: int,
    autoencoder: str = "",
    engine_file: str = "",
    build_only: bool = False,
    provider: str = AUTO,
) -> Backend:
    if name == "bicubic":
        return _bicubic(device, precision)
    if is_published(model, autoencoder):
        if name not in ("auto", "torch"):
            raise BackendUnavailable(
                f"backend {name} runs exported graphs of published models only"
            )
        return _published(model, autoencoder, device, precision, num_threads)
    if name in FLAVOURS:
        return _tensorrt(name, model, device, precision, engine_file, build_only)
    if name == "onnx":
        return _onnx(model, device, precision, num_threads, provider)
    if name == "opencv":
        return _opencv(model, device, precision, num_threads)
    if name == "torch":
        return _torch(model, device, precision, num_threads)
    from difiisr_ros.backends.auto_choice import load_fastest

    asked: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "num_threads": num_threads,
    }

    def load(chosen: str, **other: str) -> Backend:
        return _load(chosen, model=model, **{**asked, **other})

    return load_fastest(load, model, asked)


def _bicubic(device: str, precision: str) -> Backend:
    from difiisr_ros.backends.bicubic import BicubicBackend

    if device not in (AUTO, "cpu") or precision not in (AUTO, "fp32"):
        raise BackendUnavailable(
            f"backend bicubic runs on cpu in fp32 alone; asked were device {device}, precision "
            f"{precision}"
        )
    return BicubicBackend()


def _torch(model: str, device: str, precision: str, num_threads: int) -> Backend:
    check_torch()
    try:
        from difiisr_ros.backends.torch_backend import TorchBackend
    except ImportError as error:
        raise missing(error, "torch") from error
    backend = TorchBackend(model, device=device, precision=precision, num_threads=num_threads)
    backend.load()
    return backend


def _published(
    model: str, autoencoder: str, device: str, precision: str, num_threads: int
) -> Backend:
    check_torch()
    try:
        from difiisr_ros.backends.published_backend import PublishedBackend
    except ImportError as error:
        raise missing(error, "torch") from error
    backend = PublishedBackend(model, autoencoder, device, precision, num_threads)
    backend.load()
    return backend


def _onnx(model: str, device: str, precision: str, num_threads: int, provider: str) -> Backend:
    from difiisr_ros.backends.onnx_backend import OnnxBackend

    plugin = provider if provider in PLUGINS else ""
    backend = OnnxBackend(model, device, precision, num_threads, plugin)
    backend.load()
    return backend


def _opencv(model: str, device: str, precision: str, num_threads: int) -> Backend:
    from difiisr_ros.backends.opencv_backend import OpenCVBackend

    if device not in (AUTO, "cpu") or precision not in (AUTO, "fp32"):
        raise BackendUnavailable(
            f"backend opencv runs on cpu in fp32 alone; asked were device {device}, precision "
            f"{precision}"
        )
    backend = OpenCVBackend(model, num_threads=num_threads)
    backend.load()
    return backend


def _tensorrt(
    name: str, model: str, device: str, precision: str, engine_file: str, build_only: bool
) -> Backend:
    check_torch()
    try:
        from difiisr_ros.backends.tensorrt_backend import TensorRTBackend
    except ImportError as error:
        raise BackendUnavailable(
            f"TensorRT engines are run on PyTorch's CUDA tensors, and {missing(error, 'torch')}"
        ) from error
    backend = TensorRTBackend(
        model, device, precision, flavour=name, engine_file=engine_file, build_only=build_only
    )
    backend.load()
    return backend
