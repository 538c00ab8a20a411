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

"""Which TensorRT there is: the standard library, or TensorRT-RTX, which have one Python API.

TensorRT's engines are built on the GPU that runs them, and are of its kind. TensorRT-RTX builds
without a GPU, for several kinds at once; what is left to compile for the one that runs an engine is
compiled on its first run (:mod:`difiisr_ros.backends.engine_jit`).
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from difiisr_ros.errors import BackendUnavailable, OptionError

STANDARD, RTX = "tensorrt", "tensorrt_rtx"
FLAVOURS = (STANDARD, RTX)
TITLES = {STANDARD: "TensorRT", RTX: "TensorRT-RTX"}
DEFAULT_TARGETS = ("sm80", "sm86", "sm89", "sm120")
"""GPUs that TensorRT-RTX builds for unless told otherwise: Ampere and later."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Flavour:
    """A TensorRT that was found."""

    name: str
    """One of :data:`FLAVOURS`; also the name of its module."""
    module: Any

    @property
    def version(self) -> str:
        """Of the library, as its module says it."""
        return str(self.module.__version__)

    @property
    def title(self) -> str:
        """Name and version for people."""
        return f"{TITLES[self.name]} {self.version}"

    @property
    def builds_ahead(self) -> bool:
        """Whether engines are built without a GPU, and for more than one kind."""
        return self.name == RTX

    @property
    def known_targets(self) -> tuple[str, ...]:
        """GPUs that engines can be built for, as ``sm86``; none where it is the GPU that is there.

        In the order of their numbers.
        """
        if not self.builds_ahead:
            return ()
        names = [n for n in self.module.ComputeCapability.__members__ if n[2:].isdecimal()]
        return tuple(n.lower() for n in sorted(names, key=lambda n: int(n[2:])))

    def check_targets(self, targets: Sequence[str]) -> tuple[str, ...]:
        """The same without repetitions, in order. Raises OptionError, naming what is accepted."""
        if not self.builds_ahead:
            raise OptionError(
                f"engines of {self.title} are for the GPU that builds them; targets are "
                f"{TITLES[RTX]}'s: backend {RTX}"
            )
        known = self.known_targets
        for target in targets:
            if target not in known:
                raise OptionError(f"target {target!r} is none of {self.title}'s {', '.join(known)}")
        if not targets:
            raise OptionError(f"give at least one target of {', '.join(known)}")
        return tuple(name for name in known if name in targets)

    def targets_of(self, gpu: str, compute_capability: str) -> tuple[str, ...]:
        """What is built for where this GPU is to run it.

        Args:
            gpu: its name, for the message.
            compute_capability: as ``8.6``.

        Raises:
            BackendUnavailable: engines of this library do not run on it.
        """
        own = target_of(compute_capability)
        if own in DEFAULT_TARGETS:
            return DEFAULT_TARGETS
        if own in self.known_targets:
            return (own,)
        raise BackendUnavailable(
            f"{self.title} has no engines for {gpu}, whose compute capability is "
            f"{compute_capability}; it has them for {', '.join(self.known_targets)}. TensorRT "
            "itself runs there"
        )


def target_of(compute_capability: str) -> str:
    """``sm86`` of ``8.6``."""
    return "sm" + compute_capability.replace(".", "")


def find_flavour(name: str = STANDARD) -> Flavour:
    """Import TensorRT.

    Args:
        name: ``tensorrt``: the standard library, or TensorRT-RTX where that is not there;
            ``tensorrt_rtx``: that alone.

    Raises:
        BackendUnavailable: it cannot be imported, and why.
    """
    wanted = FLAVOURS if name == STANDARD else (name,)
    reasons = []
    for each in wanted:
        try:
            found = Flavour(each, importlib.import_module(each))
        except (ImportError, OSError) as error:  # OSError: one of its shared libraries
            reasons.append(f"{each} cannot be imported by {sys.executable} ({error})")
            continue
        if reasons:
            _logger.info("%s is taken: %s", found.title, reasons[0])
        return found
    raise BackendUnavailable(
        f"{'; '.join(reasons)}; docs/tensorrt.md says how to install them"
        if len(reasons) > 1
        else f"{reasons[0]}; docs/tensorrt.md says how to install it"
    )
