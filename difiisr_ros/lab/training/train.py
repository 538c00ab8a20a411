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

"""Training of the embedded model: prior expert, refiner on top of it, sampler in few steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.resample import fold
from difiisr_ros.errors import DataError
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED
from difiisr_ros.lab.training import distributed
from difiisr_ros.lab.training.channel_limits import channel_examples, measure_limits
from difiisr_ros.lab.training.data import CropSampler, load_frames
from difiisr_ros.lab.training.degradation import degrade
from difiisr_ros.lab.training.distill import Teacher
from difiisr_ros.lab.training.guidance_priors import fit_guidance_priors, lite_answer
from difiisr_ros.lab.training.loop import Training, half_cosine, warm_up
from difiisr_ros.lab.training.losses import GuidedLoss, few_step_loss, prior_loss, refiner_loss
from difiisr_ros.lab.training.muon import Muon
from difiisr_ros.lab.training.recipe import FEW_STEPS, TrainSettings
from difiisr_ros.lab.training.run_folder import saving
from difiisr_ros.lab.training.validate import validate
from difiisr_ros.lab.training.verdict import Verdict, compare_with_shipped
from difiisr_ros.models.channel_limits import ChannelLimits
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteDenoiser

SETTLING = 0.2
"""Share of each stage, at its end, in float32. Trained in bfloat16 alone, ``nano`` made six times
the texture on smooth frames, and a lattice two and a half times as strong, as after a seventh more
in float32."""


class Trainer(Training):
    """One training run in a folder: ``last.pt`` (resumable state) and ``model.safetensors``.

    Args:
        data: folder of HR frames.
        out: folder of the run; an interrupted run in it is continued.
        validation: folder of HR frames never trained on, or None to hold out every 50th frame.
        initial: model file (or ``lite``) to start from, with its configuration.
        teacher: a published model whose results are learned instead of the frames.
        strict: end at a file that cannot be read, instead of leaving it out.
        camera: what of the frames is a measurement.

    Raises:
        DataError: the frames cannot be used.
        ModelError: ``initial`` is not a usable model.
    """

    settings: TrainSettings

    def __init__(
        self,
        data: Path,
        out: Path,
        settings: TrainSettings,
        validation: Path | None = None,
        initial: str | None = None,
        teacher: Teacher | None = None,
        strict: bool = False,
        camera: CameraProfile = NOTHING_DECLARED,
    ) -> None:
        initial_model: LiteDenoiser | None = None
        self.initial_facts: dict[str, Any] | None = None
        self.teacher = teacher
        if initial:
            initial_model, self.initial_facts = load_model(initial)
            settings = replace(settings, config=initial_model.config)
        self.data = data
        self.rank, self.world = distributed.start()
        self.left_out = LeftOut(strict)
        frames = load_frames(data, settings.crop, self.left_out, camera)
        if validation is not None:
            held_out = load_frames(validation, settings.crop, self.left_out, camera)
        else:
            held_out, frames = frames[::50], [f for i, f in enumerate(frames) if i % 50]
        if not frames:
            raise DataError(f"{data}: no frame is left to train on")
        self.validation = held_out[:: max(1, len(held_out) // settings.validate_frames)]
        self.frames = frames
        #: What guidance expects; fitted at the end of the run.
        self.priors = GuidancePriors()
        self.channel_limits: ChannelLimits | None = None
        seed = settings.seed * 1000 + self.rank
        self.sampler = CropSampler(frames, settings.crop, seed)
        self.generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(settings.seed)
        model = LiteDenoiser(settings.config)
        if initial_model is not None:
            model.load_state_dict(initial_model.state_dict())
        super().__init__(out, model, settings)
        self.guided = GuidedLoss(
            settings.spectrum_weight, settings.feature_weight, self.device, settings.features
        )
        self.plain = GuidedLoss(0.0, 0.0, self.device)
        #: Of the finished model, where one of its architecture is shipped.
        self.verdict: Verdict | None = None
        self._saved_at = 0.0
        self._begin(settings.stages()[0])

    # -- stages --------------------------------------------------------------------------------

    def _begin(self, stage: str) -> None:
        self.stage, self._stage_began = stage, self.step
        blocks = self._block_weights()
        known = {id(weight) for weight in blocks}
        others = [p for p in self._parameters() if id(p) not in known]
        s = self.settings
        self.rates = s.learning_rate, s.muon_rate
        self.optimizers = [
            torch.optim.AdamW(others, s.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4),
            Muon(blocks, s.muon_rate),
        ]

    def _parameters(self) -> list[nn.Parameter]:
        m = self.model
        modules = [m.refiner, m.noise_embedding, m.refiner_camera_embedding]
        if self.stage == "prior":
            modules = [m.prior, m.camera_embedding]
        return [p for module in modules for p in module.parameters()]

    def _block_weights(self) -> list[nn.Parameter]:
        network = self.model.prior if self.stage == "prior" else self.model.refiner
        return [p for p in network.blocks.parameters() if p.dim() == 4]

    def _goes_on(self) -> bool:
        if self.elapsed < self.settings.window(self.stage)[1]:
            return True
        stages = self.settings.stages()
        if self.stage == stages[-1]:
            return False
        self._validate()
        # Every stage builds on the averaged weights of the one before.
        self.model.load_state_dict(self.ema)
        self._begin(stages[stages.index(self.stage) + 1])
        self._read_clock()
        return self._goes_on()

    def _done(self) -> float:
        """How much of the present stage is over, 0 to 1."""
        begin, end = self.settings.window(self.stage)
        return min(1.0, (self.elapsed - begin) / max(end - begin, 1e-9))

    def _settles(self) -> bool:
        return self._done() >= 1 - SETTLING

    def _pace(self) -> float:
        """A short rise, then half a cosine to a hundredth."""
        warm = warm_up(self._age(), self.settings.warmup_steps)
        return warm * max(0.01, half_cosine(self._done()))

    def _age(self) -> int:
        return self.step - self._stage_began

    # -- step ----------------------------------------------------------------------------------

    def _examples(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """LR crops, what is to be learned of them, folded, and what is told of their cameras."""
        s = self.settings
        if self.teacher is not None:
            return self.teacher.examples(self.sampler, s.batch, s.degradation, self.generator)
        batch = self.sampler.draw(s.batch)
        made = degrade(batch, s.degradation, self.generator)
        d = self.device
        return made.lr.to(d), fold(made.hr.to(d)), made.camera.to(d)

    def _loss(self) -> torch.Tensor:
        lr, hr, camera = self._examples()
        with self._in_precision():
            if self.stage == "prior":
                share = self.settings.guided_share
                end = share > 0 and self._done() >= 1 - share
                return prior_loss(self.model, lr, hr, camera, self.guided if end else self.plain)
            if self.stage == "refiner":
                return refiner_loss(self.model, lr, hr, camera, self.generator)
            steps = FEW_STEPS[self.step % len(FEW_STEPS)]
            return few_step_loss(self.model, lr, hr, camera, steps, self.guided, self.generator)

    # -- progress ------------------------------------------------------------------------------

    def _bar(self) -> tqdm:
        return tqdm(
            total=int(self.settings.minutes * 60),
            initial=int(self.elapsed),
            disable=self.rank != 0,
            mininterval=2.0,
            bar_format="{l_bar}{bar}| {n}/{total} s {postfix}",
        )

    def _show(self, bar: tqdm, loss: float) -> None:
        quality = f" PSNR {self.history[-1]['gain']:+.2f} dB" if self.history else ""
        bar.update(int(self.elapsed) - bar.n)
        bar.set_postfix_str(f"{self.stage} step {self.step} loss {loss:.4f}{quality}", False)

    def _is_due(self) -> bool:
        return self.elapsed - self._saved_at > self.settings.save_every_s

    def _validate(self) -> None:
        if self.rank != 0:
            return
        model = self._averaged()
        for steps in (1,) if self.stage == "prior" else FEW_STEPS:
            bicubic, ours = validate(model, self.validation, steps)
            _, auto = validate(model, self.validation, steps, tell_blur=False)
            entry = {
                "stage": self.stage,
                "step": self.step,
                "minutes": round(self.elapsed / 60, 2),
                "num_steps": steps,
                "psnr": round(ours.psnr, 3),
                "gain": round(ours.psnr - bicubic.psnr, 3),
                "gain_auto": round(auto.psnr - bicubic.psnr, 3),
                "spectrum_loss": round(ours.spectrum, 4),
            }
            self.history.append(entry)
            tqdm.write(
                f"{entry['minutes']:7.1f} min  step {self.step}  {steps}-step "
                f"PSNR {ours.psnr:.2f} dB ({auto.psnr:.2f} by camera: auto, "
                f"bicubic {bicubic.psnr:.2f}), "
                f"spectrum loss {ours.spectrum:.3f} ({bicubic.spectrum:.3f})"
            )

    # -- state and model file ------------------------------------------------------------------

    def _own_state(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "generator": self.generator.get_state(),
            "sampler": self.sampler.state(),
        }

    def _take_own_state(self, state: dict[str, Any]) -> None:
        self._begin(state["stage"])
        if self.step > 0:  # it is warm already
            self._stage_began -= self.settings.warmup_steps
        self._saved_at = self.elapsed
        if self.rank == 0:
            self.generator.set_state(state["generator"])
            self.sampler.set_state(state["sampler"])
        else:
            self._draw_anew()

    def _draw_anew(self) -> None:
        """Crops and noise of a process whose generators were not kept: only the first's are.

        Neither those of another process nor those that this one began with.
        """
        seeds = np.random.SeedSequence([self.settings.seed, self.rank, self.step])
        crops, noise = (int(seed) for seed in seeds.generate_state(2))
        self.sampler = CropSampler(self.frames, self.settings.crop, crops)
        self.generator.manual_seed(noise)

    def _save(self) -> None:
        super()._save()
        self._saved_at = self.elapsed
        if self.rank == 0:
            with saving(self.out):
                save_model(self.out / "model.safetensors", self._averaged(), self._facts())

    def _finish(self) -> Path:
        self.elapsed = self.settings.minutes * 60
        self._validate()
        self._save()  # what follows takes a while
        if self.rank == 0:
            self._measure_finished()
        self._save()
        return self.out / "model.safetensors"

    def _measure_finished(self) -> None:
        """What guidance expects depends on the finished model's answers, 8 bits on its maps."""
        model = self._averaged()
        self.priors = fit_guidance_priors(
            lite_answer(model), self.device, self.frames, self.settings.features
        )
        self.channel_limits = measure_limits(model.prior, channel_examples(model, self.frames))
        self.verdict = compare_with_shipped(model, self.validation)

    def _averaged(self) -> LiteDenoiser:
        model = LiteDenoiser(self.settings.config)
        model.guidance_priors, model.channel_limits = self.priors, self.channel_limits
        model.load_state_dict(self.ema)
        return model.to(self.device).eval()

    def _facts(self) -> dict[str, Any]:
        return {
            **self._recipe_facts(),
            "trained_on": self.settings.data_name or self.data.name,
            "frames": len(self.frames),
            "steps": self.step,
            "processes": self.world,
            "started_from": self.initial_facts,
            "distilled_from": self.teacher.facts if self.teacher else None,
            "history": self.history[-1:],
        }
