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

"""FixedPattern: what a camera adds to every frame, pixel by pixel, and its file.

A microbolometer's elements differ; what the camera's own correction leaves of that stays the same
from frame to frame. The offsets of rows and columns are in it, too.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from difiisr_ros.core.robust import spread
from difiisr_ros.errors import DataError, OptionError

#: A file of offsets is as large as a frame may be, and no larger.
MOST_SIDE = 16384
_KEYS = ("offsets", "frames", "date", "source")
_ACCEPTED = (
    "accepted is an .npz with offsets (height x width, float32, counts), frames (a whole number), "
    "date and source (texts), as difiisr calibrate writes it"
)
_WIDE = 15  # pixels: side of the box whose mean is the smooth part
_DEGREES, _FITTED = (4, 4), 20_000  # of the surface; pixels it is fitted to


@dataclass(frozen=True, eq=False)
class FixedPattern:
    """Offsets of a camera's pixels, and what they rest on.

    Raises:
        OptionError: offsets of another shape or type, not finite, or frames below 1.
    """

    offsets: np.ndarray
    """H x W of the camera before any crop, float32, counts: to be subtracted; mean about 0."""
    frames: int
    """How many frames it rests on."""
    date: str = ""
    """When the last of these was seen, as ISO 8601 writes it; empty: not known."""
    source: str = ""
    """Of what it was measured."""

    def __post_init__(self) -> None:
        offsets = self.offsets
        if not isinstance(offsets, np.ndarray) or offsets.ndim != 2 or offsets.size == 0:
            shape = getattr(offsets, "shape", type(offsets).__name__)
            raise OptionError(f"a pattern's offsets are height x width, got {shape}")
        if offsets.dtype != np.float32:
            raise OptionError(f"a pattern's offsets are float32, got {offsets.dtype}")
        if max(offsets.shape) > MOST_SIDE:
            raise OptionError(f"a pattern has {MOST_SIDE} pixels a side at most, got {self.shape}")
        if not np.isfinite(offsets).all():
            raise OptionError("a pattern's offsets are finite, got NaN or infinity among them")
        whole = isinstance(self.frames, (int, np.integer)) and not isinstance(self.frames, bool)
        if not whole or self.frames < 1:
            raise OptionError(f"a pattern rests on 1 frame or more, got {self.frames!r}")

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.offsets.shape
        return height, width

    @property
    def size(self) -> float:
        """Standard deviation of the offsets, counts; single pixels far off do not count."""
        return spread(self.offsets - np.median(self.offsets))

    def describe(self) -> str:
        """In words, as ``pattern of 2.4 counts from 300 frames (2026-01-31)``."""
        date = f" ({self.date})" if self.date else ""
        return f"pattern of {self.size:.2g} counts from {self.frames} frames{date}"

    @classmethod
    def read(cls, path: str | Path) -> FixedPattern:
        """Read a file of offsets.

        Raises:
            DataError: missing, no such file, or not what is accepted; names the file.
        """
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{path}: the pattern cannot be read: {error.strerror}") from error
        no_npz = DataError(f"{path}: the pattern is no .npz; {_ACCEPTED}")
        try:
            file = np.load(io.BytesIO(data), allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise no_npz
            with file:
                found = {key: file[key] for key in _KEYS if key in file.files}
        except DataError:
            raise
        except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, MemoryError) as error:
            raise no_npz from error
        lacking = [key for key in _KEYS[:2] if key not in found]
        if lacking:
            raise DataError(f"{path}: the pattern has no {' and no '.join(lacking)}; {_ACCEPTED}")
        frames = found["frames"]
        if frames.shape != () or frames.dtype.kind not in "iu":
            raise DataError(f"{path}: frames of the pattern is no whole number; {_ACCEPTED}")
        texts = {key: str(found[key]) for key in _KEYS[2:] if key in found}
        try:
            return cls(found["offsets"], int(frames), **texts)
        except OptionError as error:
            raise DataError(f"{path}: {error}; {_ACCEPTED}") from error

    def write(self, path: str | Path) -> None:
        """Write such a file; atomic.

        Raises:
            DataError: it cannot be written.
        """
        from difiisr_ros.atomic_write import write_atomically

        data = io.BytesIO()
        np.savez_compressed(
            data,
            offsets=self.offsets,
            frames=np.int64(self.frames),
            date=np.str_(self.date),
            source=np.str_(self.source),
        )
        write_atomically(path, data.getvalue())

    @classmethod
    def of_flat(
        cls, frames_mean: np.ndarray, frames: int, date: str = "", source: str = ""
    ) -> FixedPattern:
        """The pattern that frames of an even surface show: their mean without its smooth part.

        Args:
            frames_mean: H x W, mean of the frames; NaN is a missing pixel, whose offset is 0.
            frames: how many.
            date, source: see above.
        """
        return cls(without_smooth(frames_mean), frames, date, source)


def without_smooth(image: np.ndarray) -> np.ndarray:
    """What an image has of rows, columns and single pixels, H x W float32; 0 where it is missing.

    A surface of few parameters is subtracted, and of the rest the mean over a wide box; rows and
    columns, which are as wide as any box, are taken out before that and put back.
    """
    known = np.isfinite(image)
    if not known.any():
        return np.zeros(image.shape, np.float32)
    left = np.where(known, image.astype(np.float64) - _surface(image, known), 0.0)
    lines = np.zeros_like(left)
    for axis, box in ((0, (_WIDE, 1)), (1, (1, _WIDE))):
        count = np.maximum(known.sum(axis=axis, keepdims=True), 1)
        means = left.sum(axis=axis, keepdims=True) / count
        means -= cv2.blur(means, box, borderType=cv2.BORDER_REFLECT_101)
        lines += means
        left = np.where(known, left - means, 0.0)
    share = cv2.blur(known.astype(np.float64), (_WIDE, _WIDE), borderType=cv2.BORDER_REFLECT_101)
    smooth = cv2.blur(left, (_WIDE, _WIDE), borderType=cv2.BORDER_REFLECT_101)
    pattern = left - smooth / np.maximum(share, 1e-9) + lines
    pattern = np.where(known, pattern - pattern[known].mean(), 0.0)
    return pattern.astype(np.float32)


def _surface(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A polynomial of the fourth degree each way: a box alone would bend at the borders."""
    height, width = image.shape
    y, x = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    rows, columns = np.nonzero(known)
    step = max(1, len(rows) // _FITTED)
    rows, columns = rows[::step], columns[::step]
    terms = np.polynomial.legendre.legvander2d(y[rows], x[columns], _DEGREES)
    values = image[rows, columns].astype(np.float64)
    found = np.linalg.lstsq(terms, values, rcond=1e-6)[0]
    by_row = np.polynomial.legendre.legvander(y, _DEGREES[0])
    by_column = np.polynomial.legendre.legvander(x, _DEGREES[1])
    return by_row @ found.reshape(_DEGREES[0] + 1, -1) @ by_column.T
