"""The 8-bit prior expert of a model: checks the machine, calibrates on a synthetic scene."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from difiisr_ros.core.bound import shown
from difiisr_ros.core.condition import UNKNOWN_BLUR, UNKNOWN_ERROR, features
from difiisr_ros.core.radiometry import measure_range, normalize
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.models.lite_int8 import Example, Int8Prior, int8_is_supported
from difiisr_ros.scene.street import SyntheticScene

LEAST_CHANNELS = 32
"""Of the prior expert: narrower convolutions gain nothing."""
_SIZE = (96, 72)
_MOMENTS = (0, 100)  # of the scene's 300 frames: people and cars at two places
_NOISES = (0.0, 0.01, 0.05)  # of the range
_BLURS = ((UNKNOWN_BLUR, UNKNOWN_ERROR), (0.2, 0.0), (0.8, 0.0))  # and the error of each


def check_int8(device: torch.device) -> None:
    """Raise BackendUnavailable, with the reason, where the 8-bit prior expert cannot run."""
    if device.type != "cpu":
        raise BackendUnavailable(f"int8 is for CPUs; use fp16 on {device}")
    if not int8_is_supported():
        raise BackendUnavailable(
            "int8 needs a CPU with VNNI (AVX-512 or AVX) and a PyTorch with oneDNN's quantised "
            "convolutions; use bf16 or fp32"
        )


def int8_prior(network: LiteDenoiser, compute: torch.dtype) -> Int8Prior:
    """Quantise the prior expert of a float32 network; its first and last layer go to ``compute``.

    Raises:
        BackendUnavailable: the expert is narrower than ``lite``'s.
    """
    channels = network.config.prior_channels
    if channels < LEAST_CHANNELS:
        raise BackendUnavailable(
            f"int8 is for models as wide as lite, {LEAST_CHANNELS} channels or more, which gain "
            f"from it; this one has {channels}: use bf16 or fp32"
        )
    return Int8Prior(network.prior, compute, _examples(network))


@torch.no_grad()
def _examples(network: LiteDenoiser) -> Iterator[Example]:
    """Frames of cameras with more and less noise, told as several blurs."""
    # The same frames in every process, so that the same model gives the same result everywhere.
    scene, random = SyntheticScene(*_SIZE), np.random.default_rng(0)
    for moment in _MOMENTS:
        frame = scene.frame(moment)[0]
        clean = normalize(frame, measure_range(frame))
        for noise in _NOISES:
            noisy = clean + noise * random.standard_normal(clean.shape, np.float32)
            lr = torch.from_numpy(noisy.astype(np.float32))[None, None]
            read = shown(lr) - 0.5
            for blur, error in _BLURS:
                told = torch.from_numpy(features(noise, blur, error))[None]
                yield read, network.camera_embedding(told)
