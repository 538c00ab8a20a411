"""Training of the detector on a folder of frames with a COCO annotation file."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from difiisr_ros.atomic_write import replacing
from difiisr_ros.core.device import current_device, has_native_bf16
from difiisr_ros.errors import DataError, Interrupted
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.detection.boxes import BoxSet
from difiisr_ros.lab.detection.coco import evaluate_boxes
from difiisr_ros.lab.detection.data import Augmentation, CropSampler, load_frames
from difiisr_ros.lab.detection.losses import detection_loss
from difiisr_ros.lab.training.run_folder import continuing, saving
from difiisr_ros.long_work import stop_requested, stopping_at_signals
from difiisr_ros.models.checkpoint import misfits
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


class DetectorTrainer:
    """One training run in a folder: ``last.pt`` (resumable state) and ``detector.safetensors``.

    The averaged weights with the best mAP at IoU 0.5 to 0.95 on the validation frames are kept.

    Args:
        data: frames to train on, read for the configuration's classes.
        validation: frames never trained on.
        out: folder of the run; an interrupted run in it can be continued.
        strict: end at a frame that cannot be read, instead of leaving it out.

    Raises:
        DataError: no frame can be read, or there is no object to learn.
    """

    def __init__(
        self,
        data: BoxSet,
        validation: BoxSet,
        out: Path,
        settings: TrainSettings,
        strict: bool = False,
    ) -> None:
        self.settings, self.out, self._validation = settings, out, validation
        self.device = current_device()
        self.left_out = LeftOut(strict)
        frames = load_frames(data, self.left_out)
        self._validation_frames = load_frames(validation, self.left_out)
        self._frames, self._objects = len(frames), sum(len(frame.labels) for frame in frames)
        if self._objects == 0:
            raise DataError("none of the frames to train on has an object")
        classes = len(settings.config.classes)
        augmentation = Augmentation(rare_below=settings.rare_below)
        self._sampler = CropSampler(frames, settings.crop, classes, settings.seed, augmentation)
        torch.manual_seed(settings.seed)
        self.network = ThermalDetector(settings.config).to(
            self.device, memory_format=torch.channels_last
        )
        self._average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self._optimizer = self._new_optimizer()
        precision = settings.precision
        fast = self.device.type == "cuda" or has_native_bf16()
        self._bf16 = precision == "bf16" or (precision == "auto" and fast)
        self.step, self.seconds, self.best = 0, 0.0, -1.0
        self.history: list[dict[str, Any]] = []

    def _new_optimizer(self) -> torch.optim.Optimizer:
        # Normalisations and biases are not decayed.
        decayed = [p for p in self.network.parameters() if p.ndim > 1]
        others = [p for p in self.network.parameters() if p.ndim <= 1]
        groups = [
            {"params": decayed, "weight_decay": self.settings.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, self.settings.learning_rate)

    @property
    def model_file(self) -> Path:
        """Where the best averaged weights are written."""
        return self.out / "detector.safetensors"

    @property
    def _state_file(self) -> Path:
        return self.out / "last.pt"

    def resume(self) -> bool:
        """Continue from ``last.pt`` where there is one; returns whether it was there.

        Raises:
            DataError: the file is damaged or of another configuration.
        """
        if not self._state_file.is_file():
            return False
        with continuing(self._state_file):
            state = torch.load(self._state_file, map_location="cpu", weights_only=True)
            if misfits(self.network, state["network"]):
                raise DataError("it is of another architecture, or other classes")
            self.network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._average = {k: v.to(self.device) for k, v in state["average"].items()}
            self._sampler.set_state(state["sampler"])
            self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
            self.history = state["history"]
        return True

    def _save_state(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "average": self._average,
            "sampler": self._sampler.state(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "history": self.history,
        }
        with saving(self.out), replacing(self._state_file) as temporary:
            torch.save(state, temporary)

    def run(self) -> Path:
        """Train until the steps are done. Returns :attr:`model_file`.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; what was reached is saved.
        """
        with stopping_at_signals():
            return self._run()

    def _run(self) -> Path:
        start = time.monotonic() - self.seconds
        mean: float | None = None
        total = self.settings.steps
        with tqdm(total=total, initial=self.step, unit="step", mininterval=2.0) as bar:
            while self.step < total:
                loss = self._train_step()
                mean = loss if mean is None else 0.98 * mean + 0.02 * loss
                self.seconds = time.monotonic() - start
                bar.update()
                bar.set_postfix_str(f"loss {mean:.3f}{self._quality()}", refresh=False)
                if stop_requested():
                    self._save_state()
                    raise Interrupted(
                        f"stopped at step {self.step}, and saved in {self.out}; the same command "
                        "continues there"
                    )
                if self.step % self.settings.validate_every == 0 or self.step == total:
                    self._validate()
                    self._save_state()
                    bar.write(f"step {self.step}, {self.seconds / 60:.1f} min:{self._quality()}")
        return self.model_file

    def _quality(self) -> str:
        if not self.history:
            return ""
        return f" mAP50 {self.history[-1]['map50']:.3f} mAP {self.history[-1]['map50_95']:.3f}"

    def _learning_rate(self) -> float:
        """Linear warm-up, then half a cosine to 2 % of the peak."""
        s = self.settings
        warm = min(1.0, (self.step + 1) / s.warmup_steps)
        cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / s.steps)))
        return s.learning_rate * warm * (0.02 + 0.98 * cosine)

    def _train_step(self) -> float:
        batch = self._sampler.draw(self.settings.batch)
        targets = batch.targets.to(self.device)
        frames = batch.frames.to(self.device).contiguous(memory_format=torch.channels_last)
        for group in self._optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.network.train()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            prediction = self.network(frames)
        loss = detection_loss(prediction, targets)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), self.settings.clip)
        self._optimizer.step()
        self.step += 1
        self._update_average()
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.ema, (self.step + 1) / (self.step + 10))
        for key, value in self.network.state_dict().items():
            if value.is_floating_point():
                self._average[key].lerp_(value, 1 - decay)

    def _validate(self) -> None:
        """Score the averaged weights; keep them where they are the best so far."""
        network = ThermalDetector(self.settings.config)
        network.load_state_dict(self._average)
        detector = Detector(copy.deepcopy(network).eval().fuse(), device=str(self.device))
        found = detector.detect_all((f.image_id, f.pixels) for f in self._validation_frames)
        metrics = evaluate_boxes(self._validation, detector.classes, found).metrics()
        self.history.append(
            {
                "step": self.step,
                "minutes": round(self.seconds / 60, 1),
                "map50": round(metrics["map50"], 4),
                "map50_95": round(metrics["map50_95"], 4),
            }
        )
        if metrics["map50_95"] > self.best:
            self.best = metrics["map50_95"]
            save_detector(self.model_file, network, self._facts())

    def _facts(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        for name in ("config", "data_name", "data_licence"):
            del settings[name]
        return {
            "trained_on": self.settings.data_name or "not stated",
            "licence": self.settings.data_licence or "not stated",
            "frames": self._frames,
            "objects": self._objects,
            "settings": settings,
            "step": self.step,
            "minutes": round(self.seconds / 60, 1),
            "torch": torch.__version__,
            "validation": self.history[-1],
        }
