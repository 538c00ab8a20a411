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

"""Built engines kept on disk: what an engine was built from decides whether it is used again.

An entry is three files: ``NAME.plan``; ``NAME.json``, with everything that the plan depends on and
the plan's checksum; ``NAME.lock``, held by the process that builds it. The plan is written first:
whoever finds a JSON file whose checksum fits has both of one build. Every fault of an entry or of
the folder costs a build, never a crash.

An engine is code that runs on the machine: a folder that others can write to is no place for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_whole
from difiisr_ros.backends.cache_folder import cache_folder, locked

FORMAT = 2
FOLDER = "tensorrt"
SAY_EVERY = 5.0  # seconds

_logger = logging.getLogger(__name__)

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class EngineShapes:
    """LR batches that an engine takes: (batch, height, width), least, best and largest."""

    least: Shape
    best: Shape
    largest: Shape

    def __str__(self) -> str:
        texts = [f"{n}x{w}x{h}" for n, h, w in (self.least, self.largest)]
        return " to ".join(dict.fromkeys(texts))

    def __contains__(self, shape: Shape) -> bool:
        return all(a <= b <= c for a, b, c in zip(self.least, shape, self.largest))


@dataclass(frozen=True)
class EngineKey:
    """Everything that a built engine depends on."""

    onnx_sha256: str
    """Of the graph, which holds weights, precision, steps, consistency, guidance, projection and
    scale."""
    flavour: str
    """``tensorrt`` or ``tensorrt_rtx``."""
    tensorrt: str
    """Version of the library."""
    gpu: str
    """Name of the device; empty where the engine is for every one of the targets."""
    targets: tuple[str, ...]
    """Compute capabilities that it is for, as ``sm86``."""
    precision: str
    shapes: EngineShapes
    num_steps: int

    @classmethod
    def of(cls, onnx: bytes, **fields: Any) -> EngineKey:
        """The key of an engine that is built from this graph; ``fields`` are the other fields."""
        return cls(hashlib.sha256(onnx).hexdigest(), **fields)

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON gives them back."""
        return dict(json.loads(json.dumps(asdict(self))))

    @classmethod
    def from_dict(cls, values: Any) -> EngineKey:
        """What :meth:`as_dict` gave. Raises ValueError for anything else."""
        try:
            shapes = EngineShapes(**{k: tuple(v) for k, v in values["shapes"].items()})
            return cls(**{**values, "shapes": shapes, "targets": tuple(values["targets"])})
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"its JSON file names no engine: {error}") from error

    @property
    def name(self) -> str:
        """Name of the entry's files, without suffix."""
        _, height, width = self.shapes.best
        digest = hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()
        return f"{width}x{height}_{self.num_steps}-step_{self.precision}_{digest[:16]}"


class EngineCache:
    """The folder of built engines.

    Args:
        folder: instead of ``tensorrt`` in the folder that :func:`cache_folder` names.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        #: What is wrong with the folder, or None.
        self.trouble: str | None = None
        #: Whether the folder has the engine that was asked for last.
        self.kept = False

    @property
    def folder(self) -> Path:
        """Where the engines are. Raises OSError where no folder can be named."""
        return self._folder or cache_folder() / FOLDER

    def get(
        self,
        key: EngineKey,
        build: Callable[[], bytes],
        load: Callable[[bytes], Any],
        interrupted: Callable[[], None] = lambda: None,
        graph: Mapping[str, str] | None = None,
    ) -> Any:
        """The loaded engine of this key: from the folder, or built and kept there.

        Of several processes that ask at once, one builds and the others wait for it.

        Args:
            key: what the engine depends on.
            build: makes the plan; what it raises is passed on.
            load: makes the engine of a plan; raises ValueError, saying why, for one that has to be
                built again.
            interrupted: raises where waiting for another process should end.
            graph: metadata of the graph, which is kept with the engine.

        Returns:
            What ``load`` made.

        Raises:
            ValueError: ``load`` refuses the plan that was just built.
        """
        self.trouble, self.kept = None, False
        engine = self.find(key, load)
        if engine is not None:
            return engine
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.file(key, ".lock"), _sayer(interrupted)))
            except OSError as error:
                self._complain(f"engines are not locked between processes: {error}")
            else:
                engine = self.find(key, load)  # who had the lock before may have built it
            return engine if engine is not None else load(self._build(key, build, graph))

    def file(self, key: EngineKey, suffix: str = ".plan") -> Path:
        """Path of one of an entry's files. Raises OSError where no folder can be named."""
        return self.folder / (key.name + suffix)

    def _build(
        self, key: EngineKey, build: Callable[[], bytes], graph: Mapping[str, str] | None
    ) -> bytes:
        began = time.monotonic()
        plan = build()
        facts = {
            "format": FORMAT,
            "key": key.as_dict(),
            "graph": dict(graph or {}),
            "plan_sha256": hashlib.sha256(plan).hexdigest(),
            "plan_bytes": len(plan),
            "build_seconds": round(time.monotonic() - began, 1),
            "built": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        try:
            write_whole(self.file(key, ".plan"), plan, sync=True)
            write_whole(self.file(key, ".json"), json.dumps(facts, indent=1).encode(), sync=True)
        except OSError as error:
            self._complain(f"the engine is not kept: {error}")
        else:
            self.kept = True
            _logger.info("kept as %s", self.file(key, ".plan"))
        return plan

    def find(self, key: EngineKey, load: Callable[[bytes], Any]) -> Any:
        """The loaded engine of this key if the folder has it, else None; nothing is built."""
        try:
            plan = self._read(key)
            if plan is None:
                return None
            engine = load(plan)
        except (OSError, ValueError) as error:
            _logger.warning("the engine %s is built again: %s", key.name, error)
            return None
        self.kept = True
        return engine

    def for_other_targets(self, key: EngineKey, target: str) -> list[EngineKey]:
        """Keys of engines in the folder that differ in their targets alone, and have this one."""
        found = []
        try:
            for file in sorted(self.folder.glob(f"*_{key.precision}_*.json")):
                with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                    other = EngineKey.from_dict(json.loads(file.read_bytes())["key"])
                    same = replace(other, targets=key.targets) == key
                    if same and target in other.targets and other != key:
                        found.append(other)
        except OSError as error:
            _logger.info("engines of other targets are not looked for: %s", error)
        return found

    def _read(self, key: EngineKey) -> bytes | None:
        """The plan of an entry; None if there is none. Raises ValueError for a faulty one."""
        try:
            plan, facts = read_engine(self.file(key))
        except FileNotFoundError:
            return None
        if facts.get("key") != key.as_dict():
            raise ValueError("its JSON file is of another engine")
        return plan

    def _complain(self, trouble: str) -> None:
        self.trouble = f"{trouble}; set DIFIISR_CACHE to a folder that can be written"
        _logger.warning(self.trouble)


def read_engine(plan: Path) -> tuple[bytes, dict[str, Any]]:
    """An engine, and what the JSON file beside it says of it.

    Raises:
        OSError: there are not both files, or they cannot be read.
        ValueError: they do not belong together.
    """
    facts = json.loads(plan.with_suffix(".json").read_bytes())
    data = plan.read_bytes()
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        raise ValueError("its JSON file is of another format")
    if facts.get("plan_sha256") != hashlib.sha256(data).hexdigest():
        raise ValueError("its checksum is wrong")
    return data, facts


def _sayer(interrupted: Callable[[], None]) -> Callable[[float], None]:
    """Says every few seconds that another process is waited for."""
    said = 0.0

    def waiting(seconds: float) -> None:
        nonlocal said
        interrupted()
        if seconds >= said:
            said = seconds + SAY_EVERY
            _logger.info(f"another process builds this engine; waiting for {seconds:.0f} s")

    return waiting
