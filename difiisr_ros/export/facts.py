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

"""What an exported graph is, as the metadata of its file says it; needs neither torch nor onnx."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from difiisr_ros.core.scale import SCALE, SCALES, SCALES_IN_WORDS
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.options import LIMITS

FORMAT = "difiisr_ros.graph.2"
"""Changes whenever inputs, outputs or the meaning of a field do."""

LR, NOISE, VISUAL_SCALE, CAMERA, SR = "lr", "noise", "visual_scale", "camera", "sr"
"""Names of the graph's inputs and of its output, float32 whatever the precision inside:

* ``lr``: N x 1 x H x W, normalised intensity
* ``noise``: noise_count x 1 x 4H x 4W, standard normal, shared by the batch; absent where
  ``noise_count`` is 0
* ``visual_scale``: a scalar, the scale of visual guidance; absent where ``guidance`` is empty
* ``camera``: N x 7, what is known of the camera that took each frame, and the overshoot
  (:mod:`difiisr_ros.core.condition`)
* ``sr``: N x 1 x sH x sW, s being the graph's scale
"""

PRECISIONS = ("fp32", "fp16")
PROJECTIONS = ("wide", "exact")


@dataclass(frozen=True)
class GraphOptions:
    """What is built into a graph.

    Raises:
        OptionError: naming the option, its value and what is accepted.
    """

    num_steps: int = 1
    consistency: int = 1
    precision: str = "fp32"
    """Of the network; resampling, sampler, guidance and projection are float32 always."""
    guidance: str = ""
    """``visual``: the closed form is part of the graph, and its scale an input; or none."""
    projection: str = "wide"
    """``wide``: frames of cameras; ``exact``: frames that were reduced by antialiased bicubic."""
    scale: int = SCALE
    """One of :data:`difiisr_ros.core.scale.SCALES`."""

    def __post_init__(self) -> None:
        # What num_steps may be is the model's to say.
        low, high = LIMITS["consistency"]
        if not low <= self.consistency <= high:
            raise OptionError(f"consistency must be in {low}..{high}, got {self.consistency}")
        if self.precision not in PRECISIONS:
            raise OptionError(
                f"the precision of a graph is one of {', '.join(PRECISIONS)}, got "
                f"{self.precision!r}"
            )
        if self.projection not in PROJECTIONS:
            raise OptionError(
                f"the projection of a graph is one of {', '.join(PROJECTIONS)}, got "
                f"{self.projection!r}"
            )
        if self.scale not in SCALES:
            raise OptionError(f"scale must be one of {SCALES_IN_WORDS}, got {self.scale!r}")
        if self.guidance not in ("", "visual"):
            raise OptionError(f"a graph can hold guidance 'visual' or none, got {self.guidance!r}")


@dataclass(frozen=True)
class GraphFacts:
    """The metadata of an exported graph; numbers are stored as text, as ONNX has it."""

    num_steps: int
    consistency: int
    precision: str
    guidance: str
    projection: str
    model_guidance: str
    """Guidance that the model has what it needs for, in this graph or not."""
    noise_count: int
    max_steps: int
    """Length of the model's schedule."""
    scale: int
    model: str
    """Name of the model, or its file's."""
    model_sha256: str
    """Of the model file."""
    written_by: str
    """Version of this package."""
    format: str = FORMAT

    @property
    def options(self) -> GraphOptions:
        """What is built in."""
        return GraphOptions(
            self.num_steps,
            self.consistency,
            self.precision,
            self.guidance,
            self.projection,
            self.scale,
        )

    def as_metadata(self) -> dict[str, str]:
        """The fields as text."""
        return {name: str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], where: str) -> GraphFacts:
        """Read what :meth:`as_metadata` wrote; ``where`` names the file in messages.

        Raises:
            ModelError: a file of somebody else, or of another version of this package.
        """
        if metadata.get("format") != FORMAT:
            raise ModelError(
                f"{where} is no graph of this package (format {metadata.get('format')!r}); "
                f"accepted: {FORMAT!r}, as 'difiisr export' writes it"
            )
        values: dict[str, Any] = {}
        for field in fields(cls):
            text = metadata.get(field.name)
            if text is None:
                raise ModelError(f"{where} has no {field.name!r} in its metadata")
            try:
                values[field.name] = int(text) if field.type == "int" else text
            except ValueError as error:
                raise ModelError(f"{where}: {field.name} is {text!r}, not a number") from error
        return cls(**values)
