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

"""Tests as pytest collects them in any ROS 2 workspace, whatever is installed there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

#: Libraries that package.xml does not ask for, and how they are got.
OPTIONAL = {
    "hypothesis": "apt install python3-hypothesis",
    "lz4": "pip install lz4",
    "mcap": "pip install mcap",
    "onnx": "pip install onnx",
    "onnxruntime": "pip install onnxruntime",
    "pycocotools": "pip install pycocotools",
    "rosbags": "pip install rosbags",
    "safetensors": "pip install safetensors",
    "scipy": "apt install python3-scipy",
    "skimage": "apt install python3-skimage",
    "tifffile": "apt install python3-tifffile",
    "torch": "pip install torch",
    "zstandard": "pip install zstandard",
}


class Module(pytest.Module):
    """A module of tests; it is skipped where it needs a library of ``OPTIONAL`` that is missing."""

    def _getobj(self) -> object:
        try:
            return super()._getobj()
        except self.CollectError as error:
            missing = getattr(error.__cause__, "name", None)
            if isinstance(error.__cause__, ModuleNotFoundError) and missing in OPTIONAL:
                pytest.skip(
                    f"{self.nodeid}: {missing} is missing: {OPTIONAL[missing]}",
                    allow_module_level=True,
                )
            raise


def skip_without(item: pytest.Item) -> None:
    """Skip a test whose mark ``needs`` names a library that is missing."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            if importlib.util.find_spec(name) is None:
                pytest.skip(f"{name} is missing: {OPTIONAL[name]}")


def collected(file: Path, parent: pytest.Collector, **how: object) -> object | None:
    """The module in a file, or None for a launch test, which is launch_testing's to collect.

    launch_testing's plugin imports every test module to see whether it is one. A module that skips
    itself, because it needs something that is not installed, would then silently skip all tests of
    its folder.
    """
    if "def generate_test_description" in file.read_text(encoding="utf-8"):
        return None
    return Module.from_parent(parent, **how)
