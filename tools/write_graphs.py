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

"""Write the graphs of the embedded models that run where there is no PyTorch.

    python tools/write_graphs.py            # or: make graphs

Writes difiisr_ros/weights/lite.onnx, lite_x2.onnx, lite_x1.onnx and nano's from the weights beside
them: any size, one step.
Needs torch, onnx and onnxslim. To be run whenever the weights change, or what is computed with
them; test/backends/test_shipped_graphs.py says when.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.backends.shipped_graphs import SHIPPED, shipped_path
from difiisr_ros.core.scale import SCALES
from difiisr_ros.export.onnx_writer import export_onnx
from difiisr_ros.models.model_files import EMBEDDED


def main() -> None:
    """Write them all."""
    for model, scale in itertools.product(EMBEDDED, SCALES):
        path = shipped_path(model, scale)
        write_atomically(path, export_onnx(model, replace(SHIPPED, scale=scale)))
        print(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
