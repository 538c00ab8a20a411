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
