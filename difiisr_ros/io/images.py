"""Thermal frames in image files: 8- and 16-bit PNG, TIFF (also float32), JPEG, BMP, PGM.

Thermal frames are one channel. Files that store them in three equal channels are read as what
they are; files in real colour (a palette burnt in by a viewer) are reduced to luma by ITU-R
BT.601, ``Y = 0.299 R + 0.587 G + 0.114 B``, which is not a temperature, hence the warning.

OpenCV does the decoding. What it does not do is done here: it says nothing about why a file
cannot be read, returns half a picture for a truncated JPEG, and turns a 16-bit array into 8 bits
when the format has no 16.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.errors import DataError
from difiisr_ros.messages.image_encoding import luma

_log = logging.getLogger(__name__)

#: File name endings that :func:`list_images` takes as frames.
IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp", ".pgm")
ACCEPTED = "accepted: PNG, TIFF, PGM (8 or 16 bits), float32 TIFF, JPEG, BMP (8 bits)"

_DTYPES_OF_SUFFIX: dict[str, tuple[str, ...]] = {
    ".png": ("uint8", "uint16"),
    ".pgm": ("uint8", "uint16"),
    ".tif": ("uint8", "uint16", "float32"),
    ".tiff": ("uint8", "uint16", "float32"),
    ".jpg": ("uint8",),
    ".jpeg": ("uint8",),
    ".bmp": ("uint8",),
}
_warned: set[str] = set()


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a frame from an image file.

    The pixels are returned as stored: no scaling, no EXIF rotation (it is about how to show a
    picture, not about what the sensor measured). Signed and 32-bit integers are returned as
    uint16 where every value fits, float64 as float32, an alpha channel is left out, and of a TIFF
    with several pages the first is read, with a warning.

    Returns:
        A 2-D array, height x width, uint8, uint16 or float32.

    Raises:
        DataError: The file is missing, empty, truncated, not an image, or holds something that is
            not a frame; the message names the file, the reason, and what is accepted.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not an image file ({ACCEPTED})")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        missing = "no such file" if path.parent.is_dir() else f"no such folder: {path.parent}"
        raise DataError(f"{path}: {missing}") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> np.ndarray:
    """Decode an image file's content, such as the ``data`` of a compressed image message.

    Args:
        data: The whole content of a file in one of the accepted formats.
        name: What to call it in messages: a path, or a topic.

    Returns:
        A 2-D array, height x width, uint8, uint16 or float32, as :func:`read_image` describes.

    Raises:
        DataError: As for :func:`read_image`.
    """
    import cv2

    if not data:
        raise DataError(f"{name}: is empty (0 bytes; {ACCEPTED})")
    kind = _kind(data)
    if kind is None:
        start = bytes(data[:12])
        raise DataError(f"{name}: is not an image, it starts with {start!r} ({ACCEPTED})")
    if _is_truncated(data, kind):
        raise DataError(f"{name}: is truncated, the {kind} data ends early ({len(data)} bytes)")
    try:
        with _quiet_opencv():
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise DataError(f"{name}: cannot be decoded as {kind}: {error.err}") from error
    if image is None:
        raise DataError(
            f"{name}: cannot be decoded as {kind}: damaged, or a variant that OpenCV "
            f"does not read ({ACCEPTED})"
        )
    if kind == "TIFF" and _number_of_pages(data) > 1:
        _warn_once(
            "pages",
            f"{name}: has several pages, only the first is read; save a sequence "
            "as one file a frame",
        )
    return _to_frame(image, name)


def write_image(path: str | os.PathLike[str], image: np.ndarray) -> None:
    """Write a frame to an image file whose format follows from the file name.

    The file appears whole or not at all: it is written under another name in the same folder and
    then renamed. The folder is made when missing.

    Args:
        path: Ends in .png, .pgm (uint8, uint16), .tif, .tiff (uint8, uint16, float32), .jpg,
            .jpeg or .bmp (uint8). JPEG loses detail; it is written at quality 95.
        image: A 2-D array, height x width; or height x width x 3, uint8, RGB, for a picture that
            is meant to be looked at.

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
        hint = f"; use {', '.join(better)}" if better else ""
        raise DataError(f"{path}: {suffix} holds {', '.join(accepted)}, not {image.dtype}{hint}")
    if colour:
        image = image[..., ::-1]
    ok, encoded = cv2.imencode(suffix, np.ascontiguousarray(image))
    if not ok:
        raise DataError(f"{path}: OpenCV could not encode {image.dtype} {image.shape}")
    write_atomically(path, encoded.tobytes())


def list_images(folder: str | os.PathLike[str]) -> list[Path]:
    """The image files of a folder, by name, numbers in number order (``f2.png``, ``f10.png``).

    Sub-folders, hidden files and files with other endings are left out.

    Raises:
        DataError: No such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file, not a folder")
    found = [
        p
        for p in folder.iterdir()
        if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".") and p.is_file()
    ]
    if not found:
        raise DataError(f"{folder}: no image in this folder (endings: {', '.join(IMAGE_SUFFIXES)})")
    return sorted(found, key=_natural_key)


def _natural_key(path: Path) -> tuple[list[tuple[int, int, str]], str]:
    parts = re.split(r"(\d+)", path.name.lower())
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts if p], path.name


def _kind(data: bytes) -> str | None:
    signatures = (
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"\xff\xd8\xff", "JPEG"),
        (b"BM", "BMP"),
        (b"II*\0", "TIFF"),
        (b"MM\0*", "TIFF"),
        (b"II+\0", "TIFF"),
        (b"MM\0+", "TIFF"),
        (b"P5", "PGM"),
        (b"P2", "PGM"),
    )
    return next((kind for start, kind in signatures if data[: len(start)] == start), None)


def _is_truncated(data: bytes, kind: str) -> bool:
    """Whether a PNG or a JPEG stops before its end mark; decoders only sometimes notice."""
    if kind == "PNG":
        at = 8
        while at + 12 <= len(data):
            if data[at + 4 : at + 8] == b"IEND":
                return False
            at += 12 + int.from_bytes(data[at : at + 4], "big")
        return True
    if kind == "JPEG":
        at = 2
        while at + 4 <= len(data) and data[at] == 0xFF:
            if data[at + 1] == 0xDA:  # start of scan: 0xFF is escaped from here on
                return data.find(b"\xff\xd9", at) < 0
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        return True
    return False


def _number_of_pages(data: bytes) -> int:
    """Pages of a classic TIFF (a BigTIFF counts as one), following its chain of directories."""
    order: Any = "little" if data[:2] == b"II" else "big"
    if data[2:4] != (b"*\0" if order == "little" else b"\0*"):
        return 1
    seen: set[int] = set()
    at = int.from_bytes(data[4:8], order)
    while at and at not in seen and at + 2 <= len(data):
        seen.add(at)
        after = at + 2 + 12 * int.from_bytes(data[at : at + 2], order)
        at = int.from_bytes(data[after : after + 4], order)
    return len(seen)


def _to_frame(image: np.ndarray, name: str) -> np.ndarray:
    if image.ndim == 3:
        # OpenCV's order is B, G, R, and A last; gray with alpha arrives as four channels too.
        channels = image[..., :3]
        if image.shape[2] not in (3, 4):
            raise DataError(f"{name}: has {image.shape[2]} channels, accepted are 1, 3 and 4")
        first = channels[..., 0]
        if np.array_equal(first, channels[..., 1]) and np.array_equal(first, channels[..., 2]):
            image = np.ascontiguousarray(first)
        else:
            _warn_once(
                "colour",
                f"{name}: is in colour and is reduced to BT.601 luma; that is "
                "not a temperature (said once)",
            )
            image = _luma(channels)
    if image.dtype in (np.uint8, np.uint16, np.float32):
        return image
    if image.dtype == np.float64:
        return image.astype(np.float32)
    if image.dtype.kind in "iu" and image.min() >= 0 and image.max() <= 65535:
        return image.astype(np.uint16)
    raise DataError(
        f"{name}: holds {image.dtype} values from {image.min()} to {image.max()}, "
        "accepted are uint8, uint16, float32, and integers from 0 to 65535"
    )


def _luma(bgr: np.ndarray) -> np.ndarray:
    """BT.601 luma of a colour picture, the same to the last count as that of a colour message."""
    if bgr.dtype in (np.uint8, np.uint16):
        return luma(bgr, "bgr8" if bgr.dtype == np.uint8 else "bgr16")
    weights = np.array([0.114, 0.587, 0.299])
    return (bgr.astype(np.float64) @ weights).astype(np.float32)


def _warn_once(cause: str, message: str) -> None:
    if cause not in _warned:
        _warned.add(cause)
        _log.warning(message)


@contextlib.contextmanager
def _quiet_opencv() -> Iterator[None]:
    """OpenCV logs a damaged file to stderr in its own words; ours says more, so silence it."""
    import cv2

    log = getattr(cv2.utils, "logging", None)
    if log is None:  # a build without logging has nothing to silence
        yield
        return
    level = log.getLogLevel()
    log.setLogLevel(log.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        log.setLogLevel(level)
