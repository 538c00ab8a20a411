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

"""Files in the safetensors format: as the format's own library reads and writes them."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from difiisr_ros.models.tensor_file import TensorFileError, read_tensors, write_tensors

TENSORS = {
    "half": torch.randn(3, 5).half(),
    "brain": torch.randn(7).bfloat16(),
    "single": torch.randn(2, 3, 4),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "truth": torch.tensor([True, False, True]),
    "scalar": torch.tensor(3.5, dtype=torch.float64),
    "nothing": torch.zeros(0, 4),
    "turned": torch.randn(4, 6).T,
    "whole": torch.tensor([1 << 40, -1]),
}


def same(found, expected):
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def test_what_the_library_writes_is_read(tmp_path):
    path = tmp_path / "theirs.safetensors"
    save_file({k: v.contiguous() for k, v in TENSORS.items()}, path, {"kind": "frames é"})
    tensors, metadata = read_tensors(path)
    same(tensors, TENSORS)
    assert metadata == {"kind": "frames é"}
    tensors["single"][0] = 0  # private: the file stays as it is
    same(read_tensors(path)[0], TENSORS)


def test_what_is_written_the_library_reads(tmp_path):
    path = tmp_path / "ours.safetensors"
    write_tensors(path, TENSORS, {"kind": "frames é"})
    same(load_file(path), TENSORS)
    with safe_open(str(path), "pt") as file:
        assert file.metadata() == {"kind": "frames é"}
    same(read_tensors(path)[0], TENSORS)


def test_files_without_tensors(tmp_path):
    path = tmp_path / "empty.safetensors"
    write_tensors(path, {}, {"a": "b"})
    assert read_tensors(path) == ({}, {"a": "b"})


def damaged(change):
    header = {"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}
    change(header)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(8)


DAMAGES = {
    "no header": b"",
    "a length beyond the file": (1 << 40).to_bytes(8, "little") + b"{}",
    "no JSON": (4).to_bytes(8, "little") + b"{{{{",
    "another kind of JSON": (2).to_bytes(8, "little") + b"[]",
    "an unknown type": damaged(lambda h: h["w"].update(dtype="F4")),
    "a shape that does not fit": damaged(lambda h: h["w"].update(shape=[3])),
    "a negative shape": damaged(lambda h: h["w"].update(shape=[-1, -2])),
    "a place outside": damaged(lambda h: h["w"].update(data_offsets=[8, 16])),
    "bytes of nobody": damaged(lambda h: h.clear()),
    "a tensor without a place": damaged(lambda h: h["w"].pop("data_offsets")),
    "cut off": damaged(lambda h: None)[:-3],
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_refused(tmp_path, damage):
    path = tmp_path / "damaged.safetensors"
    path.write_bytes(DAMAGES[damage])
    with pytest.raises(TensorFileError):
        read_tensors(path)
