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

"""PatternLearner: a camera's fixed pattern from a stream of what it happens to look at.

The scene moves and the pattern does not. Each frame is compared with some that were kept, moved to
where they lie in it (:mod:`difiisr_ros.core.frame_motion`): what the scene does not explain is the
pattern here, less the pattern there. Averaged over many different motions the pattern remains. So
does Zuo et al., Scene-based nonuniformity correction algorithm based on interframe registration
(J. Opt. Soc. Am. A 28, 2011), which has one earlier frame and steps of one size; here are several
frames, steps that fall as a mean's do, and weights for how well the scene is explained, as Hardie
et al. (Applied Optics 48, 2009) gate theirs. Row and column offsets, which a mean over a line shows
sooner than single pixels do, are taken first.

A camera that stands still teaches nothing: what moves before it is no motion of the picture, and
what stays cannot be told from the pattern. What moves with the camera is not learnt either, as the
motion of the rest does not explain it. A camera that sways about one place is learnt from for a
while only, for the scene's fine structure is at few places then.

Nothing depends on anything but the frames: the same frames give the same offsets.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from difiisr_ros.core import lone_pixels
from difiisr_ros.core.crop import NO_CROP, Crop
from difiisr_ros.core.fixed_pattern import FixedPattern, without_smooth
from difiisr_ros.core.frame_motion import (
    IDENTITY,
    KeptFrame,
    distance,
    distances,
    enlarged,
    middle_of,
    moved,
    reduced,
    reduction,
)
from difiisr_ros.core.missing import filled
from difiisr_ros.core.pattern_fit import PatternFit, is_even

_LEAST_SIDE = 24  # pixels: smaller frames are not learnt from
_REGISTERED = 6000  # pixels, at most, of the images that motion is measured in
_SMOOTH = 1.5  # pixels of these: the pattern, which stands still, must not hold the scene
_KEPT, _KEPT_LARGE, _LARGE = 3, 2, 100_000  # frames compared with; of frames of that many pixels
_LEAST_MOVE, _MOST_MOVE = 0.8, 12.0  # pixels between frames that are compared
_LEAST_SEEN = 0.3  # pixels: what has moved less counts as moved by that
_NEW_MOVE, _NEW_AGE = 4.0, 12  # pixels, or looks, after which the next frame is kept
_MOST_AGE = 48  # frames after which one is kept though nothing was learnt
_MOST_LEFT = 0.3  # of the frame's side that has left the view
_PLACE, _PLACE_LOOKS = 8.0, 40  # a place that is so many pixels away is good for so many looks
_SMOOTHED = 0.19  # of white noise, what that leaves
_BAND = 60_000  # pixels that are learnt from at a time
_EXPLAINED, _SHARE, _LEAST_BUSY = 0.35, 0.6, 100  # in power; of the busy pixels; these
_STRUCTURE = 4.0  # times the noise, in power: the scene is in there
_SAME_GAIN = 0.05
_FINE, _LINES, _AREA = 9, 31, 7  # boxes, pixels: high-pass, that of lines, activity
_CLIP = 2.0  # times the noise: what one look may say of a pixel
_BOUND = 10.0  # times the noise: a pixel farther off is a bad one
_MOST_LOOKS = 300.0  # a mean over as many: the pattern drifts with the camera's temperature
_AT_LIMIT = 0.005  # of the pixels that share a frame's lowest or highest value: they are clipped


@dataclass
class _Kept:
    """A frame that later ones are compared with."""

    frame: np.ndarray
    """Not corrected: what is known by the time of comparing is."""
    usable: np.ndarray
    """255 for a pixel that measures, else 0; uint8."""
    motion: np.ndarray
    """Where the newest kept frame's pixels lie in it."""


class PatternLearner:
    """Learns from frames in the order that the camera has taken them.

    Args:
        start: what is known already, as from the camera's profile.
        crop: what is no part of the picture, and has no offsets.

    Raises:
        FrameError: by it and by its methods: the crop leaves nothing of a frame.
    """

    def __init__(self, start: FixedPattern | None = None, crop: Crop = NO_CROP) -> None:
        self._crop = crop
        self._shape: tuple[int, int] | None = None
        self.reset()
        if start is not None:
            offsets = crop.of(start.offsets)
            self._begin((offsets.shape[0], offsets.shape[1]))
            self._offsets = offsets.copy()
            looks = min(float(start.frames), 0.5 * _MOST_LOOKS)
            for weights in (self._weights, *self._line_weights):
                weights += looks
            self._looks = start.frames
            self._fit.believe(self._offsets)

    def reset(self) -> None:
        """Forget everything: the camera has corrected itself, or is another."""
        self._begin(self._shape)

    def _begin(self, shape: tuple[int, int] | None) -> None:
        self._shape = shape
        height, width = shape or (0, 0)
        self._offsets = np.zeros((height, width), np.float32)
        self._weights = np.zeros((height, width), np.float32)
        self._line_weights = (np.zeros(width, np.float32), np.zeros(height, np.float32))
        self._looks = 0
        self._fit = PatternFit()
        self._shown: np.ndarray | None = None
        self._flat: tuple[np.ndarray, int] | None = None
        self._forget_scene()

    def _forget_scene(self) -> None:
        """What was kept to compare with; not what was learnt."""
        self._kept: list[_Kept] = []
        self._motion = self._speed = IDENTITY
        self._from_place: np.ndarray | None = None
        self._place_looks = _PLACE_LOOKS
        self._age = 0
        self.frozen = True

    @property
    def frames(self) -> int:
        """How many frames have taught something."""
        return self._looks

    @property
    def trust(self) -> float:
        """How much of what was learnt new frames show, 0..1; the offsets are shrunk to that."""
        return self._fit.trust

    @property
    def offsets(self) -> np.ndarray | None:
        """To be subtracted from frames, counts; None before anything is known.

        H x W before the crop, float32.
        """
        if self._shape is None or self._looks == 0 or self.trust == 0.0:
            return None
        if self._shown is None:
            self._shown = self._offsets * np.float32(self.trust)
            if self._crop != NO_CROP:
                top, bottom, left, right = self._crop
                self._shown = np.pad(self._shown, ((top, bottom), (left, right)))
            self._shown.flags.writeable = False
        return self._shown

    def as_pattern(self, date: str = "", source: str = "") -> FixedPattern | None:
        """What is known by now; None where nothing is."""
        offsets = self.offsets
        return None if offsets is None else FixedPattern(offsets.copy(), self._looks, date, source)

    def shutter(self, flat: np.ndarray, frames: int = 1) -> bool:
        """Show what the camera sees of its closed shutter.

        What was learnt is kept until the next ordinary frames show whether this is the better
        pattern; a camera corrects itself behind its shutter, before or after these frames.

        Args:
            flat: H x W before the crop, counts, one frame or the mean of several; NaN is a missing
                pixel.
            frames: of how many.

        Returns:
            Whether it is an even surface.
        """
        self._forget_scene()
        flat = self._crop.of(np.asarray(flat, np.float32))
        if min(flat.shape) < _LEAST_SIDE or not is_even(flat):
            return False
        if self._shape != flat.shape:
            self._begin((flat.shape[0], flat.shape[1]))
        self._flat = without_smooth(flat), frames
        self._fit.compare()
        return True

    def learn(self, scene: np.ndarray, noise: float) -> None:
        """Look at the next frame.

        Args:
            scene: H x W before the crop, float32, counts as the camera has them, not corrected; NaN
                is a missing pixel.
            noise: white noise within a frame, the pattern's included, counts.
        """
        self.frozen = True
        scene = self._crop.of(scene)
        if min(scene.shape) < _LEAST_SIDE or not np.isfinite(noise):
            return
        usable = np.isfinite(scene)
        if not usable.any():
            return
        if self._shape != scene.shape:
            self._begin((scene.shape[0], scene.shape[1]))
        frame = np.ascontiguousarray(filled(scene), np.float32)
        noise = max(float(noise), 1e-6 * max(1.0, abs(float(frame.flat[0]))))
        usable &= ~_clipped(frame)
        calm = lone_pixels.without(frame, _BOUND * noise)
        if calm is not frame:
            usable &= calm == frame
            frame = calm
        if self._flat is not None:
            self._try_flat(frame, noise)
        self._look(frame, np.where(usable, 255, 0).astype(np.uint8), noise)
        if self._fit.is_gone:
            self._begin(self._shape)

    def _try_flat(self, frame: np.ndarray, noise: float) -> None:
        """Take the shutter's pattern where frames are the smoother for it."""
        assert self._flat is not None
        offsets, frames = self._flat
        better = self._fit.compared(frame, self._offsets, offsets, noise)
        if better is None:
            return
        self._flat = None
        if better:
            self._begin(self._shape)
            self._offsets = offsets.copy()
            self._looks = frames
            for weights in (self._weights, *self._line_weights):
                weights += float(frames)
            self._fit.believe(self._offsets)

    def _look(self, frame: np.ndarray, usable: np.ndarray, noise: float) -> None:
        factor = reduction(frame.shape, _REGISTERED)
        raw = reduced(frame, factor, _SMOOTH)
        small = raw - reduced(self._offsets, factor, _SMOOTH)
        if not self._kept:
            self._keep(frame, usable, raw, small, IDENTITY, alone=True)
            return
        noise_left = _SMOOTHED * noise / factor
        found = self._newest.motion_to(small, self._motion @ self._speed, noise_left)
        if found is None or abs(found[1] - 1.0) > _SAME_GAIN:
            self._keep(frame, usable, raw, small, IDENTITY, alone=True)
            return
        motion, _ = found
        self._speed = np.linalg.inv(self._motion) @ motion
        self._motion = motion
        self._age += 1
        whole = enlarged(motion, factor)
        back = np.linalg.inv(whole)
        far = distance(back, frame.shape)
        has_moved = far >= _LEAST_MOVE
        if has_moved:
            explained = self._explained(raw, small, noise_left)
            if explained is None:
                self._keep(frame, usable, raw, small, IDENTITY, alone=True)
                return
            if self._is_new_place(whole):
                self._learn_band(frame, usable, explained, back, noise)
        if far > _NEW_MOVE or (has_moved and self._age >= _NEW_AGE) or self._age >= _MOST_AGE:
            left = float(np.max(distances(back, frame.shape))) / min(frame.shape)
            self._keep(frame, usable, raw, small, self._speed, alone=left > _MOST_LEFT)

    def _keep(
        self,
        frame: np.ndarray,
        usable: np.ndarray,
        raw: np.ndarray,
        small: np.ndarray,
        speed: np.ndarray,
        *,
        alone: bool,
    ) -> None:
        """Compare the next frames with this one, too; or with it alone."""
        if alone:
            self._kept = []
            if self._from_place is not None:  # how far it went is not known any more
                self._from_place = IDENTITY
        else:
            there = np.linalg.inv(enlarged(self._motion, reduction(frame.shape, _REGISTERED)))
            most = _KEPT if frame.size < _LARGE else _KEPT_LARGE
            for kept in self._kept:
                kept.motion = kept.motion @ there
            del self._kept[most - 1 :]
            assert self._from_place is not None
            self._from_place = np.linalg.inv(there) @ self._from_place
        if self._from_place is None:
            self._from_place = IDENTITY
        self._kept.insert(0, _Kept(frame, usable, IDENTITY))
        self._newest, self._newest_raw = KeptFrame(small), raw
        self._motion, self._speed, self._age = IDENTITY, speed, 0

    def _explained(self, raw: np.ndarray, small: np.ndarray, noise: float) -> np.ndarray | None:
        """Where the motion explains how the scene changed, 0 or 1; None: by and large it does not.

        What was not moved back is not corrected either: the pattern is in both and cancels.
        """
        change = raw - self._newest_raw
        change -= np.float32(middle_of(change))
        left = moved(small, self._motion, np.nan) - self._newest.image
        known = np.isfinite(left)
        left -= np.float32(middle_of(left[known]))
        left[~known] = 0.0
        before, after = (cv2.blur(image * image, (3, 3)) for image in (change, left))
        busy = np.maximum(before, after) > 2.0 * _STRUCTURE * noise**2
        good = after < _EXPLAINED * before
        count = int((busy & known).sum())
        if count < _LEAST_BUSY or (good & busy & known).sum() < _SHARE * count:
            return None
        here = (good | ~busy).astype(np.uint8)  # in the kept frame's place
        return moved(here, np.linalg.inv(self._motion))

    def _learn_band(
        self,
        frame: np.ndarray,
        usable: np.ndarray,
        explained: np.ndarray,
        back: np.ndarray,
        noise: float,
    ) -> None:
        """Learn from one band of rows, the next one each time: large frames have several."""
        height, width = frame.shape
        bands = max(1, round(frame.size / _BAND))
        band = self._looks % bands
        rows = slice(height * band // bands, height * (band + 1) // bands)
        there = cv2.resize(explained, (width, height), interpolation=cv2.INTER_NEAREST)
        where = (there[rows] > 0) & (usable[rows] > 0)
        down = np.array([[1, 0, 0], [0, 1, rows.start], [0, 0, 1.0]])
        size = (width, rows.stop - rows.start)
        corrected = frame[rows] - self._offsets[rows]
        total, count = np.zeros_like(corrected), np.zeros_like(corrected)
        for i, kept in enumerate(self._kept):
            there = kept.motion @ back
            far = distance(there, frame.shape)
            if i and not _LEAST_MOVE <= far <= _MOST_MOVE:
                continue
            there = there @ down
            known = (moved(kept.usable, there, size=size) == 255) & where
            mask = known.astype(np.uint8)
            left = moved(kept.frame - self._offsets, there, size=size)
            cv2.subtract(corrected, left, dst=left)
            left -= np.float32(cv2.mean(left, mask)[0])
            left *= mask
            total += left
            count += mask
        total /= np.maximum(count, 1)
        usable_here = (count > 0).astype(np.float32)
        seen = _share_seen(back @ down, size)
        if seen is not None:
            total /= seen
            usable_here *= seen * seen
        self._update(rows, total, usable_here, frame, noise)

    def _is_new_place(self, whole: np.ndarray) -> bool:
        """Whether the camera has come far enough for another look to say something new."""
        assert self._from_place is not None
        gone = whole @ self._from_place
        if distance(gone, self._offsets.shape) >= _PLACE:
            self._from_place = np.linalg.inv(whole)
            self._place_looks = _PLACE_LOOKS
        self._place_looks -= 1
        return self._place_looks >= 0

    def _update(
        self,
        rows: slice,
        difference: np.ndarray,
        usable: np.ndarray,
        frame: np.ndarray,
        noise: float,
    ) -> None:
        offsets = self._offsets[rows]
        self._fit.look(frame[rows], offsets, usable, noise)
        power, most = noise**2, _CLIP * noise
        for axis in (0, 1):
            weights = self._line_weights[axis] if axis == 0 else self._line_weights[axis][rows]
            box = (_LINES, 1) if axis == 0 else (1, _LINES)
            left, say = _residual(difference, box, usable, power)
            share = say.sum(axis=axis) / difference.shape[axis]
            np.clip(left, -most, most, out=left)
            left *= say
            step = left.sum(axis=axis) / (difference.shape[axis] * (weights + 1 + share))
            step -= step.mean()
            weights += share
            np.minimum(weights, _MOST_LOOKS, out=weights)
            along = step[None, :] if axis == 0 else step[:, None]
            # Columns are the camera's from top to bottom, whichever band shows them.
            (self._offsets if axis == 0 else offsets)[...] += along
            difference -= along
        left, say = _residual(difference, (_FINE, _FINE), usable, power)
        np.clip(left, -most, most, out=left)
        left *= say
        weights = self._weights[rows]
        left /= weights + 1 + say
        offsets += left
        weights += say
        np.minimum(weights, _MOST_LOOKS, out=weights)
        np.clip(offsets, -_BOUND * noise, _BOUND * noise, out=offsets)
        self._looks += 1
        self._shown = None
        self.frozen = False


def _share_seen(motion: np.ndarray, size: tuple[int, int]) -> np.ndarray | None:
    """How much of the pattern a pixel's difference shows; None: all of it, everywhere.

    A pixel that has moved by less than its own size, as in the middle of a zoom, is compared with
    itself in part.
    """
    width, height = size
    x, y = np.arange(width, dtype=np.float32)[None, :], np.arange(height, dtype=np.float32)[:, None]
    (a, b, c), (d, e, f) = (motion[:2] - np.eye(3)[:2]).astype(np.float32)
    ends = np.ix_((0, height - 1), (0, width - 1))
    grid_x, grid_y = np.broadcast_arrays(x, y)
    corners = [
        np.hypot(a * i + b * j + c, d * i + e * j + f)
        for i, j in zip(grid_x[ends].ravel(), grid_y[ends].ravel())
    ]
    if min(corners) >= 1.0 and max(corners) < 2.0 * min(corners):
        return None
    far = (a * x + b * y + c) ** 2 + (d * x + e * y + f) ** 2
    return np.sqrt(np.clip(far, _LEAST_SEEN**2, 1.0))


def _clipped(frame: np.ndarray) -> np.ndarray:
    """Pixels at the frame's limits where many are: they do not show what the pattern adds."""
    found = np.zeros(frame.shape, bool)
    for limit in cv2.minMaxLoc(frame)[:2]:
        at = frame == np.float32(limit)
        if np.count_nonzero(at) > _AT_LIMIT * frame.size:
            found |= at
    return found


def _residual(
    difference: np.ndarray, box: tuple[int, int], usable: np.ndarray, power: float
) -> tuple[np.ndarray, np.ndarray]:
    """The fine part of a difference, and how much each pixel of it says, 0..1."""
    fine = difference - cv2.blur(difference, box, borderType=cv2.BORDER_REFLECT_101)
    busy = cv2.blur(fine * fine, (_AREA, _AREA), borderType=cv2.BORDER_REFLECT_101)
    say = np.float32(power) / (busy + np.float32(power))
    say *= say
    say *= usable
    return fine, say
