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

from pathlib import Path
from typing import TYPE_CHECKING

from difiisr_ros.errors import ModelError, OptionError

if TYPE_CHECKING:
    from difiisr_ros.models.features.base import FeatureNetwork

FEATURES = ("thermal", "efficientnet_lite0", "vgg16", "sam", "module")
"""What :func:`load_features` knows."""
_NEED_FILE = ("sam", "module")
ACCEPTED = "thermal, efficientnet_lite0, vgg16, sam:FILE, module:FILE.onnx"


def load_features(spec: str = "thermal") -> FeatureNetwork:
    """Load a feature network: in evaluation mode, float32, on the CPU, its weights frozen.

    Nothing is ever downloaded.

    Args:
        spec: ``NAME``, ``NAME:FILE`` for a file of one's own, and for both ``#`` and the beginning
            of the file's SHA-256, which then must be this one. ``thermal`` is the embedded thermal
            detector's backbone, at stride 2, 4 and 8; its file is one of 'difiisr train-detector'.
            ``efficientnet_lite0``: stride 2 to 16. ``vgg16``: relu1_2 to relu5_3, stride 1 to 16;
            its file is torchvision's, timm's, or HED's. ``sam``: Segment Anything's image encoder,
            the blocks of global attention and the neck, stride 16 of the frame resized to 1024
            pixels; its file is the published one (``sam_vit_*.pth``: the size is seen from the
            file) or timm's. ``module``: the maps that an ONNX graph gives.

    Raises:
        OptionError: an unknown network, or one that needs a file without one.
        ModelError: weights that are not installed (naming what to install), or a file that is
            missing, cannot be read, has other keys or shapes, or another SHA-256.
    """
    from difiisr_ros.models.features.known_weights import find_weights, fingerprint

    kind, file, known = split_spec(spec)
    if kind == "thermal" and not file:
        from difiisr_ros.models.features.thermal import load_thermal

        return load_thermal().eval().requires_grad_(False)
    path = Path(file).expanduser() if file else find_weights(kind)
    network: FeatureNetwork
    if kind == "thermal":
        from difiisr_ros.models.features.thermal import load_thermal

        network = load_thermal(str(path))
    elif kind == "efficientnet_lite0":
        from difiisr_ros.models.features.efficientnet import load_efficientnet

        network = load_efficientnet(path)
    elif kind == "vgg16":
        from difiisr_ros.models.features.vgg import load_vgg

        network = load_vgg(path)
    elif kind == "sam":
        from difiisr_ros.models.features.sam import load_sam

        network = load_sam(path)
    else:
        from difiisr_ros.models.features.onnx_module import load_module

        network = load_module(path)
    found = fingerprint(path)
    if known and not found.startswith(known):
        raise ModelError(
            f"features {kind}: {path} is another file (SHA-256 {found}...) than the one that is "
            f"wanted ({known}...)"
        )
    network.spec = f"{kind}:{path.resolve()}#{found}" if file else f"{kind}#{found}"
    return network.eval().requires_grad_(False)


def split_spec(spec: str) -> tuple[str, str, str]:
    """Name, file and the beginning of its SHA-256; the latter two may be empty.

    Raises:
        OptionError: an unknown network, or one that needs a file without one.
    """
    rest, _, known = spec.partition("#")
    kind, _, file = rest.partition(":")
    if kind not in FEATURES:
        raise OptionError(f"features must be one of {ACCEPTED}, got {spec!r}")
    if kind in _NEED_FILE and not file:
        raise OptionError(f"features {kind!r} need a file, as in {kind}:FILE, got {spec!r}")
    return kind, file, known
