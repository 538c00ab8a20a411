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

"""The whole sampler of a published model as an ONNX graph equals PyTorch."""

from __future__ import annotations

import pytest

from support.published_goldens import Little

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from difiisr_ros.errors import OptionError
from difiisr_ros.export.check import compare_with_torch
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.export.onnx_writer import GraphShape, export_onnx, read_facts
from difiisr_ros.models.published.files import save_published


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    goldens = Little()
    path = tmp_path_factory.mktemp("published") / "small.safetensors"
    states = goldens.state("unet_small"), goldens.state("vq_small")
    save_published(path, states, goldens.config(), {})
    return str(path)


@pytest.mark.parametrize(
    ("num_steps", "size", "guidance", "projection"),
    [
        (1, (30, 70), "visual", "wide"),
        pytest.param(2, (24, 32), "", "exact", marks=pytest.mark.slow),
    ],
)
def test_onnx_runtime_equals_torch(model_file, num_steps, size, guidance, projection):
    options = GraphOptions(num_steps=num_steps, guidance=guidance, projection=projection)
    data = export_onnx(model_file, options, GraphShape(1, *size))
    facts = read_facts(data, "graph")
    assert (facts.max_steps, facts.noise_count, facts.model_guidance) == (15, 1, "visual")
    (found,) = compare_with_torch(data, model_file, options, [(1, *size)])
    assert found.mean < 1e-4
    assert found.largest < 1e-3


def test_one_size_is_needed(model_file):
    with pytest.raises(OptionError, match="one size of frames"):
        export_onnx(model_file)
