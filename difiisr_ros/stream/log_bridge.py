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

"""What the engine logs, in the node's own log: the progress of a build, a full device."""

from __future__ import annotations

import logging
from typing import Any

PACKAGE = "difiisr_ros"


class LogBridge(logging.Handler):
    """Hands the records of this package, from info on, to a node's logger until it is closed.

    Args:
        logger: of rclpy.
    """

    def __init__(self, logger: Any) -> None:
        super().__init__(logging.INFO)
        self._target = logger
        self._source = logging.getLogger(PACKAGE)
        self._level_before = self._source.level
        self._source.setLevel(logging.INFO)
        self._source.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Log a record at the node's level of the same name."""
        # Separate calls: rclpy refuses another severity from one and the same line.
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            self._target.error(text)
        elif record.levelno >= logging.WARNING:
            self._target.warning(text)
        else:
            self._target.info(text)

    def close(self) -> None:
        """Take it off again. Idempotent."""
        if self in self._source.handlers:
            self._source.removeHandler(self)
            self._source.setLevel(self._level_before)
        super().close()
