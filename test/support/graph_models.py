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

"""Model files for tests of exported graphs, and graphs that are simplified once for all tests."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import onnx
import torch

from difiisr_ros.core.visual_guidance import CONDITIONS, RINGS, SpectrumPrior
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteDenoiser


def save_variant(path, *, stochasticity: float = 0.0, spectrum: bool = False) -> str:
    """Write a model file and return its path as text."""
    embedded, _ = load_model("lite")
    network = LiteDenoiser(replace(embedded.config, stochasticity=stochasticity))
    network.load_state_dict(embedded.state_dict())
    prior = None
    if spectrum:
        weight = torch.zeros(len(RINGS), CONDITIONS)
        weight[:, -1 - len(RINGS) : -1] = torch.eye(len(RINGS))  # what the first answer has,
        weight[:, -1] = 0.7  # and twice as much: a gradient that is not small
        prior = SpectrumPrior(weight)
    network.guidance_priors = GuidancePriors(spectrum=prior)
    save_model(path, network, {})
    return str(path)


_simplified: dict[str, bytes] = {}


def remembering(simplify: Callable[[onnx.ModelProto], onnx.ModelProto]) -> Callable:
    """The same function, which computes nothing twice in a test run: it takes seconds."""

    def remembered(model: onnx.ModelProto) -> onnx.ModelProto:
        key = hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()
        if key not in _simplified:
            _simplified[key] = simplify(model).SerializeToString()
        return onnx.load_from_string(_simplified[key])

    return remembered
