"""Model files for tests of exported graphs: the embedded weights, other settings."""

from __future__ import annotations

from dataclasses import replace

import torch

from difiisr_ros.core.visual_guidance import CONDITIONS, RINGS, SpectrumPrior
from difiisr_ros.models.checkpoint import load_model, save_model
from difiisr_ros.models.guidance_priors import GuidancePriors
from difiisr_ros.models.lite import LiteDenoiser


def save_variant(path, *, stochasticity: float = 0.0, spectrum: bool = False) -> str:
    """Write a model file and return its path as text."""
    embedded, _ = load_model("lite")
    network = LiteDenoiser(replace(embedded.config, stochasticity=stochasticity))
    network.load_state_dict(embedded.state_dict())
    prior = None
    if spectrum:
        weight = torch.zeros(len(RINGS), CONDITIONS)
        weight[:, -1 - len(RINGS) : -1] = torch.eye(len(RINGS))  # what the first answer has,
        weight[:, -1] = 0.7  # and twice as much: a gradient that is not small
        prior = SpectrumPrior(weight)
    network.guidance_priors = GuidancePriors(spectrum=prior)
    save_model(path, network, {})
    return str(path)
