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

"""Fit what guidance expects to the answers of a model file, and write it into one."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from difiisr_ros.atomic_write import replacing
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.device import choose_device
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED
from difiisr_ros.lab.training.data import load_frames
from difiisr_ros.lab.training.guidance_priors import (
    FRAMES,
    Answer,
    fit_guidance_priors,
    lite_answer,
    published_answer,
)
from difiisr_ros.models.checkpoint import load_model
from difiisr_ros.models.features.load import load_features
from difiisr_ros.models.guidance_priors import PREFIX, GuidancePriors
from difiisr_ros.models.model_files import model_path
from difiisr_ros.models.published.config import SCALE
from difiisr_ros.models.published.files import load_published, prepare
from difiisr_ros.models.published.kind import is_published
from difiisr_ros.models.tensor_file import read_tensors, write_tensors

_SMALLEST = 64  # HR pixels a side
_FITTED = "guidance_fitted_to"


def is_fitted(path: Path, model: Path) -> bool:
    """Whether a file is this model, with whatever expectations.

    Raises:
        TensorFileError, OSError: a file that is no model.
    """
    return _without_fit(path) == _without_fit(model)


def _without_fit(path: Path) -> dict[str, str]:
    metadata = read_tensors(path)[1]
    facts = json.loads(metadata.get("facts", "{}"))
    facts.pop(_FITTED, None)
    return {**metadata, "facts": json.dumps(facts)}


def fit_file(
    model: str,
    frames: Path,
    features: str,
    out: Path,
    count: int = FRAMES,
    largest: int = 0,
    left_out: LeftOut | None = None,
    camera: CameraProfile = NOTHING_DECLARED,
) -> GuidancePriors:
    """Fit to a model's answers, and write the model with the expectations.

    Weights and all else in the file stay bit for bit. An embedded model's frames are reduced as by
    cameras, a published one's by antialiased bicubic, as it was trained.

    Args:
        model: ``lite``, ``nano``, a model file, or a published model's converted file.
        frames: HR frames of the kind that it will see.
        features: see :func:`difiisr_ros.models.features.load.load_features`.
        out: the file to write; may be ``model``.
        count: frames to use at most, evenly chosen.
        largest: HR side that frames are cut to, around their middle; 0 for whole frames (of a
            published model what it takes without padding).
        left_out: takes the frames that cannot be read.
        camera: what of the frames is a measurement.

    Raises:
        DataError: no frames, or the file cannot be written.
        ModelError: the model or the weights of the features cannot be used.
        OptionError: unknown features.
    """
    load_features(features)  # reading the frames takes a while, and what is missing is said before
    device = choose_device()
    path = model_path(model)
    answer: Answer
    if is_published(str(path)):
        published, _ = load_published(str(path))
        side = SCALE * published.config.unet["image_size"]
        largest = min(largest or side, side)
        answer = published_answer(prepare(published, device, torch.float32))
        degradation, smallest = "reduced", side // 2
    else:
        lite, _ = load_model(model)
        answer = lite_answer(lite.to(device))
        degradation, smallest = "camera", _SMALLEST
    found = load_frames(frames, smallest, left_out, camera)
    count = min(count, len(found))
    priors = fit_guidance_priors(answer, device, found, features, count, largest, degradation)
    tensors, metadata = read_tensors(path)
    kept = {k: v.clone() for k, v in tensors.items() if not k.startswith(PREFIX)}
    facts = json.loads(metadata.get("facts", "{}"))
    facts[_FITTED] = f"{count} frames of {frames.name}"
    with replacing(out) as temporary:
        write_tensors(temporary, kept | priors.tensors(), {**metadata, "facts": json.dumps(facts)})
    return priors
