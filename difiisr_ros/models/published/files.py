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

"""Files of published models: the authors' checkpoints, and one converted safetensors file.

A checkpoint (``.pth``) is read with ``weights_only``, which runs no code that it may hold. It may
be a state dict, or hold one beside other things, and its keys may have the prefixes that
``DataParallel`` and ``torch.compile`` put there. Keys and shapes must be exactly the network's.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from difiisr_ros.atomic_write import replacing
from difiisr_ros.errors import ModelError, first_line
from difiisr_ros.models.guidance_priors import PREFIX, GuidancePriors
from difiisr_ros.models.published.config import PublishedConfig, from_dict
from difiisr_ros.models.published.kind import FORMAT
from difiisr_ros.models.published.network import PublishedModel
from difiisr_ros.models.swin_unet import UNetModelSwin
from difiisr_ros.models.swin_unet_blocks import Upsample
from difiisr_ros.models.tensor_file import TensorFileError, read_tensors, write_tensors
from difiisr_ros.models.vq_autoencoder import VQModelTorch
from difiisr_ros.models.winograd import Conv3x3

State = dict[str, Tensor]
#: Where training codes put the weights in a checkpoint, averaged ones first.
WRAPPERS = ("ema_state_dict", "params_ema", "ema", "state_dict", "params", "model")
_PREFIXES = ("module.", "_orig_mod.")
_COMPUTED = ("relative_position_index", "attn_mask")
_PARTS = ("unet", "autoencoder")
_NAMED = 5


def load_published(
    model: str, autoencoder: str = "", config: PublishedConfig | None = None
) -> tuple[PublishedModel, dict[str, Any]]:
    """Load a converted file, or the two checkpoints; evaluation mode, and the file's facts.

    The weights keep the type that they are stored in; see :func:`prepare`.

    Args:
        model: converted file, or the denoiser's checkpoint.
        autoencoder: the autoencoder's checkpoint; must be empty for a converted file.
        config: of the checkpoints; the published one by default.

    Raises:
        ModelError: missing, damaged, with code in it, or with keys or shapes that do not fit the
            configuration, naming the first that differ.
    """
    path = _existing(model)
    if not autoencoder:
        return _load_converted(path)
    paths = (path, _existing(autoencoder))
    network = _empty(config or PublishedConfig(), str(path))
    for part, each in zip(_PARTS, paths):
        assign(network.get_submodule(part), read_checkpoint(each), str(each))
    return network.eval(), {"sources": [describe(each) for each in paths]}


def _existing(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise ModelError(f"{name!r} is no file")
    return path


def _empty(config: PublishedConfig, source: str) -> PublishedModel:
    """The networks without memory for weights, which :func:`assign` brings."""
    try:
        with torch.device("meta"):
            return PublishedModel(config)
    except (TypeError, ValueError) as error:
        raise ModelError(f"{source}: the configuration is not supported: {error}") from error


def prepare(
    model: PublishedModel, device: torch.device, dtype: torch.dtype, *, fast: bool = True
) -> PublishedModel:
    """Make a loaded model ready to run: on its device, in its precision.

    ``fast``: channels last, upsampling by phases, and minimal filtering where it is faster.
    """
    half = dtype != torch.float32
    if half:  # before the rest becomes float32: a full copy never exists
        model.reduce_precision(dtype)
    for module in model.modules():
        for name, value in [*module.named_parameters(recurse=False)]:
            if not (half and value.dtype == dtype):
                # A tensor that stays in the file's mapping would keep all of it in memory.
                single = value.detach().to(torch.float32, copy=half)
                setattr(module, name, nn.Parameter(single, requires_grad=False))
    model.to(device)
    if fast:
        model.to(memory_format=torch.channels_last)
        for module in model.modules():
            if isinstance(module, Upsample):
                module.split_phases()
            elif isinstance(module, Conv3x3):
                module.minimise()
    return model.requires_grad_(False).eval()


def describe(path: Path) -> dict[str, str]:
    """Name and SHA-256 of a file, for the facts of what is made from it."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return {"name": path.name, "sha256": digest.hexdigest()}


def read_checkpoint(path: Path) -> State:
    """The state dict of a checkpoint (``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors``).

    Raises:
        ModelError: not readable without running code, or without weights.
    """
    try:
        if path.suffix.lower() == ".safetensors":
            return read_tensors(path)[0]
        mapped = zipfile.is_zipfile(path)  # older files cannot be mapped into memory
        tree = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, TensorFileError, RuntimeError, OSError, EOFError) as error:
        raise _unreadable(path, error) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, struct.error) as error:
        raise _unreadable(path, error) from error  # what a damaged pickle makes the reader raise
    return _strip(_unwrap(tree, path))


def _unreadable(path: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{path} cannot be read as a checkpoint without running code that it may hold: "
        f"{first_line(error)}"
    )


def _unwrap(tree: Any, path: Path) -> State:
    if isinstance(tree, Mapping):
        for wrapper in WRAPPERS:
            if isinstance(tree.get(wrapper), Mapping):
                return _unwrap(tree[wrapper], path)
        tensors = {str(k): v for k, v in tree.items() if isinstance(v, Tensor)}
        if tensors and len(tensors) == len(tree):
            return tensors
    held = ", ".join(str(key) for key in list(tree)[:_NAMED]) if isinstance(tree, Mapping) else ""
    raise ModelError(
        f"{path} holds no state dict, neither by itself nor under {', '.join(WRAPPERS)}; "
        f"it holds {held or type(tree).__name__}"
    )


def _strip(state: State) -> State:
    for prefix in _PREFIXES * 2:
        if state and all(key.startswith(prefix) for key in state):
            state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state


def assign(network: nn.Module, state: State, source: str) -> None:
    """Put a state dict into a network, without copying it.

    What the network computes itself (relative positions, masks) may be missing; relative positions
    that are there must be the same.

    Raises:
        ModelError: the first keys whose presence or shape differs.
    """
    own = network.state_dict()
    wrong = []
    for key in dict.fromkeys([*own, *state]):
        expected = tuple(own[key].shape) if key in own else "nothing"
        found = tuple(state[key].shape) if key in state else "nothing"
        if expected != found and not (found == "nothing" and key.endswith(_COMPUTED)):
            wrong.append(f"{key}: expected {expected}, found {found}")
    if wrong:
        more = f" (and {len(wrong) - _NAMED} more)" if len(wrong) > _NAMED else ""
        kinds = {UNetModelSwin: "the denoiser", VQModelTorch: "the autoencoder"}
        what = kinds.get(type(network), "the network")
        raise ModelError(
            f"{source} does not fit the configuration of {what}; keys that differ: "
            f"{'; '.join(wrong[:_NAMED])}{more}"
        )
    taken = {}
    for key, value in own.items():
        if key.endswith(_COMPUTED):
            taken[key] = value
            stored = state.get(key, value)
            if key.endswith(_COMPUTED[0]) and not torch.equal(stored.to(value.dtype), value):
                raise ModelError(f"{source}: {key} numbers the positions in another way")
        else:
            taken[key] = state[key]
    network.load_state_dict(taken, assign=True)


def save_published(
    path: Path,
    states: tuple[State, State],
    config: PublishedConfig,
    facts: Mapping[str, Any],
    half: bool = False,
    priors: GuidancePriors | None = None,
) -> None:
    """Write one file of denoiser and autoencoder with the configuration inside; atomic.

    Args:
        states: state dicts of the denoiser and of the autoencoder.
        half: store float16, half the size; by default the weights stay as they are.
        priors: what guidance expects of this model's frames; without them that of thermal frames
            in general.

    Raises:
        ModelError: the states do not fit the configuration.
    """
    network = _empty(config, str(path))
    stored: State = {}
    for part, state in zip(_PARTS, states):
        assign(network.get_submodule(part), state, f"{path} ({part})")
        for key, value in state.items():
            if not key.endswith(_COMPUTED):
                value = value.detach().half() if half else value.detach()
                stored[f"{part}.{key}"] = value.contiguous().clone()
    if priors is not None:
        stored.update(priors.tensors())
    metadata = {
        "format": FORMAT,
        "config": json.dumps(config.as_dict()),
        "facts": json.dumps(dict(facts)),
    }
    with replacing(path) as temporary:
        write_tensors(temporary, stored, metadata)


def _load_converted(path: Path) -> tuple[PublishedModel, dict[str, Any]]:
    try:
        state, metadata = read_tensors(path)
    except (TensorFileError, OSError) as error:
        raise ModelError(
            f"{path} is not a converted model ({error}); a checkpoint of the denoiser needs that "
            "of its autoencoder too (autoencoder=...)"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ModelError(
            f"{path} has format {metadata.get('format')!r}; accepted: {FORMAT!r}, as "
            "'difiisr convert' writes it"
        )
    try:
        values, facts = (json.loads(metadata[name]) for name in ("config", "facts"))
    except (KeyError, ValueError) as error:
        raise ModelError(f"{path} has no valid configuration ({error})") from error
    config = from_dict(str(path), values)
    network = _empty(config, str(path))
    for part in _PARTS:
        mine = {k.removeprefix(f"{part}."): v for k, v in state.items() if k.startswith(part + ".")}
        assign(network.get_submodule(part), mine, str(path))
    fitted = {key: value for key, value in state.items() if key.startswith(PREFIX)}
    if fitted:
        try:
            network.guidance_priors = GuidancePriors.from_tensors(fitted)
        except ValueError as error:
            raise ModelError(f"{path} has no usable guidance priors: {error}") from error
    return network.eval(), facts
