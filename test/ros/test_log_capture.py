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

"""The tests' own log: no line is lost while it is read."""

from __future__ import annotations

import os
import threading
import time

LINES = 20_000


def test_no_line_is_lost_while_it_is_read(log):
    def write() -> None:
        for number in range(LINES):
            os.write(2, b"line %d\n" % number)
            if number % 20 == 0:
                time.sleep(0.0005)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        assert log.text is not None
        time.sleep(0.005)
    assert log.lines("line ") == [f"line {number}" for number in range(LINES)]
