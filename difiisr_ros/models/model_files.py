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

"""Where model files are; needs no PyTorch."""

from __future__ import annotations

from pathlib import Path

from difiisr_ros.errors import ModelError

EMBEDDED = ("lite", "nano")
"""Models that are shipped with the package: the better one, and the faster one."""
MOST_STEPS = 4
"""What these have learnt to sample in, at most."""
WEIGHTS = Path(__file__).resolve().parent.parent / "weights"


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle (``.pth``, ``.pt``) by its first bytes.

    A safetensors file begins with the length of its header, in which any byte may be.
    """
    with path.open("rb") as file:
        head = file.read(9)
    has_header = int.from_bytes(head[:8], "little") < path.stat().st_size and head[8:] == b"{"
    return not has_header and (head[:2] == b"PK" or head[:1] == b"\x80")


def model_path(model: str) -> Path:
    """Path of a model of :data:`EMBEDDED` or of a file.

    Raises:
        ModelError: no such file.
    """
    shipped = model in EMBEDDED
    path = WEIGHTS / f"{model}.safetensors" if shipped else Path(model).expanduser()
    if not path.is_file():
        raise ModelError(
            f"model {model!r} is neither 'lite' nor 'nano' nor a file; "
            "give the path of a .safetensors file written by 'difiisr train'"
        )
    return path
