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


def find(data_dir: Path) -> Goldens:
    """The goldens beside the real frames; skips where there are none."""
    folder = data_dir.parent / "golden" / "difiisr"
    if not (folder / "unet_small.json").is_file():
        pytest.skip(f"no recorded outputs of the published networks in {folder}")
    return Goldens(folder)


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest absolute difference; the shapes must be equal."""
    assert a.shape == b.shape
    return float((a - b).abs().max())
