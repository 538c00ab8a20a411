"""Training of the embedded model: prior expert, refiner on top of it, sampler in few steps."""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from difiisr_ros.atomic_write import replacing
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.device import current_device, has_native_bf16
from difiisr_ros.core.resample import fold
from difiisr_ros.errors import DataError, Interrupted
from difiisr_ros.io.left_out import LeftOut
from difiisr_ros.lab.frames.put_right import NOTHING_DECLARED
from difiisr_ros.lab.training import distributed
from difiisr_ros.lab.training.channel_limits import channel_examples, measure_limits
from difiisr_ros.lab.training.data import CropSampler, load_frames
from difiisr_ros.lab.training.degradation import degrade
from difiisr_ros.lab.training.distill import Teacher
from difiisr_ros.lab.training.guidance_priors import fit_guidance_priors, lite_answer
from difiisr_ros.lab.training.losses import GuidedLoss, few_step_loss, prior_loss, refiner_loss
from difiisr_ros.lab.training.muon import Muon
from difiisr_ros.lab.training.run_folder import continuing, saving
from difiisr_ros.lab.training.validate import validate
from difiisr_ros.lab.training.verdict import Verdict, compare_with_shipped
from difiisr_ros.long_work import stop_requested, stopping_at_signals
from difiisr_ros.models.channel_limits import ChannelLimits
from difiisr_ros.models.checkpoint import load_model, misfits, save_model
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteConfig, LiteDenoiser

#: What the sampler is taught to do in its last stage, in turn.
FEW_STEPS = (2, 4)
STAGES = ("prior", "refiner", "few_step")


@dataclass(frozen=True)
class TrainSettings:
    """The recipe; stored in the model file."""

    minutes: float = 90.0
    prior_share: float = 0.6
    """Share of the time that the prior expert gets."""
    few_step_share: float = 0.2
    """Share of the time, at its end, in which the refiner learns in the sampler as it is run."""
    guided_share: float = 0.0
    """Share of the prior expert's time, at its end, in which spectrum and features count too."""
    spectrum_weight: float = 0.02
    """Of the spectrum loss in one step, beside PSNR; n steps weigh it n^2 times."""
    feature_weight: float = 0.2
    """Of the loss on the perceptual prior's features."""
    batch: int = 8
    crop: int = 192
    learning_rate: float = 3e-3
    """Of AdamW, which all but the blocks' convolutions learn by."""
    muon_rate: float = 0.02
    """Of Muon, which these learn by."""
    warmup_steps: int = 200
    clip: float = 0.5
    """Largest gradient norm; without it 1e-3 diverges."""
    ema: float = 0.999
    degradation: str = "camera"
    seed: int = 0
    data_name: str = ""
    """What the frames are, and ``data_licence`` on which terms, for the model file."""
    data_licence: str = ""
    precision: str = "auto"
    """``bf16`` halves the time on CPUs that compute in it."""
    save_every_s: float = 120.0
    validate_frames: int = 16
    config: LiteConfig = field(default_factory=LiteConfig)


class Trainer:
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
        self.settings, self.out, self.data = settings, out, data
        self.rank, self.world = distributed.start()
        self.device = current_device()
        self.left_out = LeftOut(strict)
        frames = load_frames(data, settings.crop, self.left_out, camera)
        if validation is not None:
            held_out = load_frames(validation, settings.crop, self.left_out, camera)
        else:
            held_out, frames = frames[::50], [f for i, f in enumerate(frames) if i % 50]
        if not frames:
            raise DataError(f"{data}: no frame is left to train on")
        self.validation = held_out[:: max(1, len(held_out) // settings.validate_frames)]
        self._frames, self.frames = frames, len(frames)
        #: What guidance expects; fitted at the end of the run.
        self.priors = GuidancePriors()
        self.channel_limits: ChannelLimits | None = None
        seed = settings.seed * 1000 + self.rank
        self.sampler = CropSampler(frames, settings.crop, seed)
        self.generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(settings.seed)
        self.model = LiteDenoiser(settings.config).to(
            self.device, memory_format=torch.channels_last
        )
        if initial_model is not None:
            self.model.load_state_dict(initial_model.state_dict())
        self.ema = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.amp = _amp_dtype(settings.precision, self.device)
        self.guided = GuidedLoss(settings.spectrum_weight, settings.feature_weight, self.device)
        self.plain = GuidedLoss(0.0, 0.0, self.device)
        self.stage, self.step, self.elapsed = self._stages()[0], 0, 0.0
        self.history: list[dict[str, Any]] = []
        #: Of the finished model, where one of its architecture is shipped.
        self.verdict: Verdict | None = None
        self._new_optimizer()

    # -- state -------------------------------------------------------------------------------

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
            self.stage = state["stage"]
            self._new_optimizer()
            self.model.load_state_dict(state["model"])
            for optimizer, known in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(known)
            self.ema = {k: v.to(self.device) for k, v in state["ema"].items()}
            self.step, self.elapsed = state["step"], state["elapsed"]
            self.history = state["history"]
            if self.rank == 0:
                self.generator.set_state(state["generator"])
                self.sampler.set_state(state["sampler"])
            else:
                self._draw_anew()
        return True

    def _draw_anew(self) -> None:
        """Crops and noise of a process whose generators were not kept: only the first's are.

        Neither those of another process nor those that this one began with.
        """
        seeds = np.random.SeedSequence([self.settings.seed, self.rank, self.step])
        crops, noise = (int(seed) for seed in seeds.generate_state(2))
        self.sampler = CropSampler(self._frames, self.settings.crop, crops)
        self.generator.manual_seed(noise)

    def _save(self) -> None:
        if self.rank != 0:
            return
        self.out.mkdir(parents=True, exist_ok=True)
        state = {
            "stage": self.stage,
            "step": self.step,
            "elapsed": self.elapsed,
            "model": self.model.state_dict(),
            "ema": self.ema,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "generator": self.generator.get_state(),
            "sampler": self.sampler.state(),
            "history": self.history,
        }
        with saving(self.out):
            with replacing(self._state_file) as temporary:
                torch.save(state, temporary)
            save_model(self.out / "model.safetensors", self._averaged(), self._facts())

    def _measure_finished(self) -> None:
        """What guidance expects depends on the finished model's answers, 8 bits on its maps."""
        if self.rank == 0:
            model = self._averaged()
            self.priors = fit_guidance_priors(lite_answer(model), self.device, self._frames)
            self.channel_limits = measure_limits(model.prior, channel_examples(model, self._frames))
            self.verdict = compare_with_shipped(model, self.validation)

    def _averaged(self) -> LiteDenoiser:
        model = LiteDenoiser(self.settings.config)
        model.guidance_priors, model.channel_limits = self.priors, self.channel_limits
        model.load_state_dict(self.ema)
        return model.to(self.device).eval()

    def _facts(self) -> dict[str, Any]:
        settings = asdict(self.settings)
        for name in ("config", "data_name", "data_licence"):
            del settings[name]
        return {
            "trained_on": self.settings.data_name or self.data.name,
            "licence": self.settings.data_licence or "not stated",
            "frames": self.frames,
            "settings": settings,
            "minutes": round(self.elapsed / 60, 1),
            "steps": self.step,
            "processes": self.world,
            "torch": torch.__version__,
            "started_from": self.initial_facts,
            "distilled_from": self.teacher.facts if self.teacher else None,
            "history": self.history[-1:],
        }

    # -- loop --------------------------------------------------------------------------------

    def _parameters(self) -> list[nn.Parameter]:
        m = self.model
        modules = [m.refiner, m.noise_embedding, m.refiner_camera_embedding]
        if self.stage == "prior":
            modules = [m.prior, m.camera_embedding]
        return [p for module in modules for p in module.parameters()]

    def _block_weights(self) -> list[nn.Parameter]:
        network = self.model.prior if self.stage == "prior" else self.model.refiner
        return [p for p in network.blocks.parameters() if p.dim() == 4]

    def _new_optimizer(self) -> None:
        blocks = self._block_weights()
        known = {id(weight) for weight in blocks}
        others = [p for p in self._parameters() if id(p) not in known]
        s = self.settings
        self.optimizers: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(others, s.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4),
            Muon(blocks, s.muon_rate),
        ]

    def _windows(self) -> dict[str, tuple[float, float]]:
        """Begin and end of every stage in seconds of training time."""
        s, total = self.settings, self.settings.minutes * 60
        ends = (s.prior_share, max(1 - s.few_step_share, s.prior_share), 1.0)
        begins = (0.0, *ends[:-1])
        return {
            stage: (begin * total, end * total) for stage, begin, end in zip(STAGES, begins, ends)
        }

    def _stages(self) -> list[str]:
        """The stages that get any time."""
        return [stage for stage, (begin, end) in self._windows().items() if end > begin]

    def _window(self) -> tuple[float, float]:
        return self._windows()[self.stage]

    def _done(self, elapsed: float) -> float:
        """How much of the present stage is over, 0 to 1."""
        begin, end = self._window()
        return min(1.0, (elapsed - begin) / max(end - begin, 1e-9))

    def _pace(self, elapsed: float) -> float:
        """Of the learning rates: a short rise, then half a cosine."""
        warm = min(1.0, (self.stage_step + 1) / self.settings.warmup_steps)
        return warm * max(0.01, 0.5 * (1 + math.cos(math.pi * self._done(elapsed))))

    def run(self) -> Path:
        """Train until the minutes are over. Returns the model file.

        Raises:
            Interrupted: Ctrl-C or SIGTERM; what was reached is saved.
        """
        with stopping_at_signals():
            return self._run()

    def _run(self) -> Path:
        start = time.monotonic() - self.elapsed
        last_save = self.elapsed
        self.stage_step = 0 if self.step == 0 else self.settings.warmup_steps
        bar = tqdm(
            total=int(self.settings.minutes * 60),
            initial=int(self.elapsed),
            disable=self.rank != 0,
            mininterval=2.0,
            bar_format="{l_bar}{bar}| {n}/{total} s {postfix}",
        )
        mean: float | None = None
        while True:
            elapsed = distributed.broadcast(time.monotonic() - start, self.world)
            if elapsed >= self._window()[1]:
                if self.stage == self._stages()[-1]:
                    break
                self._validate(bar)
                self._begin_next_stage()
                continue
            loss = self._train_step(elapsed)
            self.elapsed = elapsed
            mean = loss if mean is None else 0.98 * mean + 0.02 * loss
            bar.update(int(elapsed) - bar.n)
            quality = f" PSNR {self.history[-1]['gain']:+.2f} dB" if self.history else ""
            bar.set_postfix_str(f"{self.stage} step {self.step} loss {mean:.4f}{quality}", False)
            if distributed.broadcast(float(stop_requested()), self.world):
                bar.close()
                self._save()
                distributed.stop(self.world)
                raise Interrupted(
                    f"stopped at step {self.step}, after {elapsed / 60:.1f} minutes, and saved in "
                    f"{self.out}; the same command continues there"
                )
            if elapsed - last_save > self.settings.save_every_s:
                last_save = elapsed
                self._validate(bar)
                self._save()
        bar.close()
        self.elapsed = self.settings.minutes * 60
        self._validate(bar)
        self._save()  # what follows takes a while
        self._measure_finished()
        self._save()
        distributed.stop(self.world)
        return self.out / "model.safetensors"

    def _begin_next_stage(self) -> None:
        """Every stage builds on the averaged weights of the one before."""
        with torch.no_grad():
            for key, value in self.model.state_dict().items():
                value.copy_(self.ema[key])
        stages = self._stages()
        self.stage, self.stage_step = stages[stages.index(self.stage) + 1], 0
        self._new_optimizer()

    def _examples(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """LR crops, what is to be learned of them, folded, and what is told of their cameras."""
        s = self.settings
        if self.teacher is not None:
            return self.teacher.examples(self.sampler, s.batch, s.degradation, self.generator)
        batch = self.sampler.draw(s.batch)
        made = degrade(batch, s.degradation, self.generator)
        d = self.device
        return made.lr.to(d), fold(made.hr.to(d)), made.camera.to(d)

    def _train_step(self, elapsed: float) -> float:
        s = self.settings
        lr, hr, camera = self._examples()
        pace = self._pace(elapsed)
        for optimizer, rate in zip(self.optimizers, (s.learning_rate, s.muon_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * pace
        enabled = self.amp is not None
        with torch.autocast(self.device.type, self.amp or torch.bfloat16, enabled=enabled):
            if self.stage == "prior":
                end = s.guided_share > 0 and self._done(elapsed) >= 1 - s.guided_share
                loss = prior_loss(self.model, lr, hr, camera, self.guided if end else self.plain)
            elif self.stage == "refiner":
                loss = refiner_loss(self.model, lr, hr, camera, self.generator)
            else:
                steps = FEW_STEPS[self.step % len(FEW_STEPS)]
                loss = few_step_loss(self.model, lr, hr, camera, steps, self.guided, self.generator)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        parameters = self._parameters()
        distributed.average_gradients(parameters, self.world)
        nn.utils.clip_grad_norm_(parameters, s.clip)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        self.stage_step += 1
        self._update_average()
        return float(loss.detach())

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.settings.ema, (self.stage_step + 1) / (self.stage_step + 10))
        for key, value in self.model.state_dict().items():
            self.ema[key].lerp_(value, 1 - decay)

    def _validate(self, bar: tqdm) -> None:
        if self.rank != 0:
            return
        for steps in (1,) if self.stage == "prior" else FEW_STEPS:
            bicubic, ours = validate(self._averaged(), self.validation, steps)
            entry = {
                "stage": self.stage,
                "step": self.step,
                "minutes": round(self.elapsed / 60, 2),
                "num_steps": steps,
                "psnr": round(ours.psnr, 3),
                "gain": round(ours.psnr - bicubic.psnr, 3),
                "spectrum_loss": round(ours.spectrum, 4),
            }
            self.history.append(entry)
            bar.write(
                f"{entry['minutes']:7.1f} min  step {self.step}  {steps}-step "
                f"PSNR {ours.psnr:.2f} dB (bicubic {bicubic.psnr:.2f}), "
                f"spectrum loss {ours.spectrum:.3f} ({bicubic.spectrum:.3f})"
            )


def _amp_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    if precision == "fp32":
        return None
    if precision == "bf16" or device.type == "cuda":
        return torch.bfloat16
    return torch.bfloat16 if has_native_bf16() else None
