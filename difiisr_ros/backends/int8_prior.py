"""The 8-bit prior expert of a model: checks the machine, calibrates on a synthetic scene."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from difiisr_ros.core.radiometry import measure_range, normalize
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.io.synthetic_scene import SyntheticScene
from difiisr_ros.models.lite import TwoResolutionNet
from difiisr_ros.models.lite_int8 import Int8Prior, int8_is_supported

_SIZE = (96, 72)
_MOMENTS = (0, 100)  # of the scene's 300 frames: people and cars at two places


def check_int8(device: torch.device) -> None:
    """Raise BackendUnavailable, with the reason, where the 8-bit prior expert cannot run."""
    if device.type != "cpu":
        raise BackendUnavailable(f"int8 is for CPUs; use fp16 on {device}")
    if not int8_is_supported():
        raise BackendUnavailable(
            "int8 needs a CPU with VNNI (AVX-512 or AVX) and a PyTorch with oneDNN's quantised "
            "convolutions; use bf16 or fp32"
        )


def int8_prior(network: nn.Module, compute: torch.dtype) -> Int8Prior:
    """Quantise a float32 prior expert; its first and last layers go to ``compute``.

    Raises:
        BackendUnavailable: a network of another kind than ``lite``'s.
    """
    if not isinstance(network, TwoResolutionNet):
        raise BackendUnavailable(
            "int8 is for models of lite's kind, whose wide layers gain from it; use bf16 or fp32"
        )
    return Int8Prior(network, compute, _examples())


def _examples() -> list[Tensor]:
    # The same frames in every process, so that the same model gives the same result everywhere.
    scene = SyntheticScene(*_SIZE)
    frames = [scene.frame(moment)[0] for moment in _MOMENTS]
    return [torch.from_numpy(normalize(f, measure_range(f))[None, None]) for f in frames]
