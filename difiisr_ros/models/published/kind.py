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

"""Whether a model file is a published model; needs no PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.models.model_files import is_pickle

FORMAT = "difiisr_ros.published.1"
_LARGEST_HEADER = 100 << 20  # what safetensors itself allows


def is_published(model: str, autoencoder: str = "") -> bool:
    """Whether ``model`` is a published model: a converted file, or a checkpoint.

    Raises:
        OptionError: an autoencoder for a model that has one, or none.
        ModelError: a checkpoint of a denoiser alone.
    """
    path = Path(model).expanduser()
    converted = _stored_format(path) == FORMAT
    if autoencoder:
        if converted or not path.is_file():
            why = "has one inside" if converted else "needs none"
            raise OptionError(f"autoencoder was given, but model {model!r} {why}")
        return True
    if not converted and path.is_file() and is_pickle(path):
        raise ModelError(
            f"{model} is a pickle (.pth): of a published model, the autoencoder's checkpoint is "
            "needed too (autoencoder=...); of any other, only safetensors is accepted"
        )
    return converted


def _stored_format(path: Path) -> str | None:
    """``format`` in the metadata of a safetensors file; None where there is none."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(_LARGEST_HEADER, path.stat().st_size):
            return None
        try:
            header = json.loads(file.read(length))
        except (ValueError, UnicodeDecodeError):
            return None
    metadata = header.get("__metadata__") if isinstance(header, dict) else None
    found = metadata.get("format") if isinstance(metadata, dict) else None
    return found if isinstance(found, str) else None
