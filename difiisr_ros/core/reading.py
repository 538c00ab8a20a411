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

"""What of a camera's frame is a measurement, and what becomes of the rest.

A crop is cut off first. Missing pixels (:mod:`difiisr_ros.core.missing`) leave the range, the noise
and the network alone, and come back as they were. Bad pixels of the profile do the same, and come
back interpolated. The camera's fixed pattern (:mod:`difiisr_ros.core.fixed_pattern`) is subtracted
from what is left. A frame of which nothing is known passes as it is, without a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.missing import missing_mask, put_back
from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.core.region import Region
from difiisr_ros.errors import FrameError


@dataclass(frozen=True)
class Reading:
    """A frame as it is looked at."""

    frame: np.ndarray
    """H x W, uint8, uint16 or float32, cropped."""
    scene: np.ndarray
    """The same, or in float32 with NaN where nothing was measured and without the fixed pattern."""
    missing: np.ndarray | None
    """Mask of the pixels that are to come back as they are; None where there are none."""

    @property
    def is_integer(self) -> bool:
        """Whether values were rounded to whole counts."""
        return self.frame.dtype != np.float32

    def restore(self, result: np.ndarray, region: Region, geometry: OutputGeometry) -> None:
        """Write the missing pixels' own values where they lie in the result of a region."""
        if self.missing is not None:
            put_back(result, region.of(self.frame), region.of(self.missing), geometry)


def read(
    frame: np.ndarray,
    camera: CameraProfile,
    missing: np.ndarray | None = None,
    offsets: np.ndarray | None = None,
) -> Reading:
    """Look at a frame as its camera's profile says.

    Args:
        frame: H x W, uint8, uint16 or float32, before the crop.
        camera: what is known of its camera.
        missing: H x W, bool: further pixels without a measurement.
        offsets: H x W, float32, counts: the fixed pattern, in place of the profile's.

    Raises:
        FrameError: a mask or a pattern of another size, a crop that leaves nothing, or no pixel
            that measures.
    """
    cropped = camera.crop.of(frame)
    gone = missing_mask(cropped, camera.missing)
    if missing is not None:
        further = _fitting(missing, frame, camera, "the mask of missing pixels")
        gone = further if gone is None else gone | further
    unknown = gone
    if camera.bad_pixels is not None:
        bad = _fitting(camera.bad_mask, frame, camera, f"bad_pixels ({camera.bad_pixels})")
        unknown = bad if gone is None else gone | bad
    what = "the fixed pattern"
    if offsets is None and camera.pattern is not None:
        offsets, what = camera.fixed_pattern.offsets, f"pattern ({camera.pattern})"
    if unknown is not None and not unknown.any():
        unknown = None
    if unknown is None and offsets is None:
        return Reading(cropped, cropped, None)
    if unknown is not None and unknown.all():
        raise FrameError(
            f"no pixel of the frame is a measurement: all {unknown.size} are missing or bad"
        )
    scene = cropped.astype(np.float32)
    if offsets is not None:
        scene -= _fitting(offsets, frame, camera, what, "a pattern")
        at_limit = _at_limit(cropped)
        if at_limit is not None:
            scene[at_limit] = cropped[at_limit]
    if unknown is not None:
        scene[unknown] = np.nan
    return Reading(cropped, scene, gone)


def _at_limit(frame: np.ndarray) -> np.ndarray | None:
    """Pixels at the type's limits, which show the limit and no pattern; None where none are."""
    if frame.dtype.kind == "f":
        return None
    limits = np.iinfo(frame.dtype)
    found = (frame == limits.min) | (frame == limits.max)
    return found if found.any() else None


def _fitting(
    image: np.ndarray, frame: np.ndarray, camera: CameraProfile, what: str, kind: str = "a mask"
) -> np.ndarray:
    if image.shape != frame.shape:
        raise FrameError(
            f"{what} is {image.shape[1]}x{image.shape[0]}, the camera's frame is "
            f"{frame.shape[1]}x{frame.shape[0]}; accepted is {kind} of the frame's size, before "
            "any crop"
        )
    return camera.crop.of(image)
