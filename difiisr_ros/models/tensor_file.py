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

"""Files of tensors in the safetensors format: a length, a JSON header, and raw bytes.

Read and written here, so that no package is needed for it. A file is mapped, not read; what is
never looked at never comes into memory.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

LARGEST_HEADER = 100 << 20  # what the format's own library allows
_ALIGNMENT = 8
#: Name in the header -> type in memory, and that of the bytes where NumPy has none.
_TYPES: dict[str, tuple[torch.dtype, str]] = {
    "F64": (torch.float64, "<f8"),
    "I64": (torch.int64, "<i8"),
    "F32": (torch.float32, "<f4"),
    "I32": (torch.int32, "<i4"),
    "F16": (torch.float16, "<f2"),
    "BF16": (torch.bfloat16, "<i2"),
    "I16": (torch.int16, "<i2"),
    "I8": (torch.int8, "i1"),
    "U8": (torch.uint8, "u1"),
    "BOOL": (torch.bool, "?"),
}
_NAMES = {dtype: name for name, (dtype, _) in _TYPES.items()}


class TensorFileError(ValueError):
    """A file that is not in this format, or not whole."""


class _Entry(NamedTuple):
    name: str
    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file by name, on the CPU, and its metadata.

    Raises:
        TensorFileError: not in the format, or not whole.
        OSError: it cannot be opened.
    """
    entries, metadata, start = _header(path)
    if not entries:
        return {}, metadata
    # Private to this process: what is written into a tensor does not reach the file.
    data = np.memmap(path, np.uint8, "c", offset=start) if entries[-1].end else np.empty(0, "u1")
    return {entry.name: _tensor(data, entry) for entry in entries}, metadata


def _tensor(data: np.ndarray, entry: _Entry) -> Tensor:
    dtype, stored = _TYPES[entry.kind]
    raw = np.asarray(data[entry.begin : entry.end])
    if entry.begin % np.dtype(stored).itemsize:
        raw = raw.copy()
    tensor = torch.from_numpy(raw.view(np.dtype(stored)).reshape(entry.shape))
    return tensor.view(dtype) if tensor.dtype != dtype else tensor


def _header(path: Path) -> tuple[list[_Entry], dict[str, str], int]:
    """What is in the file in the order of its bytes, the metadata, and where the bytes begin."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(LARGEST_HEADER, size - 8):
            raise TensorFileError(f"its header would have {length} bytes")
        try:
            header = json.loads(file.read(length))
            metadata = header.pop("__metadata__", None) or {}
            entries = sorted((_entry(*item) for item in header.items()), key=lambda e: e[3:])
            if not all(isinstance(value, str) for value in metadata.values()):
                raise TypeError("metadata that is no text")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise TensorFileError(f"its header cannot be read: {error}") from error
    at = 0
    for entry in entries:
        needed = math.prod(entry.shape) * np.dtype(_TYPES[entry.kind][1]).itemsize
        if entry.begin != at or entry.end - entry.begin != needed:
            raise TensorFileError(f"tensor {entry.name} is not where its header says")
        at = entry.end
    if at != size - 8 - length:
        raise TensorFileError(f"it holds {size - 8 - length} bytes of tensors instead of {at}")
    return entries, metadata, 8 + length


def _entry(name: str, facts: Mapping[str, Any]) -> _Entry:
    kind, shape, (begin, end) = facts["dtype"], tuple(facts["shape"]), facts["data_offsets"]
    if kind not in _TYPES:
        raise TypeError(f"tensor {name} is of type {kind!r}")
    if not all(type(n) is int and n >= 0 for n in (*shape, begin, end)):
        raise TypeError(f"tensor {name} has a shape or place that is no number")
    return _Entry(name, kind, shape, begin, end)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file; not atomic.

    Raises:
        OSError: it cannot be written.
    """
    order = {dtype: i for i, dtype in enumerate(_NAMES)}
    names = sorted(tensors, key=lambda name: (order[tensors[name].dtype], name))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    at = 0
    for name in names:
        tensor = tensors[name]
        size = tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [at, at + size],
        }
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            flat = tensors[name].detach().cpu().contiguous().reshape(-1)
            file.write(flat.view(torch.uint8).numpy().tobytes() if len(flat) else b"")
