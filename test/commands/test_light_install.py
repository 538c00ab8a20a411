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

"""What pip's default brings is enough for the commands that need no training."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from support.paths import DRONE_FRAMES

#: The libraries of extras; None in sys.modules makes importing one an ImportError.
CHILD = """
import sys
for name in ("torch", "scipy", "skimage", "safetensors", "onnx", "onnxslim", "torchmetrics"):
    sys.modules[name] = None
from difiisr_ros.cli import main
frames, out = sys.argv[1:]
assert main(["upscale", frames, out + "/up", "--model", "nano"]) == 0
assert main(["evaluate", frames, "--limit", "2", "--model", "nano", "--out", out + "/ev"]) == 0
assert main(["calibrate", frames, "--out", out + "/camera.yaml"]) in (0, 1)
assert main(["train", frames, "--out", out + "/run"]) == 2
"""


def test_upscale_evaluate_and_calibrate_need_no_extra(tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for frame in sorted(DRONE_FRAMES.glob("*.jpg"))[:3]:
        (frames / frame.name).write_bytes(frame.read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(frames), str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=170,
        env={**os.environ, "DIFIISR_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "up").iterdir())) == 3
    assert json.loads((tmp_path / "ev" / "results.json").read_text())["frames"] == 2
    assert "pip install 'difiisr_ros[torch]'" in done.stderr
