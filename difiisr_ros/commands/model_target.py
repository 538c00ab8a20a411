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

"""Where a training writes: a folder, or the model file that was asked for, its run beside it."""

from __future__ import annotations

from pathlib import Path

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.errors import OptionError

_SUFFIX = ".safetensors"


def run_places(out: Path) -> tuple[Path, Path | None]:
    """The folder of the run, and the file to write the model to where ``out`` names one.

    Raises:
        OptionError: a model file that no run beside it has written: it is not replaced.
    """
    if out.suffix != _SUFFIX or out.is_dir():
        return out, None
    folder = out.with_suffix(".run")
    if out.exists() and not folder.is_dir():
        raise OptionError(f"{out} exists, and no run in {folder} has written it; it is kept")
    return folder, out


def put_in_place(model: Path, file: Path | None) -> Path:
    """Copy a run's model to the file that was asked for, if any; returns where it is.

    Raises:
        DataError: it cannot be written.
    """
    if file is None:
        return model
    write_atomically(file, model.read_bytes())
    return file
