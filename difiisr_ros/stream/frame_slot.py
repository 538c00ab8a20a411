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

"""Where callbacks leave frames for the worker, one slot for each camera.

A subscription callback only stores; the worker takes what waits, of all cameras at once, so that
frames that arrived together can be one batch, and a camera that is silent holds up no other. No
ROS here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Frame = TypeVar("Frame")


class FrameSlots(Generic[Frame]):
    """Thread-safe slots, by default of one frame each, in which the newest frame wins."""

    def __init__(
        self,
        names: Sequence[str],
        depth: int = 1,
        on_room: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            names: one slot for each.
            depth: frames a slot holds; one more displaces the oldest, so whoever wants to lose
                none puts none while the slot is :meth:`full`.
            on_room: called in the taker's thread when a full slot has room again.
        """
        self._frames: dict[str, deque[Frame]] = {name: deque() for name in names}
        self._depth = depth
        self._on_room = on_room
        self._closed = False
        self._changed = threading.Condition()

    def put(self, name: str, frame: Frame) -> int:
        """Store a frame; returns how many older ones it displaced (closed slots take none)."""
        with self._changed:
            if self._closed:
                return 0
            waiting = self._frames[name]
            displaced = int(len(waiting) == self._depth)
            if displaced:
                waiting.popleft()
            waiting.append(frame)
            self._changed.notify()
            return displaced

    def full(self, name: str) -> bool:
        """Whether the slot holds ``depth`` frames."""
        with self._changed:
            return len(self._frames[name]) == self._depth

    def take(self, timeout: float | None = None) -> dict[str, Frame]:
        """Wait for a frame, then take the oldest one of every slot that has any.

        Returns an empty dict once closed, or after ``timeout`` seconds without a frame.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or any(self._frames.values()), timeout)
            if self._closed:
                return {}
            had_room = all(len(waiting) < self._depth for waiting in self._frames.values())
            taken = {name: waiting.popleft() for name, waiting in self._frames.items() if waiting}
        if not had_room:
            self._on_room()
        return taken

    def close(self) -> int:
        """Discard what waits, refuse what comes, wake the taker; returns the number discarded."""
        with self._changed:
            self._closed = True
            discarded = sum(len(waiting) for waiting in self._frames.values())
            for waiting in self._frames.values():
                waiting.clear()
            self._changed.notify_all()
            return discarded

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed


class FrameWorker(Generic[Frame]):
    """The one thread that empties the slots and works on what it finds."""

    def __init__(
        self,
        slots: FrameSlots[Frame],
        work: Callable[[dict[str, Frame]], None],
        on_exception: Callable[[BaseException], None],
        name: str = "upscale",
    ) -> None:
        """
        Args:
            slots: where frames come from.
            work: called with one frame of every camera that has one.
            on_exception: told about anything ``work`` raises; the worker goes on.
            name: of the thread.
        """
        self._slots = slots
        self._work = work
        self._on_exception = on_exception
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._slots.closed:
            frames = self._slots.take()
            if not frames:
                continue
            try:
                self._work(frames)
            except Exception as error:  # noqa: BLE001 - a bug must not end the stream
                self._on_exception(error)
            del frames  # do not keep a frame alive while waiting for the next one

    def stop(self, timeout: float) -> bool:
        """Close the slots and wait for the frame in work; False if it takes over ``timeout`` s."""
        self._slots.close()
        self._thread.join(timeout)
        return not self._thread.is_alive()
