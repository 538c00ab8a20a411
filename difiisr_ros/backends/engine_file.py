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

"""An engine that was built elsewhere and is given by its file: of which model and options it is.

``difiisr export --format tensorrt OUT.plan`` writes ``OUT.json`` beside it, which says so; a plan
alone does not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

from difiisr_ros.backends.engine_cache import EngineKey, read_engine
from difiisr_ros.backends.tensorrt_flavour import TITLES, Flavour, target_of
from difiisr_ros.errors import ModelError, OptionError
from difiisr_ros.export.facts import GraphFacts, GraphOptions
from difiisr_ros.models.model_files import model_path

SUFFIX = ".plan"


@dataclass(frozen=True)
class EngineFile:
    """An engine, what it was built for, and the graph that it was built from."""

    path: Path
    plan: bytes
    key: EngineKey
    graph: GraphFacts

    @classmethod
    def read(cls, path: Path) -> EngineFile:
        """Read a file that ``difiisr export`` has written, or one of the cache.

        Raises:
            ModelError: it is missing or damaged, or nothing says what it is.
        """
        path = path.expanduser()
        if path.suffix != SUFFIX or not path.is_file():
            what = "is no file" if path.suffix == SUFFIX else f"is not named NAME{SUFFIX}"
            raise ModelError(f"engine_file {path} {what}; accepted: what 'difiisr export' wrote")
        try:
            plan, facts = read_engine(path)
            key = EngineKey.from_dict(facts.get("key"))
        except FileNotFoundError as error:
            raise ModelError(
                f"engine_file {path} lies without {path.with_suffix('.json').name}, which says "
                "what it is; 'difiisr export' writes both"
            ) from error
        except (OSError, ValueError) as error:
            raise ModelError(f"engine_file {path} cannot be used: {error}") from error
        graph = GraphFacts.from_metadata(facts.get("graph") or {}, f"engine_file {path}")
        return cls(path, plan, key, graph)

    def check_model(self, model: str) -> None:
        """Raise ModelError where it is of another model."""
        digest = hashlib.sha256(model_path(model).read_bytes()).hexdigest()
        if self.graph.model_sha256 != digest:
            raise ModelError(
                f"engine_file {self.path} is of model {self.graph.model} "
                f"({self.graph.model_sha256[:12]}), and model {model} is another ({digest[:12]})"
            )

    def check_precision(self, precision: str) -> None:
        """Raise OptionError where another precision than its own, or ``auto``, is asked for."""
        if precision not in ("auto", self.graph.precision):
            raise OptionError(
                f"engine_file {self.path} is {self.graph.precision}; precision {precision} was "
                "asked"
            )

    def check_library(self, flavour: Flavour, compute_capability: str) -> None:
        """Raise ModelError where it is for the other TensorRT, or not for this GPU.

        Whether the library's version can use it, the library says when it is loaded.
        """
        if self.key.flavour != flavour.name:
            raise ModelError(
                f"engine_file {self.path} is of {self.built_by}, and here is {flavour.title}"
            )
        own = target_of(compute_capability)
        if own not in self.key.targets:
            raise ModelError(
                f"engine_file {self.path} is for {', '.join(self.key.targets)}, and this GPU is "
                f"{own}"
            )

    @property
    def built_by(self) -> str:
        """The library and its version."""
        return f"{TITLES[self.key.flavour]} {self.key.tensorrt}"

    def check_options(self, asked: GraphOptions) -> None:
        """Raise OptionError where something else than this is built in."""
        held = self.graph.options
        if held.guidance:  # it is told its scale, also 0
            asked = replace(asked, guidance=held.guidance)
        differ = [
            f"{field.name} {getattr(held, field.name) or 'none'}, not "
            f"{getattr(asked, field.name) or 'none'}"
            for field in fields(GraphOptions)
            if getattr(held, field.name) != getattr(asked, field.name)
        ]
        if differ:
            raise OptionError(f"engine_file {self.path} is for {'; '.join(differ)}")
