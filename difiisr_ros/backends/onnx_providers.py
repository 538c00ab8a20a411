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

"""Which of ONNX Runtime's execution providers runs a graph: what may be asked for, and with what.

The built-in ones are a matter of the device (``cpu``, ``cuda:N``, ``tensorrt:N``); plug-ins
(:mod:`difiisr_ros.backends.onnx_plugins`) have devices of their own.
"""

from __future__ import annotations

from difiisr_ros.backends.onnx_plugins import KINDS, PLUGINS
from difiisr_ros.errors import OptionError

AUTO = "auto"
BUILT_IN = ("cpu", "cuda", "tensorrt")
PROVIDERS = (AUTO, *BUILT_IN, *PLUGINS)


def check_provider(provider: str, backend: str) -> None:
    """Raise OptionError unless it is one, and one that this backend can run on."""
    if provider not in PROVIDERS:
        raise OptionError(f"provider must be one of {', '.join(PROVIDERS)}, got {provider!r}")
    if provider != AUTO and backend not in (AUTO, "onnx"):
        raise OptionError(f"provider {provider} needs backend onnx (or auto), got {backend!r}")


def device_of(provider: str, device: str) -> str:
    """The device, where a provider that is asked for decides more of it; see :func:`find_device`.

    Args:
        provider: one of :data:`PROVIDERS`.
        device: as it was asked for, checked by itself unless the provider is a plug-in.

    Raises:
        OptionError: not a device of this provider.
    """
    kind, colon, index = device.partition(":")
    if provider in PLUGINS:
        kinds = PLUGINS[provider].kinds
        numbered = not colon or (index.isdecimal() and kind != "cpu")
        if device != AUTO and not (kind in kinds and kind in KINDS and numbered):
            can = ", ".join(k if k == "cpu" else f"{k}, {k}:N" for k in kinds)
            raise OptionError(f"device of provider {provider} must be auto, {can}, got {device!r}")
        return device
    if provider == AUTO or kind == provider:
        return device
    if device == AUTO:
        return provider
    if provider == "tensorrt" and kind == "cuda":
        return f"{provider}{colon}{index}"
    raise OptionError(f"device of provider {provider} must be auto or its own, got {device!r}")
