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

"""The report's pictures: which frames, how they are tone-mapped, and which details are enlarged."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, features

from difiisr_ros.core.scale import SCALE
from difiisr_ros.lab.evaluation.results import Evaluation, FramePictures

#: Bytes of all pictures of a page, before base64 adds a third: keeps it below 10 MB.
BUDGET = 6_000_000
#: Side of an enlarged detail in camera pixels: the same part of the scene at every scale.
DETAIL = 12
#: Pictures that are wider than this, in pixels, are reduced: no page shows more.
WIDEST = 1600
INPUT, TRUTH = "camera", "truth"
"""What the LR frame and the truth are called among the methods."""


@dataclass(frozen=True)
class Picture:
    """One way to show a frame."""

    name: str
    whole: str
    """Data URI of the whole frame."""
    details: tuple[str, ...]
    """Data URIs of the enlarged regions, pixel by pixel, each stretched to the truth's range."""


@dataclass(frozen=True)
class Scene:
    """One frame by all methods."""

    name: str
    width: int
    height: int
    """Of the super-resolved frame in pixels."""
    pictures: tuple[Picture, ...]
    regions: tuple[tuple[int, int, int, int], ...]
    """(left, top, width, height) of the details in pixels of the super-resolved frame."""
    tones: tuple[float, float] | None
    """Values shown as black and white, the same in all pictures; None: 8-bit values as they are."""
    shrunk: int
    """By how much the whole frames are reduced to keep the page small; 1: not at all."""
    scale: int = SCALE
    """Pixels of the super-resolved frame for each of the camera's, a side: s."""


def choose_frames(evaluation: Evaluation, metric: str, method: str) -> dict[str, int]:
    """Rows of the worst, the median and the best frame by a method's gain over the reference.

    By the metric itself where the method is the reference. A frame appears once.
    """
    values = evaluation.methods[method].values[metric]
    goodness = evaluation.metric(metric).goodness(values)
    if goodness is None:
        return {}
    if method != evaluation.reference:
        base = evaluation.methods[evaluation.reference].values[metric]
        reference = evaluation.metric(metric).goodness(base)
        assert reference is not None
        goodness = goodness - reference
    rows = np.flatnonzero(np.isfinite(goodness))
    order = rows[np.argsort(goodness[rows], kind="stable")]
    if not order.size:
        return {}
    found = {"worst": order[0], "median": order[len(order) // 2], "best": order[-1]}
    unique: dict[str, int] = {}
    for title, row in found.items():
        if int(row) not in unique.values():
            unique[title] = int(row)
    return unique


def make_scene(
    frame: FramePictures,
    first: str,
    second: str,
    budget: float = BUDGET / 3,
    scale: int = SCALE,
) -> Scene:
    """Tone-map, reduce and encode the pictures of one frame.

    Args:
        frame: By all methods.
        first, second: The two methods whose difference decides what is enlarged.
        budget: Bytes.
        scale: s, of the methods' pictures.
    """
    truth = {TRUTH: frame.hr} if frame.hr is not None else {}
    arrays = {INPUT: frame.lr, **frame.methods, **truth}
    largest = frame.methods[second]
    height, width = largest.shape
    tones = tone_range(frame.hr if frame.hr is not None else frame.lr)
    mapped = {name: tone_map(array, tones) for name, array in arrays.items()}
    shown = mapped[TRUTH if truth else second]
    regions = choose_regions(shown, mapped[first], mapped[second], scale)
    scene = frame.hr if frame.hr is not None else frame.lr
    # A detail that is dark beside a hot target shows nothing by the tones of the whole frame.
    stretched = [(region, _stretch(_cut(scene, region, width))) for region in regions]
    details = {
        name: tuple(_encode(tone_map(_cut(a, r, width), tones)) for r, tones in stretched)
        for name, a in arrays.items()
    }
    left = budget - 0.75 * sum(len(uri) for uris in details.values() for uri in uris)
    shrunk = 1
    while min(height, width) // (2 * shrunk) >= 64:
        one = 0.75 * len(_encode(_reduce(mapped[second], shrunk)))
        if width <= WIDEST * shrunk and one * len(mapped) <= left:
            break
        shrunk *= 2
    wholes = {
        # The camera's own picture is small already.
        name: _encode(_reduce(image, shrunk) if image.shape == (height, width) else image)
        for name, image in mapped.items()
    }
    pictures = tuple(Picture(name, wholes[name], details[name]) for name in arrays)
    return Scene(frame.name, width, height, pictures, regions, tones, shrunk, scale)


def tone_range(frame: np.ndarray) -> tuple[float, float] | None:
    """Values to show as black and white: the 0.5th to the 99.5th percentile; None for 8 bits."""
    return None if frame.dtype == np.uint8 else _stretch(frame, 99.5)


def _stretch(frame: np.ndarray, top: float = 99.9) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(frame[np.isfinite(frame)], (0.5, top)))
    return low, high if high > low else low + 1.0


def tone_map(frame: np.ndarray, tones: tuple[float, float] | None) -> np.ndarray:
    """Linear to 8 bits; what lies outside saturates."""
    if tones is None:
        return frame
    low, high = tones
    unit = (np.nan_to_num(frame.astype(np.float32), nan=low) - low) / (high - low)
    return np.rint(255.0 * np.clip(unit, 0.0, 1.0)).astype(np.uint8)


def choose_regions(
    scene: np.ndarray, first: np.ndarray, second: np.ndarray, scale: int = SCALE
) -> tuple[tuple[int, int, int, int], ...]:
    """Where the scene has the most fine structure, and elsewhere where two methods differ the most.

    Args:
        scene, first, second: sH x sW, uint8: the truth (or a result), and the two methods'
            pictures.
        scale: s.

    Returns:
        One or two (left, top, width, height), on whole camera pixels.
    """
    import cv2

    height, width = scene.shape
    side_x, side_y = min(DETAIL * scale, width), min(DETAIL * scale, height)

    def mean(values: np.ndarray) -> np.ndarray:
        """Of the region whose top left corner each pixel is, where the region fits."""
        boxed = cv2.boxFilter(
            values.astype(np.float32),
            -1,
            (side_x, side_y),
            anchor=(0, 0),
            borderType=cv2.BORDER_REPLICATE,
        )
        return boxed[: height - side_y + 1 : scale, : width - side_x + 1 : scale]

    values = scene.astype(np.float32)
    # What a blur takes away: a single strong edge has less of it than a fine pattern.
    structure = mean(np.abs(values - cv2.GaussianBlur(values, (0, 0), scale / 2)))
    difference = mean(np.abs(first.astype(np.float32) - second.astype(np.float32)))
    regions: list[tuple[int, int, int, int]] = []
    for score in (structure, difference):
        for left, top, _, _ in regions:  # not the same place again
            rows = _near(top, side_y, scale)
            columns = _near(left, side_x, scale)
            score[rows, columns] = -1.0
        row, column = np.unravel_index(int(np.argmax(score)), score.shape)
        if score[row, column] >= 0:
            regions.append((scale * int(column), scale * int(row), side_x, side_y))
    return tuple(regions)


def _near(start: int, side: int, scale: int) -> slice:
    """Camera pixels at which a region would begin that overlaps one from ``start`` on."""
    return slice(max(0, (start - side) // scale + 1), -(-(start + side) // scale))


def _cut(image: np.ndarray, region: tuple[int, int, int, int], width: int) -> np.ndarray:
    """A region given in pixels of an image that is ``width`` wide."""
    scale = image.shape[1] / width
    left, top, wide, high = (max(1, round(v * scale)) if v else 0 for v in region)
    return image[top : top + high, left : left + wide]


def _reduce(image: np.ndarray, factor: int) -> np.ndarray:
    import cv2

    if factor == 1:
        return image
    size = (image.shape[1] // factor, image.shape[0] // factor)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _encode(image: np.ndarray) -> str:
    """A data URI: lossless WebP, or PNG where Pillow has none."""
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(image))
    kind = "webp" if features.check("webp") else "png"
    if kind == "webp":
        picture.convert("RGB").save(buffer, "WEBP", lossless=True, method=1, quality=50)
    else:
        picture.save(buffer, "PNG", optimize=True)
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"
