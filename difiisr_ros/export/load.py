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

"""Any model file as a network, whatever its kind."""

from __future__ import annotations

from typing import Any

import torch

from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.models.published.files import load_published, prepare
from difiisr_ros.models.published.kind import is_published
from difiisr_ros.models.published.network import PublishedModel


def load_network(model: str) -> tuple[LiteDenoiser | PublishedModel, dict[str, Any]]:
    """``lite``, a model file, or a converted published model: float32 on the CPU, and its facts.

    Raises:
        ModelError: not a usable model.
    """
    if not is_published(model):
        return load_model(model)
    network, facts = load_published(model)
    # As it is trained, not as it runs fastest: an exporter finds its own way.
    return prepare(network, torch.device("cpu"), torch.float32, fast=False), facts
