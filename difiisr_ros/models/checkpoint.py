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

"""Model files: safetensors whose metadata carries configuration, recipe and measured quality.

Nothing is ever unpickled: a file that is not safetensors is refused after a look at its first
bytes, which name what it is instead.
"""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import torch

from difiisr_ros.atomic_write import replacing
from difiisr_ros.errors import ModelError
from difiisr_ros.models import channel_limits
from difiisr_ros.models.channel_limits import ChannelLimits
from difiisr_ros.models.guidance_priors import PREFIX, GuidancePriors
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser
from difiisr_ros.models.model_files import is_pickle, model_path
from difiisr_ros.models.tensor_file import TensorFileError, read_tensors, write_tensors

FORMAT = "difiisr_ros.lite.1"
Config = TypeVar("Config")


def save_model(path: Path, model: LiteDenoiser, facts: dict[str, Any], half: bool = True) -> None:
    """Write weights (float16 by default) with the configuration and ``facts`` in the metadata.

    Atomic: the file is complete or it is not there.
    """
    exact = model.guidance_priors.tensors()
    if model.channel_limits is not None:
        exact.update(model.channel_limits.tensors())
    write_weights(path, model.state_dict(), FORMAT, model.config.as_dict(), facts, half, exact)


def write_weights(
    path: Path,
    state: dict[str, torch.Tensor],
    kind: str,
    config: dict[str, Any],
    facts: dict[str, Any],
    half: bool,
    exact: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write weights with their format, configuration and facts as metadata; atomic.

    ``exact`` are entries that keep their dtype.
    """
    dtype = torch.float16 if half else torch.float32
    stored = {k: v.detach().to("cpu", dtype).contiguous() for k, v in state.items()}
    stored.update(exact or {})
    metadata = {"format": kind, "config": json.dumps(config), "facts": json.dumps(facts)}
    with replacing(path) as temporary:
        write_tensors(temporary, stored, metadata)


def load_model(model: str) -> tuple[LiteDenoiser, dict[str, Any]]:
    """Load ``lite`` or a model file: the float32 network in evaluation mode, and its facts.

    Raises:
        ModelError: missing, truncated, not safetensors, of another format, or with keys and
            shapes that do not fit its own configuration.
    """
    path = model_path(model)
    state, metadata = read_weights(path, FORMAT, "model file", "difiisr train")
    network = LiteDenoiser(read_config(path, metadata, LiteConfig))
    priors, limits = (_popped(state, prefix) for prefix in (PREFIX, channel_limits.PREFIX))
    try:
        network.guidance_priors = GuidancePriors.from_tensors(priors)
        if limits:
            shape = network.config.prior_blocks, network.config.prior_channels
            network.channel_limits = ChannelLimits.from_tensors(limits, shape)
    except ValueError as error:
        raise ModelError(f"{path} has unusable entries beside its weights: {error}") from error
    load_state(path, network, state)
    return network.eval(), json.loads(metadata.get("facts", "{}"))


def _popped(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {key: state.pop(key) for key in list(state) if key.startswith(prefix)}


def read_weights(
    path: Path, kind: str, what: str, command: str
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Weights as float32, and the metadata, of a safetensors file that ``command`` writes.

    Raises:
        ModelError: missing, truncated, not safetensors, or of another format than ``kind``.
    """
    try:
        tensors, metadata = read_tensors(path)
        # Copies: nothing stays in the file's mapping.
        state = {key: value.to(torch.float32, copy=True) for key, value in tensors.items()}
    except (TensorFileError, OSError) as error:
        raise ModelError(
            f"{path} is not a usable {what}: {describe_file(path)} ({error})"
        ) from error
    if metadata.get("format") != kind:
        raise ModelError(
            f"{path} is a safetensors file of another kind (format {metadata.get('format')!r}); "
            f"accepted: {kind!r}, as '{command}' writes it"
        )
    return state, metadata


def read_config(path: Path, metadata: dict[str, str], config: type[Config]) -> Config:
    """The configuration in a file's metadata; ModelError, naming the known fields, if none."""
    try:
        return config(**json.loads(metadata["config"]))
    except (KeyError, TypeError, ValueError) as error:
        known = ", ".join(field.name for field in fields(config))  # type: ignore[arg-type]
        raise ModelError(
            f"{path} has no valid configuration ({error}); known fields: {known}"
        ) from error


def load_state(
    path: Path,
    network: torch.nn.Module,
    state: dict[str, torch.Tensor],
    misfit: str = "does not fit its configuration",
) -> None:
    """Load ``state`` into ``network``; ModelError where keys or shapes differ, naming three."""
    wrong = misfits(network, state)
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise ModelError(f"{path} {misfit}: {'; '.join(wrong[:3])}{more}")
    network.load_state_dict(state)


def misfits(network: torch.nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """Which keys and shapes of ``state`` are not those of ``network``, in words."""
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    return [
        f"{key}: expected {expected.get(key, 'nothing')}, found {found.get(key, 'nothing')}"
        for key in sorted(expected.keys() | found.keys())
        if expected.get(key) != found.get(key)
    ]


def describe_file(path: Path) -> str:
    """What a file that is no usable safetensors file is, by its first bytes, for a message."""
    with path.open("rb") as file:
        head = file.read(16)
    if len(head) == 0:
        return "it is empty"
    if is_pickle(path):
        return (
            "it is a pickle (.pth/.pt), which can run code and is not opened; "
            "only safetensors is accepted"
        )
    if len(head) >= 9 and head[8:9] == b"{":
        return "it looks like safetensors, but is truncated or damaged"
    return "only safetensors is accepted"
