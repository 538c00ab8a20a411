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

"""The TIFF tags that a result takes over from its frame, fitted to its pixels.

Physical sizes stay: the resolution is multiplied by the scale, GeoTIFF's pixel size divided by it.
A tie point keeps its place on the ground; where it is not in the corner of the raster its pixel is
placed. For rasters of points (``RasterPixelIsPoint``) pixel (0, 0) means the centre of the first
pixel, which is elsewhere in a finer raster.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any

from difiisr_ros.core.output_geometry import AS_IT_IS, Placement

_DESCRIPTION, _DATE, _X, _Y, _UNIT = 270, 306, 282, 283, 296
_PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION, _GEO_KEYS = 33550, 33922, 34264, 34735
_NODATA = 42113
_RASTER_TYPE, _IS_POINT = 1025, 2  # a GeoKey and its value
#: Taken over as they are: names, make, model, artist, host, copyright, GeoTIFF's keys, GDAL's
#: metadata; and the orientation. Code -> type that it is written in (2 text, 3 uint16, 12 double).
_KEPT = {
    **dict.fromkeys((269, 271, 272, 315, 316, 33432, 34737, 42112, _NODATA), 2),
    **dict.fromkeys((274, _GEO_KEYS), 3),
    34736: 12,
}
_FITTED = {_DESCRIPTION, _DATE, _X, _Y, _UNIT, _PIXEL_SCALE, _TIE_POINTS, _TRANSFORMATION}
#: How the pixels are stored, which the result says of itself, and the program that wrote the file.
_STORAGE = {
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 292,
    297, 305, 317, 318, 319, 320, 322, 323, 324, 325, 338, 339, 340, 341, 347, 512, 513, 514, 519,
    529, 530, 531, 532, 32997,
}  # fmt: skip
_RATIONAL_LIMIT = 2**32


def not_carried(pages: Iterable[Any]) -> list[str]:
    """Names of the tags that a result has no place for, such as EXIF's, in one entry."""
    names: dict[str, None] = {}
    for page in pages:
        for tag in page.tags:
            if tag.code not in _KEPT and tag.code not in _FITTED | _STORAGE:
                name = tag.name if tag.name != str(tag.code) else "unknown"
                names[f"{name} ({tag.code})"] = None
        if _DESCRIPTION in page.tags and not _description(page) and not page.is_shaped:
            names["ImageDescription (OME)"] = None
    return [f"tags {', '.join(names)}"] if names else []


def nodata_of(page: Any) -> float | None:
    """GDAL's value for places without a measurement, or None."""
    tag = page.tags.get(_NODATA)
    try:
        return None if tag is None else float(str(tag.value).strip("\0 "))
    except ValueError:
        return None


def carried_tags(page: Any, placement: Placement = AS_IT_IS) -> dict[str, Any]:
    """Arguments of ``tifffile.TiffWriter.write`` that give a result what its frame's page says.

    Args:
        page: A ``tifffile.TiffPage``.
        placement: Where the page's pixels lie in the result.
    """
    tags: dict[str, Any] = {"extratags": []}
    if page.photometric == 0:
        tags["photometric"] = "miniswhite"
    description = _description(page)
    if description:
        tags["description"] = description
    if _X in page.tags and _Y in page.tags:
        values = [page.tags[code].value for code in (_X, _Y)]
        if all(isinstance(value, tuple) and len(value) == 2 for value in values):
            tags["resolution"] = tuple(
                _finer(value, axis.scale) for value, axis in zip(values, (placement.x, placement.y))
            )
            tags["resolutionunit"] = int(page.tags[_UNIT].value) if _UNIT in page.tags else 2
    at_centres = _is_point(page)
    for tag in page.tags:
        code, value = tag.code, tag.value
        numbers = value if isinstance(value, tuple) else (value,)
        if code in (_DATE, *_KEPT) and _KEPT.get(code, 2) == 2:
            if isinstance(value, (str, bytes)):
                text = value.encode("utf-8") if isinstance(value, str) else value
                tags["extratags"].append((code, 2, len(text) + 1, text + b"\0", True))
            continue
        if not all(isinstance(number, (int, float)) for number in numbers):
            continue  # damaged: none of these is anything else
        if code in _KEPT:
            tags["extratags"].append((code, _KEPT[code], len(numbers), numbers, True))
            continue
        if code == _PIXEL_SCALE and len(numbers) >= 2:
            fitted = (numbers[0] / placement.x.scale, numbers[1] / placement.y.scale, *numbers[2:])
        elif code == _TIE_POINTS:
            fitted = _tie_points(numbers, placement, at_centres=at_centres)
        elif code == _TRANSFORMATION and len(numbers) == 16:
            fitted = _transformation(numbers, placement, at_centres=at_centres)
        else:
            continue
        tags["extratags"].append((code, 12, len(fitted), fitted, True))
    return tags


def in_temperatures(tags: dict[str, Any]) -> dict[str, Any]:
    """The tags of a result whose missing pixels are NaN, whatever they were before."""
    nan = (_NODATA, 2, 4, b"nan\0", True)
    kept = [nan if tag[0] == _NODATA else tag for tag in tags.get("extratags", ())]
    return {**tags, "extratags": kept}


def _description(page: Any) -> str | bytes | None:
    """The description, unless it tells the sizes of arrays, which are not those of the result."""
    tag = page.tags.get(_DESCRIPTION)
    if tag is None:
        return None
    text = tag.value if isinstance(tag.value, str) else bytes(tag.value).decode("utf-8", "replace")
    if text.startswith('{"shape"') or "<OME" in text[:4096]:
        return None
    return text if text.isascii() else text.encode("utf-8")


def _finer(value: tuple[int, int], scale: float) -> tuple[int, int]:
    numerator, denominator = value
    if denominator == 0:
        return numerator, denominator
    finer = Fraction(numerator, denominator) * Fraction(scale).limit_denominator(1 << 16)
    if finer.numerator < _RATIONAL_LIMIT and finer.denominator < _RATIONAL_LIMIT:
        return finer.numerator, finer.denominator
    return round(min(float(finer), _RATIONAL_LIMIT - 1)), 1


def _is_point(page: Any) -> bool:
    keys = page.tags[_GEO_KEYS].value if _GEO_KEYS in page.tags else ()
    if not isinstance(keys, tuple):
        return False
    entries = [tuple(keys[i : i + 4]) for i in range(4, len(keys) - 3, 4)]
    return (_RASTER_TYPE, 0, 1, _IS_POINT) in entries


def _tie_points(
    value: Sequence[float], placement: Placement, *, at_centres: bool
) -> tuple[float, ...]:
    fitted: list[float] = []
    for i in range(0, len(value) - 5, 6):
        column, row, *rest = value[i : i + 6]
        places = placement.x.place(column, at_centres), placement.y.place(row, at_centres)
        fitted += [*places, *rest]
    return tuple(fitted)


def _transformation(
    value: Sequence[float], placement: Placement, *, at_centres: bool
) -> tuple[float, ...]:
    """The 4 x 4 matrix for the result's pixels: M (x - x0) / scale, x0 where the page's 0 lies."""
    fitted = list(value)
    for row in range(0, 16, 4):
        for column, axis in ((row, placement.x), (row + 1, placement.y)):
            fitted[column] = value[column] / axis.scale
            fitted[row + 3] -= fitted[column] * axis.place(0, at_centres)
    return tuple(fitted)
