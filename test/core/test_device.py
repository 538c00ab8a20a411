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

"""Which device and precision a network runs in."""

from __future__ import annotations

import pytest
import torch

from difiisr_ros.core import device as device_file
from difiisr_ros.core.device import choose_device, choose_precision, current_device
from difiisr_ros.errors import BackendUnavailable

CPU, CUDA = torch.device("cpu"), torch.device("cuda:1")


@pytest.fixture(params=[True, False], ids=["bf16", "no_bf16"])
def native(request, monkeypatch) -> bool:
    monkeypatch.setattr(device_file, "has_native_bf16", lambda: request.param)
    return request.param


def test_auto_is_what_the_device_computes_in_fast(native):
    assert choose_precision("auto", CPU) == ("bf16" if native else "fp32")
    assert choose_precision("auto", CUDA) == "fp16"


def test_a_precision_that_was_asked_for_is_not_changed(native):
    assert choose_precision("bf16", CPU) == "bf16"
    assert choose_precision("fp32", CUDA) == "fp32"


@pytest.mark.parametrize(("precision", "device"), [("fp16", CPU), ("int8", CPU), ("int8", CUDA)])
def test_a_precision_that_cannot_be_is_refused(precision, device):
    with pytest.raises(BackendUnavailable, match=precision):
        choose_precision(precision, device)


def test_devices_without_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device() == choose_device("cpu") == current_device() == CPU
    with pytest.raises(BackendUnavailable, match="sees no CUDA device"):
        choose_device("cuda")


def test_devices_with_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device() == choose_device("cuda") == torch.device("cuda:0")
    assert choose_device("cuda:1") == CUDA
    assert current_device() == torch.device("cuda")  # whichever the process has chosen
    with pytest.raises(BackendUnavailable, match=r"cuda:2 does not exist; 2 device\(s\) do"):
        choose_device("cuda:2")
