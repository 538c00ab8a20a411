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

"""A feature network by its name."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from difiisr_ros.errors import OptionError

if TYPE_CHECKING:
    from difiisr_ros.models.features.base import FeatureNetwork

FEATURES = ("thermal", "vgg16", "vgg19", "sam")
"""What :func:`load_features` knows."""


def load_features(
    spec: str = "thermal", weights: str | PathLike[str] | None = None
) -> FeatureNetwork:
    """Load a feature network: in evaluation mode, float32, on the CPU, its weights frozen.

    Nothing is ever downloaded.

    Args:
        spec: one of :data:`FEATURES`. ``thermal`` is the embedded thermal detector's backbone,
            at stride 2, 4 and 8. ``vgg16``, ``vgg19``: relu1_2 to relu5_3 (relu5_4), stride 1
            to 16. ``sam``: Segment Anything's image encoder, the blocks of global attention and
            the neck, stride 16 of the frame resized to 1024 pixels.
        weights: the file with the network's weights, ``.safetensors`` or a plain state dict in
            ``.pth``; ``vgg*`` in torchvision's or timm's layout, ``sam`` in its published one
            (``sam_vit_*.pth``: the size is seen from the file) or timm's. ``thermal`` has its
            own, and takes a file of 'difiisr train-detector' where one is given.

    Raises:
        OptionError: an unknown ``spec``, or no weights for a network that has none of its own.
        ModelError: a file that is missing, cannot be read, or has other keys or shapes.
    """
    if spec not in FEATURES:
        raise OptionError(f"features must be one of {', '.join(FEATURES)}, got {spec!r}")
    network: FeatureNetwork
    if spec == "thermal":
        from difiisr_ros.models.features.thermal import load_thermal

        network = load_thermal(None if weights is None else str(weights))
    elif weights is None:
        raise OptionError(
            f"features {spec!r} need a local file of weights, which this package does not hold "
            "and never downloads; 'thermal' needs none"
        )
    elif spec == "sam":
        from difiisr_ros.models.features.sam import load_sam

        network = load_sam(Path(weights).expanduser())
    else:
        from difiisr_ros.models.features.vgg import load_vgg

        network = load_vgg(spec, Path(weights).expanduser())
    return network.eval().requires_grad_(False)
