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

"""The loop of a training: its steps, averaged weights, resumable state, and stopping."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from difiisr_ros.atomic_write import replacing
from difiisr_ros.core.device import current_device, has_native_bf16
from difiisr_ros.errors import DataError, Interrupted
from difiisr_ros.lab.training import distributed
from difiisr_ros.lab.training.run_folder import continuing, saving
from difiisr_ros.long_work import stop_requested, stopping_at_signals
from difiisr_ros.models.checkpoint import misfits


class Training(ABC):
    """One training run in a folder, with its resumable state in ``last.pt``.

    Args:
        out: folder of the run.
        model: to be trained; moved to the device that there is.
        settings: a dataclass with ``clip``, ``ema``, ``precision``, ``data_name``,
            ``data_licence`` and ``config``.
    """

    rank, world = 0, 1
    """This process and how many there are, under ``torchrun``."""
    optimizers: list[torch.optim.Optimizer]
    rates: tuple[float, ...]
    """Learning rate of each optimizer, of which :meth:`_pace` is the factor."""

    def __init__(self, out: Path, model: nn.Module, settings: Any) -> None:
        self.out, self.settings = out, settings
        self.device = current_device()
        self.model: Any = model.to(self.device, memory_format=torch.channels_last)
        self.ema = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        fast = self.device.type == "cuda" or has_native_bf16()
        self._bf16 = settings.precision == "bf16" or (settings.precision == "auto" and fast)
        #: Steps and seconds so far.
        self.step, self.elapsed = 0, 0.0
        self.history: list[dict[str, Any]] = []

    # -- what a training says ------------------------------------------------------------------

    @abstractmethod
    def _goes_on(self) -> bool:
        """Whether there is another step to do."""

    @abstractmethod
    def _loss(self) -> torch.Tensor:
        """Of the next examples."""

    @abstractmethod
    def _pace(self) -> float:
        """Factor of the learning rates in the next step."""

    @abstractmethod
    def _is_due(self) -> bool:
        """Whether to validate and save now."""

    @abstractmethod
    def _validate(self) -> None:
        """Measure the averaged weights, for the history and the log."""

    @abstractmethod
    def _bar(self) -> tqdm:
        """A new progress bar."""

    @abstractmethod
    def _show(self, bar: tqdm, loss: float) -> None:
        """Move the bar, and write beside it."""

    @abstractmethod
    def _own_state(self) -> dict[str, Any]:
        """What a training has to keep beside what all have."""

    @abstractmethod
    def _take_own_state(self, state: dict[str, Any]) -> None:
        """Of a state read back; the optimizers take theirs afterwards."""

    @abstractmethod
    def _finish(self) -> Path:
        """After the last step. Returns the model file."""

    def _parameters(self) -> list[nn.Parameter]:
        """Those that are learned now."""
        return list(self.model.parameters())

    def _age(self) -> int:
        """Steps since the averaged weights began to follow."""
        return self.step

    # -- state ---------------------------------------------------------------------------------

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
            if misfits(self.model, state["model"]):
                raise DataError("it is of another architecture")
            self.model.load_state_dict(state["model"])
            self.ema = {k: v.to(self.device) for k, v in state["ema"].items()}
            self.step, self.elapsed = state["step"], state["elapsed"]
            self.history = state["history"]
            self._take_own_state(state)
            for optimizer, known in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(known)
        return True

    def _save(self) -> None:
        if self.rank != 0:
            return
        state = {
            "step": self.step,
            "elapsed": self.elapsed,
            "model": self.model.state_dict(),
            "ema": self.ema,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "history": self.history,
            **self._own_state(),
        }
        with saving(self.out):
            self.out.mkdir(parents=True, exist_ok=True)
            with replacing(self._state_file) as temporary:
                torch.save(state, temporary)

    def _recipe_facts(self) -> dict[str, Any]:
        """For the model file: the recipe, and what was learned from on which terms."""
        settings = asdict(self.settings)
        name, licence = settings.pop("data_name"), settings.pop("data_licence")
        del settings["config"]
        return {
            "trained_on": name or "not stated",
            "licence": licence or "not stated",
            "settings": settings,
            "minutes": round(self.elapsed / 60, 1),
            "torch": torch.__version__,
        }

    # -- loop ----------------------------------------------------------------------------------

    def run(self) -> Path:
        """Train until it is over. Returns the model file.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; what was reached is saved.
        """
        with stopping_at_signals():
            self._begun = time.monotonic() - self.elapsed
            with self._bar() as bar:
                self._run(bar)
            path = self._finish()
            distributed.stop(self.world)
            return path

    def _run(self, bar: tqdm) -> None:
        mean: float | None = None
        self._read_clock()
        while self._goes_on():
            loss = self._train_step()
            mean = loss if mean is None else 0.98 * mean + 0.02 * loss
            self._show(bar, mean)
            if distributed.broadcast(float(stop_requested()), self.world):
                self._save()
                distributed.stop(self.world)
                raise Interrupted(
                    f"stopped at step {self.step}, after {self.elapsed / 60:.1f} minutes, and "
                    f"saved in {self.out}; the same command continues there"
                )
            if self._is_due():
                self._validate()
                self._save()
            self._read_clock()

    def _read_clock(self) -> None:
        self.elapsed = distributed.broadcast(time.monotonic() - self._begun, self.world)

    def _train_step(self) -> float:
        """One step of the optimizers. Returns the loss."""
        pace = self._pace()
        for optimizer, rate in zip(self.optimizers, self.rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * pace
        loss = self._loss()
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = self._parameters()
        distributed.average_gradients(parameters, self.world)
        nn.utils.clip_grad_norm_(parameters, self.settings.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self._update_average()
        return float(loss.detach())

    def _settles(self) -> bool:
        """Whether what is rounded would stay in the weights: at the end."""
        return False

    def _in_precision(self) -> torch.autocast:
        rounds = self._bf16 and not (self.settings.precision == "auto" and self._settles())
        return torch.autocast(self.device.type, torch.bfloat16, enabled=rounds)

    @torch.no_grad()
    def _update_average(self) -> None:
        age = self._age() + 1
        decay = min(self.settings.ema, age / (age + 9))
        for key, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.ema[key].lerp_(value, 1 - decay)


def warm_up(step: int, steps: int) -> float:
    """0 to 1 over the first steps."""
    return min(1.0, (step + 1) / steps)


def half_cosine(done: float) -> float:
    """1 to 0 as ``done`` goes from 0 to 1."""
    return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
