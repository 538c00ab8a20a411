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

"""Configuration of a published model: the two networks' parameters and the diffusion's.

The default is the release's ``DifIISR_test.yaml``, which ResShift's and SinSR's real-world x4
models share. Other files of that form, as ResShift's training code takes them, are read too.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from difiisr_ros.core.schedule import ResidualShiftSchedule
from difiisr_ros.errors import ModelError

SCALE = 4


def _unet() -> dict[str, Any]:
    return {
        "image_size": 64,
        "in_channels": 6,
        "model_channels": 160,
        "out_channels": 3,
        "cond_lq": True,
        "attention_resolutions": [64, 32, 16, 8],
        "dropout": 0,
        "channel_mult": [1, 2, 2, 4],
        "num_res_blocks": [2, 2, 2, 2],
        "conv_resample": True,
        "dims": 2,
        "use_fp16": False,
        "num_head_channels": 32,
        "use_scale_shift_norm": True,
        "resblock_updown": False,
        "swin_depth": 2,
        "swin_embed_dim": 192,
        "window_size": 8,
        "mlp_ratio": 4,
    }


def _autoencoder() -> dict[str, Any]:
    return {
        "embed_dim": 3,
        "n_embed": 8192,
        "ddconfig": {
            "double_z": False,
            "z_channels": 3,
            "resolution": 256,
            "in_channels": 3,
            "out_ch": 3,
            "ch": 128,
            "ch_mult": [1, 2, 4],
            "num_res_blocks": 2,
            "attn_resolutions": [],
            "dropout": 0.0,
            "padding_mode": "zeros",
        },
    }


@dataclass(frozen=True)
class PublishedConfig:
    """Stored in a converted file; the defaults are those of the published DifIISR.

    Raises:
        ModelError: networks that are not for x4 on three channels.
    """

    unet: dict[str, Any] = field(default_factory=_unet)
    """``params`` of the denoiser, see :class:`~difiisr_ros.models.swin_unet.UNetModelSwin`."""
    autoencoder: dict[str, Any] = field(default_factory=_autoencoder)
    """``params`` of :class:`~difiisr_ros.models.vq_autoencoder.VQModelTorch`."""
    steps: int = 15
    kappa: float = 2.0
    power: float = 0.3
    min_noise_level: float = 0.04
    etas_end: float = 0.99
    stochasticity: float = 0.0
    """Of more than one step: 0 as the release samples (DDIM), 1 as ResShift does (DDPM)."""
    pad_autoencoder: bool = True
    """Whether the autoencoder works on the padded frame, as in the release, or on the frame itself:
    less work, and another result, as normalisation and attention look at the whole map."""

    def __post_init__(self) -> None:
        if not (isinstance(self.unet, dict) and isinstance(self.autoencoder, dict)):
            raise ModelError("unet and autoencoder must be tables of parameters")
        levels = len(self.autoencoder.get("ddconfig", {}).get("ch_mult", ()))
        if levels != 3:
            raise ModelError(
                "the autoencoder must reduce images by 4 (three numbers in ddconfig.ch_mult), "
                f"got {levels}"
            )

    def as_dict(self) -> dict[str, Any]:
        """The fields, for the model file."""
        return asdict(self)

    def schedule(self) -> ResidualShiftSchedule:
        """The full schedule that the model was trained with."""
        return ResidualShiftSchedule(
            self.steps, self.kappa, self.power, self.min_noise_level, self.etas_end
        )


def from_dict(source: str, values: Mapping[str, Any]) -> PublishedConfig:
    """The configuration that a converted file holds; ModelError, naming the fields, if none."""
    try:
        config = PublishedConfig(**values)
        config.schedule()
    except (TypeError, ValueError) as error:
        known = ", ".join(f.name for f in fields(PublishedConfig))
        raise ModelError(
            f"{source} has no valid configuration ({error}); known fields: {known}"
        ) from error
    return config


def read_config_file(path: Path) -> PublishedConfig:
    """Read a YAML or JSON file of the published form: ``model``, ``autoencoder``, ``diffusion``.

    Each has its ``params``; ``diffusion`` may be missing and then has the published values.

    Raises:
        ModelError: unreadable, parts missing, or values that no published model has.
    """
    tree = _parse(path)
    parts = {}
    for name in ("model", "autoencoder"):
        params = tree.get(name, {})
        parts[name] = params.get("params") if isinstance(params, dict) else None
        if not isinstance(parts[name], dict):
            raise ModelError(f"{path} has no {name}.params, as the published configuration has")
    return from_dict(
        str(path),
        {
            "unet": parts["model"],
            "autoencoder": parts["autoencoder"],
            **_diffusion(path, tree.get("diffusion") or {}),
        },
    )


_FIXED = {
    "sf": SCALE,
    "schedule_name": "exponential",
    "predict_type": "xstart",
    "scale_factor": 1.0,
    "normalize_input": True,
    "latent_flag": True,
}
_TAKEN = ("steps", "kappa", "min_noise_level", "etas_end")


def _diffusion(path: Path, part: Any) -> dict[str, Any]:
    params = part.get("params", {}) if isinstance(part, dict) else None
    if not isinstance(params, dict):
        raise ModelError(f"{path}: diffusion.params is no table of parameters")
    for name, accepted in _FIXED.items():
        if params.get(name, accepted) != accepted:
            raise ModelError(
                f"{path}: diffusion.params.{name} must be {accepted!r}, got {params[name]!r}"
            )
    taken = {name: params[name] for name in _TAKEN if name in params}
    power = (params.get("schedule_kwargs") or {}).get("power")
    return taken if power is None else {**taken, "power": power}


def _parse(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    try:
        if path.suffix.lower() == ".json":
            tree = json.loads(text)
        else:
            import yaml

            tree = yaml.safe_load(text)
    except ValueError as error:
        raise ModelError(f"{path} is no valid JSON: {error}") from error
    except yaml.YAMLError as error:
        raise ModelError(f"{path} is no valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ModelError(f"{path} holds no table of parameters")
    return tree
