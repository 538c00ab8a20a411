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

"""What TensorRT-RTX compiles on an engine's first run, kept beside the engine for the next start.

The file is a SHA-256 digest and what the library gave. The digest is of that and of what it is for:
the GPU, the library and the engine. Where it differs, or the library does not take it, the file is
removed and everything compiled again; no fault of it ends a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from difiisr_ros.atomic_write import write_whole

SUFFIX = ".jit"
_DIGEST = 32  # bytes

_logger = logging.getLogger(__name__)


class JitCache:
    """The runtime cache of one engine on one kind of GPU.

    Args:
        plan: file of the engine.
        gpu: name of the GPU and its compute capability.
        library: name and version.
        engine_sha256: of the engine.
    """

    def __init__(self, plan: Path, gpu: str, library: str, engine_sha256: str) -> None:
        self._identity = json.dumps([gpu, library, engine_sha256]).encode()
        kind = hashlib.sha256(gpu.encode()).hexdigest()[:8]
        #: One for each kind of GPU: a folder may serve several machines.
        self.file = plan.with_name(f"{plan.stem}_{kind}{SUFFIX}")
        self._native: Any = None
        self._kept: bytes | None = None

    def context_of(self, engine: Any) -> Any:
        """An execution context that uses what is kept; None where there is no memory for one.

        Args:
            engine: an ``ICudaEngine`` of TensorRT-RTX.
        """
        config = engine.create_runtime_config()
        self._native = config.create_runtime_cache()
        kept = self._read()
        if kept is not None and not self._native.deserialize(kept):
            self._drop("TensorRT does not take it")
            kept = None
        self._kept = kept
        config.set_runtime_cache(self._native)
        return engine.create_execution_context(config)

    def save(self) -> None:
        """Write what was compiled since, if anything was."""
        if self._native is None:
            return
        compiled = self._native.serialize()
        data = b"" if compiled is None else bytes(compiled)
        if not data or data == self._kept:
            return
        try:
            write_whole(self.file, self._digest(data) + data)
        except OSError as error:
            _logger.info("what was compiled for the engine is not kept: %s", error)
        self._kept = data

    def _read(self) -> bytes | None:
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            _logger.info("%s cannot be read: %s", self.file, error)
            return None
        digest, data = content[:_DIGEST], content[_DIGEST:]
        if digest != self._digest(data):
            self._drop("it is damaged, or of another GPU, library or engine")
            return None
        return data

    def _digest(self, data: bytes) -> bytes:
        return hashlib.sha256(self._identity + data).digest()

    def _drop(self, reason: str) -> None:
        _logger.info("%s is removed, and compiled again: %s", self.file, reason)
        with contextlib.suppress(OSError):
            self.file.unlink()
