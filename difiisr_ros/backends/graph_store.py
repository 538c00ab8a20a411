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

"""ONNX graphs of a model, exported when first asked for and kept on disk.

A graph that is there needs no PyTorch; where it cannot be exported, the one that comes with the
package is taken (:mod:`difiisr_ros.backends.shipped_graphs`). It is found by what it depends on:
the model file, the options that are built in, and the sources that make graphs. An entry is the
graph, ``NAME.onnx``, and ``NAME.json`` with its checksum and what it is; the graph is written
first. Every fault of an entry or of the folder costs an export, never a crash.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from difiisr_ros.atomic_write import write_whole
from difiisr_ros.backends.cache_folder import cache_folder
from difiisr_ros.backends.libraries import LibraryMissing, check_torch, missing
from difiisr_ros.backends.shipped_graphs import shipped_graph
from difiisr_ros.errors import BackendUnavailable, ModelError
from difiisr_ros.export.facts import GraphFacts, GraphOptions
from difiisr_ros.models.model_files import model_path

FOLDER = "graphs"

_PACKAGE = Path(__file__).resolve().parent.parent
_logger = logging.getLogger(__name__)


def stored_graph(model: str, options: GraphOptions) -> tuple[bytes, GraphFacts]:
    """The graph of ``lite`` or of a model file, for frames of any size, and what it is.

    Raises:
        ModelError: not a usable model.
        OptionError: options that the model cannot do.
        BackendUnavailable: it has to be exported, and PyTorch or onnx is missing.
    """
    try:
        file = _place(model, options)
    except OSError as error:
        _logger.warning("the exported graph is not kept: %s", error)
        return _export(model, options)
    found = _read(file)
    if found is None:
        found = _export(model, options)
        _write(file, *found)
    return found


def check_graph(model: str, options: GraphOptions) -> None:
    """Raise what :func:`stored_graph` would raise for want of a library, without exporting."""
    with contextlib.suppress(OSError):
        if _place(model, options).is_file():
            return
    try:
        check_torch()
        from difiisr_ros.export import onnx_writer  # noqa: F401  # whether it can be imported
    except (ImportError, LibraryMissing) as error:
        if shipped_graph(model, options) is None:
            raise _needs_export(model, options, error) from error


def _place(model: str, options: GraphOptions) -> Path:
    """Where a graph is kept. Raises ModelError, and OSError where nothing can be kept."""
    path = model_path(model)
    weights = path.read_bytes()
    key = json.dumps(
        [hashlib.sha256(weights).hexdigest(), asdict(options), _sources()], sort_keys=True
    )
    name = f"{path.stem}-{hashlib.sha256(key.encode()).hexdigest()[:24]}"
    return cache_folder() / FOLDER / f"{name}.onnx"


def _needs_export(
    model: str, options: GraphOptions, error: ImportError | LibraryMissing
) -> BackendUnavailable:
    why = missing(error, "torch") if isinstance(error, ImportError) else error
    return BackendUnavailable(
        f"the graph of model {model} for {in_words(options)} has to be exported, which needs "
        f"PyTorch and onnx: {why}; or give a file that 'difiisr export' has written"
    )


@lru_cache(maxsize=1)
def _sources() -> str:
    """A digest of the code that decides what a graph computes."""
    digest = hashlib.sha256()
    for folder in ("core", "export", "models"):
        for source in sorted((_PACKAGE / folder).rglob("*.py")):
            digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()


def _read(file: Path) -> tuple[bytes, GraphFacts] | None:
    try:
        entry = json.loads(file.with_suffix(".json").read_text())
        data = file.read_bytes()
        facts = GraphFacts.from_metadata(entry["facts"], str(file))
        intact = hashlib.sha256(data).hexdigest() == entry["sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ModelError) as error:
        _logger.warning("the graph kept as %s cannot be used: %s", file, error)
        return None
    if not intact:
        _logger.warning("the graph kept as %s is damaged", file)
        return None
    return data, facts


def _export(model: str, options: GraphOptions) -> tuple[bytes, GraphFacts]:
    try:
        check_torch()
        from difiisr_ros.export.onnx_writer import export_onnx, read_facts

        data = export_onnx(model, options)
        return data, read_facts(data, model)
    except (ImportError, LibraryMissing) as error:
        if (shipped := shipped_graph(model, options)) is not None:
            return shipped
        raise _needs_export(model, options, error) from error


def in_words(options: GraphOptions) -> str:
    """What is built into a graph, for messages."""
    return (
        f"x{options.scale}, {options.num_steps} steps, consistency {options.consistency}, "
        f"{options.precision}, guidance {options.guidance or 'none'}, "
        f"{options.projection} projection"
    )


def _write(file: Path, data: bytes, facts: GraphFacts) -> None:
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "facts": facts.as_metadata()}
    try:
        write_whole(file, data, sync=True)
        write_whole(file.with_suffix(".json"), json.dumps(entry, indent=2).encode(), sync=True)
    except OSError as error:
        _logger.warning("the exported graph is not kept: %s", error)
