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

"""Recorded inputs and outputs of the published networks at a small size, with random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from difiisr_ros.models.published.config import PublishedConfig
from difiisr_ros.models.published.network import PublishedModel
from difiisr_ros.models.swin_unet import UNetModelSwin
from difiisr_ros.models.vq_autoencoder import VQModelTorch

#: Two float32 implementations of these networks differ by 1e-5; another mask or order by 0.1.
TOLERANCE = 1e-4

#: The small networks' configurations, as the records have them too.
UNET: dict[str, Any] = {
    "image_size": 64, "in_channels": 6, "model_channels": 32, "out_channels": 3, "cond_lq": True,
    "attention_resolutions": [64, 32, 16, 8], "dropout": 0, "channel_mult": [1, 2, 2, 4],
    "num_res_blocks": [2, 2, 2, 2], "conv_resample": True, "dims": 2, "use_fp16": False,
    "num_head_channels": 16, "use_scale_shift_norm": True, "resblock_updown": False,
    "swin_depth": 2, "swin_embed_dim": 64, "window_size": 8, "mlp_ratio": 4,
}  # fmt: skip
AUTOENCODER: dict[str, Any] = {
    "embed_dim": 3, "n_embed": 64,
    "ddconfig": {
        "double_z": False, "z_channels": 3, "resolution": 256, "in_channels": 3, "out_ch": 3,
        "ch": 32, "ch_mult": [1, 1, 2], "num_res_blocks": 2, "attn_resolutions": [],
        "dropout": 0.0, "padding_mode": "zeros",
    },
}  # fmt: skip
#: The same kind, half the work: one block a level, one width, attention at one resolution.
LITTLE_UNET = {
    **UNET,
    "channel_mult": [1, 1, 1, 1],
    "num_res_blocks": [1, 1, 1, 1],
    "attention_resolutions": [64],
}
LITTLE_AUTOENCODER = {
    **AUTOENCODER,
    "ddconfig": {**AUTOENCODER["ddconfig"], "ch_mult": [1, 1, 1], "num_res_blocks": 1},
}
DIFFUSION: dict[str, Any] = {
    "sf": 4, "schedule_name": "exponential", "schedule_kwargs": {"power": 0.3}, "etas_end": 0.99,
    "steps": 15, "min_noise_level": 0.04, "kappa": 2.0, "weighted_mse": False,
    "predict_type": "xstart", "timestep_respacing": None, "scale_factor": 1.0,
    "normalize_input": True, "latent_flag": True,
}  # fmt: skip


class Goldens:
    """The folder's files, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def json(self, name: str) -> Any:
        return json.loads((self.folder / f"{name}.json").read_text())

    def arrays(self, name: str) -> dict[str, torch.Tensor]:
        """Arrays as tensors; texts and int16 come as numpy arrays."""
        with np.load(self.folder / f"{name}.npz") as file:
            return {k: torch.from_numpy(v) if v.dtype.kind != "U" else v for k, v in file.items()}

    def state(self, name: str) -> dict[str, torch.Tensor]:
        """Weights, stored as float16, in float32; the integer buffers as they are."""
        from safetensors.torch import load_file

        state = load_file(self.folder / f"{name}.safetensors")
        return {k: v.float() if v.is_floating_point() else v for k, v in state.items()}

    def config(self) -> PublishedConfig:
        return PublishedConfig(self.json("unet_small")["config"], self.json("vq_small")["config"])

    def model(self) -> PublishedModel:
        model = PublishedModel(self.config())
        model.unet.load_state_dict(self.state("unet_small"))
        model.autoencoder.load_state_dict(self.state("vq_small"))
        return model.eval().requires_grad_(False)

    def write_checkpoints(self, folder: Path) -> tuple[Path, Path]:
        """``DifIISR.pth`` and ``autoencoder_vq_f4.pth``, as the authors' are named."""
        paths = folder / "DifIISR.pth", folder / "autoencoder_vq_f4.pth"
        for path, name in zip(paths, ("unet_small", "vq_small")):
            torch.save(self.state(name), path)
        return paths

    def write_config(self, folder: Path) -> Path:
        """A file of the published form, which YAML is a superset of."""
        path = folder / "small.yaml"
        tree = {
            "model": {"target": "models.unet.UNetModelSwin", "params": self.config().unet},
            "diffusion": {"params": self.json("sampler_small")["diffusion"]},
            "autoencoder": {"ckpt_path": "vq.pth", "params": self.config().autoencoder},
        }
        path.write_text(json.dumps(tree))
        return path

    def unet(self) -> UNetModelSwin:
        network = UNetModelSwin(**self.json("unet_small")["config"])
        network.load_state_dict(self.state("unet_small"))
        return network.eval().requires_grad_(False)

    def autoencoder(self) -> VQModelTorch:
        network = VQModelTorch(**self.json("vq_small")["config"])
        network.load_state_dict(self.state("vq_small"))
        return network.eval().requires_grad_(False)


class _Recorded(dict):
    """What is not known without the records skips the test that asks for it."""

    def __missing__(self, key: str) -> Any:
        pytest.skip(f"no recorded outputs of the published networks ({key})")


class Drawn(Goldens):
    """Networks of the same size with weights drawn here, and nothing recorded of them.

    For what any published model must do; what needs a recorded output skips.
    """

    configs = UNET, AUTOENCODER

    def json(self, name: str) -> Any:
        unet, autoencoder = self.configs
        known = {
            "unet_small": {"config": unet},
            "vq_small": {"config": autoencoder},
            "sampler_small": {"diffusion": DIFFUSION},
        }
        return _Recorded(_Recorded(known)[name])

    def arrays(self, name: str) -> dict[str, torch.Tensor]:
        pytest.skip(f"no recorded outputs of the published networks in {self.folder} ({name})")

    def state(self, name: str) -> dict[str, torch.Tensor]:
        """No layer is left at a zero initialisation; all is exact in float16, as recorded ones."""
        unet, autoencoder = self.configs
        made = {"unet_small": (UNetModelSwin, unet), "vq_small": (VQModelTorch, autoencoder)}
        kind, config = made[name]
        network = kind(**config)
        generator = torch.Generator().manual_seed(0)
        state = network.state_dict()
        for key, parameter in network.named_parameters():
            drawn = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() > 1:
                drawn = drawn * max(1, parameter[0].numel()) ** -0.5
            elif key.endswith("weight"):
                drawn = 1 + 0.2 * drawn
            else:
                drawn = 0.1 * drawn
            state[key] = drawn.half().float()
        return state


class Little(Drawn):
    """A published model of half the work, for what is the same whatever its size."""

    configs = LITTLE_UNET, LITTLE_AUTOENCODER

    def __init__(self) -> None:
        super().__init__(Path())


def find(data_folder: Path) -> Goldens:
    """The records beside the real frames, or networks of the same kind without records."""
    folder = data_folder.parent / "golden" / "difiisr"
    return Goldens(folder) if (folder / "unet_small.json").is_file() else Drawn(folder)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest absolute difference; the shapes must be equal."""
    assert a.shape == b.shape
    return float((a - b).abs().max())
