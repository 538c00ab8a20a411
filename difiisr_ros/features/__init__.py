"""Feature networks for perceptual guidance and perceptual losses, from local weight files."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from difiisr_ros.errors import OptionError

if TYPE_CHECKING:
    from difiisr_ros.features.base import FeatureNetwork

FEATURES = ("thermal",)
"""What :func:`load_features` knows."""


def load_features(
    spec: str = "thermal", weights: str | PathLike[str] | None = None
) -> FeatureNetwork:
    """Load a feature network: in evaluation mode, float32, on the CPU, its weights frozen.

    Nothing is ever downloaded.

    Args:
        spec: one of :data:`FEATURES`. ``thermal`` is the embedded thermal detector's backbone,
            at stride 2, 4 and 8.
        weights: the file with the network's weights. ``thermal`` has its own and takes, where one
            is given, a file of 'difiisr train-detector' instead.

    Raises:
        OptionError: an unknown ``spec``, or no weights for a network that has none of its own.
        ModelError: a file that is missing, cannot be read, or has other keys or shapes.
    """
    if spec not in FEATURES:
        raise OptionError(f"features must be one of {', '.join(FEATURES)}, got {spec!r}")
    from difiisr_ros.features.thermal import load_thermal

    network: FeatureNetwork = load_thermal(None if weights is None else str(weights))
    return network.eval().requires_grad_(False)
