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

"""Training of the detector on a folder of frames with a COCO annotation file."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.errors import DataError
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.detection.boxes import BoxSet
from difiisr_ros.lab.detection.coco import evaluate_boxes
from difiisr_ros.lab.detection.data import Augmentation, CropSampler, load_frames
from difiisr_ros.lab.detection.losses import detection_loss
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED
from difiisr_ros.lab.training.loop import Training, half_cosine, warm_up
from difiisr_ros.models.detector.checkpoint import save_detector
from difiisr_ros.models.detector.detector import Detector
from difiisr_ros.models.detector.model import DetectorConfig, ThermalDetector


@dataclass(frozen=True)
class TrainSettings:
    """The recipe; stored in the model file."""

    steps: int = 10_000
    batch: int = 16
    crop: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 300
    clip: float = 10.0
    """Largest gradient norm."""
    ema: float = 0.999
    rare_below: float = 0.25
    """Classes in a smaller share of the frames are shown more often; 0: all frames alike."""
    seed: int = 0
    precision: str = "auto"
    """``bf16`` halves the time on CPUs that compute in it."""
    validate_every: int = 1000
    data_name: str = ""
    """What the frames are, and ``data_licence`` on which terms, for the model file."""
    data_licence: str = ""
    config: DetectorConfig = field(default_factory=DetectorConfig)


class DetectorTrainer(Training):
    """One training run in a folder: ``last.pt`` (resumable state) and ``detector.safetensors``.

    The averaged weights with the best mAP at IoU 0.5 to 0.95 on the validation frames are kept.

    Args:
        data: frames to train on, read for the configuration's classes.
        validation: frames never trained on.
        out: folder of the run; an interrupted run in it can be continued.
        strict: end at a frame that cannot be read, instead of leaving it out.
        camera: what of the frames is a measurement.

    Raises:
        DataError: no frame can be read, or there is no object to learn.
    """

    settings: TrainSettings

    def __init__(
        self,
        data: BoxSet,
        validation: BoxSet,
        out: Path,
        settings: TrainSettings,
        strict: bool = False,
        camera: CameraProfile = NOTHING_DECLARED,
    ) -> None:
        self._validation = validation
        self.left_out = LeftOut(strict)
        frames = load_frames(data, self.left_out, camera)
        self._validation_frames = load_frames(validation, self.left_out, camera)
        self._crop = camera.crop
        self._frames, self._objects = len(frames), sum(len(frame.labels) for frame in frames)
        if self._objects == 0:
            raise DataError("none of the frames to train on has an object")
        classes = len(settings.config.classes)
        augmentation = Augmentation(rare_below=settings.rare_below)
        self._sampler = CropSampler(frames, settings.crop, classes, settings.seed, augmentation)
        torch.manual_seed(settings.seed)
        super().__init__(out, ThermalDetector(settings.config), settings)
        self.optimizers, self.rates = [self._new_optimizer()], (settings.learning_rate,)
        self._best = -1.0

    def _new_optimizer(self) -> torch.optim.Optimizer:
        # Normalisations and biases are not decayed.
        decayed = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, self.settings.learning_rate)

    @property
    def model_file(self) -> Path:
        """Where the best averaged weights are written."""
        return self.out / "detector.safetensors"

    def _own_state(self) -> dict[str, Any]:
        return {"sampler": self._sampler.state(), "best": self._best}

    def _take_own_state(self, state: dict[str, Any]) -> None:
        self._sampler.set_state(state["sampler"])
        self._best = state["best"]

    def _goes_on(self) -> bool:
        return self.step < self.settings.steps

    def _is_due(self) -> bool:
        return self.step % self.settings.validate_every == 0 or self.step == self.settings.steps

    def _finish(self) -> Path:
        return self.model_file

    def _bar(self) -> tqdm:
        return tqdm(total=self.settings.steps, initial=self.step, unit="step", mininterval=2.0)

    def _show(self, bar: tqdm, loss: float) -> None:
        bar.update()
        bar.set_postfix_str(f"loss {loss:.3f}{self._quality()}", refresh=False)

    def _quality(self) -> str:
        if not self.history:
            return ""
        return f" mAP50 {self.history[-1]['map50']:.3f} mAP {self.history[-1]['map50_95']:.3f}"

    def _pace(self) -> float:
        """Linear warm-up, then half a cosine to 2 % of the peak."""
        s = self.settings
        return warm_up(self.step, s.warmup_steps) * (0.02 + 0.98 * half_cosine(self.step / s.steps))

    def _loss(self) -> torch.Tensor:
        batch = self._sampler.draw(self.settings.batch)
        targets = batch.targets.to(self.device)
        frames = batch.frames.to(self.device).contiguous(memory_format=torch.channels_last)
        self.model.train()
        with self._in_precision():
            prediction = self.model(frames)
        return detection_loss(prediction, targets)

    def _validate(self) -> None:
        """Score the averaged weights; keep them where they are the best so far."""
        network = ThermalDetector(self.settings.config)
        network.load_state_dict(self.ema)
        detector = Detector(copy.deepcopy(network).eval().fuse(), device=str(self.device))
        found = detector.detect_all((f.image_id, f.pixels) for f in self._validation_frames)
        found = {key: boxes.before(self._crop) for key, boxes in found.items()}
        metrics = evaluate_boxes(self._validation, detector.classes, found).metrics()
        self.history.append(
            {
                "step": self.step,
                "minutes": round(self.elapsed / 60, 1),
                "map50": round(metrics["map50"], 4),
                "map50_95": round(metrics["map50_95"], 4),
            }
        )
        tqdm.write(f"step {self.step}, {self.elapsed / 60:.1f} min:{self._quality()}")
        if metrics["map50_95"] > self._best:
            self._best = metrics["map50_95"]
            save_detector(self.model_file, network, self._facts())

    def _facts(self) -> dict[str, Any]:
        return {
            **self._recipe_facts(),
            "frames": self._frames,
            "objects": self._objects,
            "step": self.step,
            "validation": self.history[-1],
        }
