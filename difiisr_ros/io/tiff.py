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

"""TIFF and BigTIFF, page by page, by what the tags say.

tifffile reads them. Compressions that it cannot read go through OpenCV, whose result is taken only
where it is what the tags say; OpenCV alone makes 8 bits of 16-bit gray with alpha, and inverts
8-bit MinIsWhite but not 16-bit. Values are those that are stored: of MinIsWhite too, whose tag the
result carries on.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from difiisr_ros.core.byte_order import BIG, LITTLE
from difiisr_ros.core.output_geometry import Placement
from difiisr_ros.errors import DataError
from difiisr_ros.io.colour import one_channel
from difiisr_ros.io.pictures import decode_by_opencv
from difiisr_ros.io.stack import Part, ReadOptions, Stack
from difiisr_ros.io.tiff_releases import unpacked
from difiisr_ros.io.tiff_tags import carried_tags, nodata_of, not_carried

_MIN_IS_WHITE, _MIN_IS_BLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_SHIFTED = {10, 12, 14}  # OpenCV returns these in the upper bits of 16
_ALPHA = (1, 2)
_REDUCED, _MASK = 1, 4  # bits of NewSubfileType
_LARGEST_FOR_OPENCV = 1 << 30  # it wants the file in memory
_ACCEPTED = "accepted are 1, 8, 10, 12, 14, 16, 32 and 64 bits, gray, gray with alpha, RGB, palette"


def open_tiff(file: BinaryIO, name: str, options: ReadOptions) -> Stack:
    """Open a TIFF; its frames are the pages that are no thumbnails and no masks.

    Args:
        file: Seekable; it is read from as long as the stack is.

    Raises:
        DataError: not a TIFF, or one without a page; reading a frame raises it for a page that
            cannot be read as its tags say.
    """
    try:
        import tifffile
    except ModuleNotFoundError as error:
        raise DataError(f"{name}: TIFF files need the Python module tifffile") from error

    closing = contextlib.ExitStack()
    with _quiet_tifffile() as said:
        try:
            tiff = tifffile.TiffFile(file)
            closing.callback(tiff.close)
            pages: list[Any] = list(tiff.pages)
        except Exception as error:  # of a damaged file anything may come
            closing.close()
            raise DataError(f"{_damaged(name)}: {_short(error)}") from error
    images = [page for page in pages if not page.subfiletype & (_REDUCED | _MASK)]
    if not images:
        closing.close()
        if not pages:  # the list of its pages is where the file has ended already
            raise DataError(_damaged(name))
        raise DataError(f"{name}: cannot be decoded as TIFF: it has no page that is a picture")
    unused = []
    if len(images) < len(pages):
        unused.append(f"{len(pages) - len(images)} thumbnails or masks")
    # A value for "no measurement" that the type cannot hold is common, and harms nothing.
    damage = [sentence for sentence in said if "GDAL_NODATA" not in sentence]
    lost = [sentence for sentence in damage if "page offset" in sentence]
    lacks = [f"{name}: says that it has more than {len(pages)} pages, which are not there"]
    if damage and not lost:
        unused.append(f"what is damaged ({damage[0]})")
    unused += not_carried(images)
    if any(page.photometric == _MIN_IS_WHITE for page in images):
        unused.append("MinIsWhite (values are as stored)")
    if any(_ALPHA[0] in page.extrasamples or _ALPHA[1] in page.extrasamples for page in images):
        unused.append("alpha channel")
    further = _frames_behind(tiff, images, name)
    count = further or len(images)

    def read(index: int) -> np.ndarray:
        if further:
            return _read_behind(tiff, images[0], index, f"{name}, frame {index + 1}", options)
        label = name if len(images) == 1 else f"{name}, page {index + 1}"
        return _read_page(tiff, images[index], label, options, unused)

    def tags(index: int, placement: Placement) -> dict[str, Any]:
        return carried_tags(images[0 if further else index], placement)

    stack = Stack(name, "TIFF", [Part(count, flat=count == 1)], read, unused)
    stack.lacks = lacks if lost else []
    stack.tags, stack.nodata, stack.closing = tags, nodata_of(images[0]), closing
    stack.order = LITTLE if tiff.byteorder == "<" else BIG
    return stack


def _frames_behind(tiff: Any, images: list[Any], name: str) -> int:
    """How many frames lie one after the other behind the only page, or 0 where it is one.

    ImageJ and tifffile write large stacks so, and say in the description how many there are.

    Raises:
        DataError: they say so and the frames are not there.
    """
    if len(images) != 1 or not (tiff.is_imagej or tiff.is_shaped):
        return 0
    page = images[0]
    with _quiet_tifffile():
        count = int(tiff.series[0].size) // max(int(page.size), 1) if tiff.series else 1
    if count < 2:
        return 0
    size = int(page.size) * page.dtype.itemsize
    plain = page.compression == 1 and page.samplesperpixel == 1 and page.is_contiguous
    if not plain or page.dataoffsets[0] + count * size > tiff.filehandle.size:
        raise DataError(
            f"{name}: says that it has {count} frames behind its page, which are not there"
        )
    return count


def _read_behind(tiff: Any, page: Any, index: int, name: str, options: ReadOptions) -> np.ndarray:
    """One of the frames that follow each other without pages."""
    options.check_size(page.imagewidth, page.imagelength, name)
    dtype = _stored_type(page, name)
    size = page.imagewidth * page.imagelength * dtype.itemsize
    tiff.filehandle.seek(page.dataoffsets[0] + index * size)
    data = tiff.filehandle.read(size)
    if len(data) < size:
        raise DataError(f"{name}: is truncated")
    pixels = np.frombuffer(data, dtype.newbyteorder(tiff.byteorder))
    return pixels.reshape(page.imagelength, page.imagewidth).astype(dtype)


def _read_page(
    tiff: Any, page: Any, name: str, options: ReadOptions, unused: list[str]
) -> np.ndarray:
    """One page as H x W in its stored type.

    Raises:
        DataError: what the tags say is not accepted, or is not what can be decoded.
    """
    options.check_size(page.imagewidth, page.imagelength, name)
    dtype = _stored_type(page, name)
    samples, extra = page.samplesperpixel, tuple(page.extrasamples)
    photometric = page.photometric
    named = f"photometric {_name_of(photometric)}, {samples} samples"
    if page.imagedepth != 1:
        raise DataError(f"{name}: is a volume ({page.imagedepth} planes in a page); {_ACCEPTED}")
    pixels = _samples(tiff, page, dtype, name)
    gray = photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK)
    if gray and (samples == 1 or all(kind in _ALPHA for kind in extra[-(samples - 1) :])):
        if samples > 1 and len(extra) != samples - 1:
            raise DataError(f"{name}: has {named}, unnamed; {_ACCEPTED}")
        return np.ascontiguousarray(pixels[..., 0])
    if photometric in (_RGB, _YCBCR) and samples - len(extra) == 3:
        return one_channel(pixels[..., :3], name, unused)
    if gray and samples == 3 and (pixels == pixels[..., :1]).all():
        return np.ascontiguousarray(pixels[..., 0])
    if photometric == _PALETTE and samples == 1 and page.colormap is not None:
        # the map has 16 bits, of which its writers mean the upper 8
        colours = (page.colormap >> 8).astype(np.uint8).T[pixels[..., 0]]
        return one_channel(colours, name, unused)
    raise DataError(f"{name}: has {named}; {_ACCEPTED}")


def _stored_type(page: Any, name: str) -> np.dtype:
    """The type that the tags on bits and on the sample format say."""
    tag = page.tags.get(258)
    values = tag.value if tag is not None else 1
    all_bits = set(values) if isinstance(values, tuple) else {values}
    bits = page.bitspersample
    letter = {1: "u", 2: "i", 3: "f", 4: "u"}.get(int(page.sampleformat or 1))
    if len(all_bits) > 1 or letter is None:
        raise DataError(
            f"{name}: has samples of {sorted(all_bits)} bits, format {page.sampleformat}; "
            f"{_ACCEPTED}"
        )
    sizes = {1: 1, 8: 1, 10: 2, 12: 2, 14: 2, 16: 2, 32: 4, 64: 8}
    integer_only = {1, 8, *_SHIFTED}
    if bits not in sizes or (letter == "f" and bits in integer_only) or (
        letter == "i" and bits in integer_only - {8}
    ):  # fmt: skip
        raise DataError(f"{name}: has samples of {bits} bits (format {letter}); {_ACCEPTED}")
    return np.dtype(f"{letter}{sizes[bits]}")


def _samples(tiff: Any, page: Any, dtype: np.dtype, name: str) -> np.ndarray:
    """H x W x samples of a page.

    Raises:
        DataError: it cannot be decoded, or not as what its tags say.
    """
    shape = (page.imagelength, page.imagewidth, page.samplesperpixel)
    with _quiet_tifffile():
        try:
            pixels = page.asarray()
        except (NotImplementedError, KeyError, ValueError) as error:
            # tifffile's own, by whose words alone they are told apart. NotImplementedError: older
            # releases unpack no 10 to 14 bits; KeyError, ValueError: a codec is missing, which the
            # message names by its package; ValueError else: data and tags do not fit each other.
            words = str(error)
            if "imagecodecs" in words:
                return _by_opencv(tiff, page, dtype, name, _short(error))
            taken_apart = unpacked(tiff, page) if "unpacking" in words else None
            if taken_apart is not None:
                return taken_apart[..., None]
            raise DataError(f"{_damaged(name)}: {_short(error)}") from error
        except Exception as error:  # of a damaged file anything may come
            raise DataError(f"{_damaged(name)}: {_short(error)}") from error
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    planes = page.planarconfig == 2 and page.samplesperpixel > 1
    if planes:
        pixels = np.moveaxis(pixels.reshape((shape[2], *shape[:2])), 0, -1)
    if pixels.size != np.prod(shape) or pixels.dtype.newbyteorder("=") != dtype:
        raise DataError(
            f"{name}: says {dtype} {shape} and was decoded as {pixels.dtype} {pixels.shape}"
        )
    return pixels.reshape(shape).astype(dtype, copy=False)


def _by_opencv(tiff: Any, page: Any, dtype: np.dtype, name: str, reason: str) -> np.ndarray:
    """The page by OpenCV, which is shown a copy of the file that starts with it.

    Raises:
        DataError: the page is not of the kinds that OpenCV leaves as they are.
    """
    samples, bits = page.samplesperpixel, page.bitspersample
    gray = samples == 1 and page.photometric in (_MIN_IS_WHITE, _MIN_IS_BLACK)
    colour = samples == 3 and page.photometric in (_RGB, _YCBCR) and page.planarconfig == 1
    refused = (
        f"{name}: is compressed by {_name_of(page.compression)} "
        f"({bits} bits, {samples} samples, photometric {_name_of(page.photometric)}), which "
        f"cannot be read here: {reason}; save it uncompressed or as deflate"
    )
    file = tiff.filehandle
    if not (gray or colour) or file.size > _LARGEST_FOR_OPENCV:
        raise DataError(refused)
    file.seek(0)
    data = bytearray(file.read(file.size))
    at, size = (8, 8) if tiff.is_bigtiff else (4, 4)
    order: Any = "little" if tiff.byteorder == "<" else "big"
    data[at : at + size] = page.offset.to_bytes(size, order)
    if gray:  # MinIsWhite would be inverted, or not
        place = page.tags[262].valueoffset
        data[place : place + 2] = _MIN_IS_BLACK.to_bytes(2, order)
    try:
        pixels = decode_by_opencv(data, name, "TIFF")
    except DataError as error:
        raise DataError(refused) from error
    if bits in _SHIFTED and pixels.dtype == np.uint16 and not (pixels % (1 << (16 - bits))).any():
        pixels = pixels >> (16 - bits)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels[..., ::-1]
    if pixels.shape != (page.imagelength, page.imagewidth, samples) or pixels.dtype != dtype:
        raise DataError(refused)
    return pixels


def _damaged(name: str) -> str:
    return f"{name}: is truncated or damaged, it cannot be decoded as TIFF"


def _name_of(value: Any) -> str:
    return str(getattr(value, "name", value))


def _short(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 160 else text[:160] + "..."


@contextlib.contextmanager
def _quiet_tifffile() -> Iterator[list[str]]:
    """tifffile logs what is wrong with a file; yields that instead, for a message of ours."""
    said: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(" ".join(record.getMessage().split())[:160])

    log, keep = logging.getLogger("tifffile"), Keep(logging.WARNING)
    propagate, log.propagate = log.propagate, False
    log.addHandler(keep)
    try:
        yield said
    finally:
        log.removeHandler(keep)
        log.propagate = propagate
