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

"""Side-by-side pictures: the camera's frame, bicubic, ours, and the truth where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

PANEL_WIDTH = 480
_GAP = 6
_BAR = 30
_BACKGROUND = (18, 20, 24)
_TEXT = (235, 235, 235)
_MARK = (255, 170, 40)
_FOUND = (86, 180, 233)
#: Part of the frame's width that the zoomed row shows.
_ZOOM = 0.25


@dataclass(frozen=True)
class Box:
    """One object, in pixels of its panel: (left, top, right, bottom), in edges."""

    sides: tuple[float, float, float, float]
    label: str


@dataclass(frozen=True)
class Panel:
    """One picture: its caption and its pixels, at the camera's size or a multiple of it."""

    caption: str
    pixels: np.ndarray
    boxes: Sequence[Box] = ()
    """What a detector found in the pixels."""


def compose(panels: Sequence[Panel]) -> np.ndarray:
    """Lay panels side by side, the whole frame above and a detail of it, enlarged, below.

    All panels are tone-mapped alike, by the percentiles of the first (the camera's frame), and
    show the same detail: where the largest panel has the most contrast.

    Args:
        panels: The first is the camera's frame; the others are larger by a whole factor, or equal.

    Returns:
        height x width x 3, uint8, RGB.
    """
    largest = max(panels, key=lambda p: p.pixels.size).pixels
    low, high = _tone_range(panels[0].pixels)
    height, width = largest.shape
    panel_height = max(1, round(PANEL_WIDTH * height / width))
    size = (PANEL_WIDTH, panel_height)
    left, top, right, bottom = _detail(_tone_map(largest, low, high))
    total = (
        len(panels) * PANEL_WIDTH + (len(panels) - 1) * _GAP,
        _BAR + 2 * panel_height + _GAP,
    )
    sheet = Image.new("RGB", total, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = _font(17)
    for i, panel in enumerate(panels):
        x = i * (PANEL_WIDTH + _GAP)
        tones = _tone_map(panel.pixels, low, high)
        k = panel.pixels.shape[1] / width
        # As whole camera pixels: enlarging them smoothly would already be an upscaling.
        smooth = cv2.INTER_AREA if width > PANEL_WIDTH else cv2.INTER_CUBIC
        how = cv2.INTER_NEAREST if k < 1 else smooth
        whole = cv2.resize(tones, size, interpolation=how)
        box = [round(value * k) for value in (left, top, right, bottom)]
        crop = tones[box[1] : box[3], box[0] : box[2]]
        enlarge = cv2.INTER_NEAREST if k < 1 else cv2.INTER_CUBIC
        detail = cv2.resize(crop, size, interpolation=enlarge)
        sheet.paste(Image.fromarray(whole).convert("RGB"), (x, _BAR))
        sheet.paste(Image.fromarray(detail).convert("RGB"), (x, _BAR + panel_height + _GAP))
        draw.text((x + 6, 5), panel.caption, fill=_TEXT, font=font)
        scale = PANEL_WIDTH / width
        corners = [x + left * scale, _BAR + top * scale, x + right * scale, _BAR + bottom * scale]
        draw.rectangle(corners, outline=_MARK, width=2)
        for found in panel.boxes:
            _draw_box(draw, found, (x, _BAR), scale * width / panel.pixels.shape[1])
        beside = (x, _BAR + panel_height + _GAP)
        _draw_in_detail(sheet, panel, beside, size, (left * k, top * k, (right - left) * k))
    return np.asarray(sheet)


def _draw_box(
    draw: ImageDraw.ImageDraw, box: Box, corner: tuple[float, float], scale: float
) -> None:
    """A box, ``scale`` times its size, in a picture whose upper left is at ``corner``."""
    places = [corner[i % 2] + side * scale for i, side in enumerate(box.sides)]
    draw.rectangle(places, outline=_FOUND)
    draw.text((places[0] + 2, places[1] - 12), box.label, fill=_FOUND, font=_font(11))


def _draw_in_detail(
    sheet: Image.Image,
    panel: Panel,
    corner: tuple[int, int],
    size: tuple[int, int],
    part: tuple[float, float, float],
) -> None:
    """A panel's boxes in its enlarged detail, cut at the detail's sides.

    Args:
        sheet: to draw into.
        panel: whose boxes.
        corner, size: of the detail, in pixels of the sheet.
        part: left, top and width of what it shows, in pixels of the panel.
    """
    left, top, width = part
    detail = sheet.crop((*corner, corner[0] + size[0], corner[1] + size[1]))
    scale = size[0] / width
    for box in panel.boxes:
        _draw_box(ImageDraw.Draw(detail), box, (-left * scale, -top * scale), scale)
    sheet.paste(detail, corner)


def _tone_range(frame: np.ndarray) -> tuple[float, float]:
    values = frame[np.isfinite(frame)] if frame.dtype.kind == "f" else frame
    if values.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(values, (0.5, 99.9)))
    return low, max(high, low + 1e-6)


def _tone_map(frame: np.ndarray, low: float, high: float) -> np.ndarray:
    unit = np.clip((np.nan_to_num(frame.astype(np.float32)) - low) / (high - low), 0.0, 1.0)
    return np.rint(255.0 * unit).astype(np.uint8)


def _detail(tones: np.ndarray) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of the part with the most contrast, on whole camera pixels."""
    height, width = tones.shape
    columns = max(8, int(_ZOOM * width) // 8 * 8)
    rows = max(8, int(columns * height / width) // 8 * 8)
    if columns >= width or rows >= height:
        return 0, 0, width, height
    values = tones.astype(np.float32)
    kernel = (columns, rows)
    mean = cv2.boxFilter(values, -1, kernel, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    square = cv2.boxFilter(values**2, -1, kernel, anchor=(0, 0), borderType=cv2.BORDER_REPLICATE)
    # Bright things (warm ones) are what one looks for in a thermal picture.
    score = np.sqrt(np.maximum(square - mean**2, 0.0)) * (1.0 + mean / 255.0)
    inside = score[: height - rows : 4, : width - columns : 4]
    row, column = np.unravel_index(int(np.argmax(inside)), inside.shape)
    left, top = 4 * int(column), 4 * int(row)
    return left, top, left + columns, top + rows


def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one size
        return ImageFont.load_default()
