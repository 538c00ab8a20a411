"""Frames of many cameras, for measuring how large a network's channels get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from difiisr_ros.core.bound import shown
from difiisr_ros.core.condition import FEATURES
from difiisr_ros.models.channel_limits import Example
from difiisr_ros.models.lite import LiteDenoiser
from difiisr_ros.training.data import Frame
from difiisr_ros.training.guidance_priors import degraded, evenly_chosen

FRAMES = 60


@torch.no_grad()
def channel_examples(network: LiteDenoiser, frames: Sequence[Frame]) -> Iterator[Example]:
    """What the prior expert reads of some of the frames, each as another camera sees it."""
    device = network.prior.head.weight.device
    for lr, _, camera in degraded(evenly_chosen(frames, FRAMES), device, 0, "camera"):
        yield shown(lr) - 0.5, network.camera_embedding(camera[:, :FEATURES])
