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

"""Synthetic frames with boxes for the detector's tests: warm rectangles on a cool ground."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("upright", "lying")


def scene(seed: int, height: int = 96, width: int = 128) -> tuple[np.ndarray, list[dict]]:
    """H x W uint8 with up to 6 rectangles apart from each other, and their COCO annotations."""
    rng = np.random.default_rng(seed)
    frame = rng.normal(60, 3, (height, width))
    taken, objects = np.zeros((height, width), bool), []
    for _ in range(6):
        label = int(rng.integers(2))
        short, long = rng.integers(6, 10), rng.integers(14, 20)
        w, h = (short, long) if label == 0 else (long, short)
        left, top = int(rng.integers(2, width - w - 2)), int(rng.integers(2, height - h - 2))
        around = slice(top - 2, top + h + 2), slice(left - 2, left + w + 2)
        if taken[around].any():
            continue
        taken[around] = True
        frame[top : top + h, left : left + w] += 120
        objects.append({"category_id": 10 + label, "bbox": [left, top, int(w), int(h)]})
    return frame.clip(0, 255).astype(np.uint8), objects


def write_set(folder: Path, frames: int, seed: int = 0) -> Path:
    """A folder of frames with its annotation file beside it; returns the folder."""
    folder.mkdir(parents=True)
    content: dict[str, list] = {
        "images": [],
        "annotations": [],
        "categories": [{"id": 10 + i, "name": name} for i, name in enumerate(CLASSES)],
    }
    for number in range(frames):
        frame, objects = scene(seed + number)
        name = f"{number}.png"
        Image.fromarray(frame).save(folder / name)
        content["images"].append({"id": 100 + number, "file_name": name})
        for entry in objects:
            entry |= {"id": len(content["annotations"]), "image_id": 100 + number}
            content["annotations"].append(entry)
    folder.with_name(folder.name + ".json").write_text(json.dumps(content))
    return folder
