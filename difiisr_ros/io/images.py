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

"""Thermal frames in image files: one frame in, one frame out, and what is in a folder.

Thermal frames are one channel. Files that store them in three equal channels are read as what
they are; files in real colour (a palette burnt in by a viewer) are reduced to luma by ITU-R
BT.601, ``Y = 0.299 R + 0.587 G + 0.114 B``, which is not a temperature, hence the warning.

Files of several frames, and what else a file holds: :mod:`difiisr_ros.io.open_stack`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.core.camera_profile import AUTO
from difiisr_ros.errors import DataError
from difiisr_ros.io.not_used import in_words, kind_of_path
from difiisr_ros.io.numbers import to_computed
from difiisr_ros.io.once import warn_once
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import ReadOptions, Stack
from difiisr_ros.io.video import VIDEO_SUFFIXES

#: File name endings of pictures.
IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".pgm")
#: Those of all files that :func:`difiisr_ros.io.open_stack.open_stack` reads.
FRAME_SUFFIXES = (
    *IMAGE_SUFFIXES, ".fff", ".seq", ".csq", ".npy", ".npz", ".csv", *VIDEO_SUFFIXES,
)  # fmt: skip

_DTYPES_OF_SUFFIX: dict[str, tuple[str, ...]] = {
    ".png": ("uint8", "uint16"),
    ".pgm": ("uint8", "uint16"),
    ".tif": ("uint8", "uint16", "float32"),
    ".tiff": ("uint8", "uint16", "float32"),
    ".jpg": ("uint8",),
    ".jpeg": ("uint8",),
    ".bmp": ("uint8",),
}


def read_image(path: str | os.PathLike[str], byte_order: str = AUTO) -> np.ndarray:
    """Read a frame from an image file.

    The pixels are returned as stored: no scaling, no EXIF rotation (it is about how to show a
    picture, not about what the sensor measured). Other types than the three below are returned as
    :mod:`difiisr_ros.io.numbers` says, an alpha channel is left out, and of a file with several
    frames the first is read, with a warning. A FLIR camera's radiometric JPEG is its raw frame.

    Args:
        path: The file.
        byte_order: Of pixels of several bytes: ``little``, ``big``, or ``auto``, as the file says.

    Returns:
        A 2-D array, height x width, uint8, uint16 or float32.

    Raises:
        DataError: The file is missing, empty, truncated, not an image, or holds something that is
            not a frame; the message names the file, the reason, and what is accepted.
    """
    with open_stack(Path(path), ReadOptions(byte_order=byte_order)) as stack:
        return _first_frame(stack)


def _first_frame(stack: Stack) -> np.ndarray:
    if stack.count > 1:
        warn_once(
            "pages",
            f"{stack.name}: has several pages, only the first of {stack.count} is read (said once)",
        )
    return to_computed(stack.read(0), stack.name)


def write_image(
    path: str | os.PathLike[str], image: np.ndarray, others: tuple[str, ...] = ()
) -> None:
    """Write a frame to an image file whose format follows from the file name.

    The file appears whole or not at all: it is written under another name in the same folder and
    then renamed. The folder is made when missing.

    Args:
        path: Ends in .png, .pgm (uint8, uint16), .tif, .tiff (uint8, uint16, float32), .jpg,
            .jpeg or .bmp (uint8). JPEG loses detail; it is written at quality 95.
        image: A 2-D array, height x width; or height x width x 3, uint8, RGB, for a picture that
            is meant to be looked at.
        others: Endings that hold the array and that the caller writes otherwise, for the message.

    Raises:
        DataError: The file name ending is unknown or cannot hold the array's dtype (nothing is
            ever scaled or rounded to make it fit), or the file cannot be written.
    """
    import cv2

    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in _DTYPES_OF_SUFFIX:
        raise DataError(
            f"{path}: cannot write {suffix or 'a name without an ending'!s}, use one "
            f"of {', '.join(_DTYPES_OF_SUFFIX)}"
        )
    accepted = _DTYPES_OF_SUFFIX[suffix]
    colour = image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8
    if not (image.ndim == 2 or colour) or 0 in image.shape:
        raise DataError(f"{path}: cannot write an array of shape {image.shape} as an image")
    if image.dtype.name not in accepted:
        better = [s for s, names in _DTYPES_OF_SUFFIX.items() if image.dtype.name in names]
        better += others
        hint = f"; use {', '.join(better)}" if better else ""
        raise DataError(f"{path}: {suffix} holds {', '.join(accepted)}, not {image.dtype}{hint}")
    if colour:
        image = image[..., ::-1]
    ok, encoded = cv2.imencode(suffix, np.ascontiguousarray(image))
    if not ok:
        raise DataError(f"{path}: OpenCV could not encode {image.dtype} {image.shape}")
    write_atomically(path, encoded.tobytes())


def list_files(source: str | os.PathLike[str]) -> list[Path]:
    """The files of frames of a folder, by name, numbers in number order (``f2.png``, ``f10.png``).

    Sub-folders, hidden files and files with other endings are left out; :func:`survey_folder`
    names them. Of a file it is the file itself, whatever its ending.

    Raises:
        DataError: No such path, or a folder without such a file.
    """
    source = Path(source)
    if source.is_file():
        return [source]
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    files, rest = survey_folder(source, False)
    if not files:
        others = in_words((path.name, kind_of_path(path)) for path in rest)
        raise DataError(
            f"{source}: no image in this folder (endings: {', '.join(FRAME_SUFFIXES)})"
            + (f"; it has {others}" if others else "")
        )
    return files


def survey_folder(folder: Path, recursive: bool) -> tuple[list[Path], list[Path]]:
    """All files of frames in a folder (``FRAME_SUFFIXES``), and what else is there.

    Args:
        folder: Hidden files in it do not count as anything.
        recursive: Whether its sub-folders are gone into; else they are among what else is there.
            Links to folders always are, as they may lead around in a circle.

    Returns:
        Files in the order of their names, and the rest.

    Raises:
        DataError: It cannot be listed.
    """
    files: list[Path] = []
    rest: list[Path] = []
    try:
        for path in sorted(folder.iterdir(), key=_natural_key):
            if path.name.startswith("."):
                continue
            if path.is_dir():
                if recursive and not path.is_symlink():
                    inner_files, inner_rest = survey_folder(path, recursive)
                    files, rest = files + inner_files, rest + inner_rest
                else:
                    rest.append(path)
            elif path.suffix.lower() in FRAME_SUFFIXES and path.is_file():
                files.append(path)
            else:
                rest.append(path)
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror}") from error
    return files, rest


def _natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p], path.name
