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

"""CameraProfile: what is known of a thermal camera, a small YAML file whose keys are all optional.

``difiisr calibrate`` measures one. Two profiles have names instead of files: ``auto`` (nothing is
known; the noise is estimated from each frame) and ``reduced`` (no camera at all: frames that were
reduced by antialiased bicubic without noise, as benchmarks are).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from difiisr_ros.core.crop import NO_CROP, Crop, parse_crop
from difiisr_ros.core.missing import Ranges, in_words, parse_missing
from difiisr_ros.core.plain_numbers import plain_real
from difiisr_ros.core.temperature import TemperatureScale
from difiisr_ros.errors import DataError, OptionError

if TYPE_CHECKING:
    import numpy as np

    from difiisr_ros.core.fixed_pattern import FixedPattern

_log = logging.getLogger(__name__)
AUTO, REDUCED = "auto", "reduced"
#: What the order of the bytes of a pixel may be called; ``auto``: as file or message say.
BYTE_ORDERS = (AUTO, "little", "big")
#: Largest values that make sense; what lies beyond is a wrong unit or a typing error.
MOST_NOISE = 1e6  # counts: float frames may be in any unit
MOST_BLUR = 3.0  # camera pixels: no detector samples so far above what its lens resolves
MOST_KELVIN = 1e4  # of a count, and of its zero
_NUMBERS = {
    "noise": (0.0, MOST_NOISE),
    "blur": (0.0, MOST_BLUR),
    "blur_error": (0.0, MOST_BLUR),
    "kelvin_per_count": (1e-9, MOST_KELVIN),
    "kelvin_offset": (-MOST_KELVIN, MOST_KELVIN),
}


@dataclass(frozen=True)
class CameraProfile:
    """What is known of a camera. ``None`` stands for: not known.

    Raises:
        OptionError: a value that cannot be, naming the key.
    """

    noise: float | None = None
    """Standard deviation of the white noise within a frame, counts (the frame's own unit), 0 or
    more; None: estimated from each frame."""
    blur: float | None = None
    """Standard deviation of the optics' Gaussian point spread, camera pixels, before the detector
    element integrates over its area; None: unknown."""
    blur_error: float | None = None
    """Standard deviation of the error of ``blur``, camera pixels; None: exact."""
    calibration: Mapping[str, Any] = field(default_factory=dict)
    """What ``difiisr calibrate`` measured beside, and on what: a record, read by people."""
    missing: Ranges = ()
    """Values that stand for no measurement, in the frame's unit: given as numbers and
    (low, high), or as text."""
    crop: Crop = NO_CROP
    """Camera pixels at the borders that are no part of the picture."""
    bad_pixels: str | None = None
    """File of the pixels that do not measure (:mod:`difiisr_ros.core.bad_pixels`); in a profile's
    file relative to it."""
    pattern: str | None = None
    """File of what the camera adds to every frame (:mod:`difiisr_ros.core.fixed_pattern`), which is
    subtracted before everything; in a profile's file relative to it."""
    byte_order: str = AUTO
    """Of pixels in files and messages: ``little``, ``big``, or ``auto``, as these say."""
    kelvin_per_count: float | None = None
    """What one count is, kelvin; None: not known."""
    kelvin_offset: float | None = None
    """Temperature of count 0, kelvin; None: 0."""
    source: str = "given"
    """Where it comes from: a path, :data:`AUTO`, :data:`REDUCED` or ``given`` (from Python). Not
    a key of the file."""

    def __post_init__(self) -> None:
        for name, (least, most) in _NUMBERS.items():
            given = getattr(self, name)
            if given is None:
                continue
            value = plain_real(given)
            if value is None or not math.isfinite(value) or not least <= value <= most:
                raise OptionError(
                    f"camera profile: {name} must be a number in {least:g}..{most:g}, got {given!r}"
                )
            object.__setattr__(self, name, value)
        if self.blur_error is not None and self.blur is None:
            raise OptionError("camera profile: blur_error says how sure blur is, which is missing")
        if self.kelvin_offset is not None and self.kelvin_per_count is None:
            raise OptionError(
                "camera profile: kelvin_offset is of no use without kelvin_per_count, which is "
                "missing"
            )
        if not isinstance(self.calibration, Mapping):
            raise OptionError(
                f"camera profile: calibration must be a mapping, got {self.calibration!r}"
            )
        try:
            object.__setattr__(self, "missing", parse_missing(self.missing))
            object.__setattr__(self, "crop", parse_crop(self.crop))
        except OptionError as error:
            raise OptionError(f"camera profile: {error}") from error
        for name in _FILES:
            path = getattr(self, name)
            if path is None:
                continue
            if not isinstance(path, (str, Path)) or not str(path):
                raise OptionError(f"camera profile: {name} must be a file's path, got {path!r}")
            object.__setattr__(self, name, str(Path(path).expanduser()))
        if self.byte_order not in BYTE_ORDERS:
            raise OptionError(
                f"camera profile: byte_order must be one of {', '.join(BYTE_ORDERS)}, got "
                f"{self.byte_order!r}"
            )

    @cached_property
    def is_reduced(self) -> bool:
        """Whether frames are antialiased-bicubic reductions and not a camera's."""
        return self.source == REDUCED

    @property
    def temperatures(self) -> TemperatureScale | None:
        """What its counts are as temperatures, where that is known."""
        if self.kelvin_per_count is None:
            return None
        return TemperatureScale(self.kelvin_per_count, self.kelvin_offset or 0.0)

    @cached_property
    def bad_mask(self) -> np.ndarray:
        """The mask in :attr:`bad_pixels`, which must be given: H x W of the camera, bool.

        Raises:
            DataError: see :func:`difiisr_ros.core.bad_pixels.read_bad_pixels`.
        """
        from difiisr_ros.core.bad_pixels import read_bad_pixels

        assert self.bad_pixels is not None
        return read_bad_pixels(self.bad_pixels)

    @cached_property
    def fixed_pattern(self) -> FixedPattern:
        """The offsets in :attr:`pattern`, which must be given.

        Raises:
            DataError: see :meth:`difiisr_ros.core.fixed_pattern.FixedPattern.read`.
        """
        from difiisr_ros.core.fixed_pattern import FixedPattern

        assert self.pattern is not None
        return FixedPattern.read(self.pattern)

    def look_into_files(self) -> None:
        """Read the files that it names, so that what is wrong with them is known at once.

        Raises:
            DataError: a file cannot be used; names it.
        """
        if self.bad_pixels is not None:
            self.bad_mask  # noqa: B018  # kept
        if self.pattern is not None:
            self.fixed_pattern  # noqa: B018

    def of_the_scene(self) -> CameraProfile:
        """What of it holds for frames whose pixels have been put right already."""
        return replace(
            self, missing=(), crop=NO_CROP, bad_pixels=None, pattern=None, byte_order=AUTO
        )

    @classmethod
    def read(cls, path: str | Path) -> CameraProfile:
        """Read a profile from a YAML file; one that says nothing is warned of.

        Raises:
            DataError: the file is missing, or no YAML mapping.
            OptionError: a key that does not exist or is there twice, or a value that cannot be;
                names both.
        """
        import yaml

        from difiisr_ros.core.strict_yaml import read_yaml

        file = Path(path).expanduser()
        try:
            found = read_yaml(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{file}: the camera profile cannot be read: {error.strerror}") from (
                error
            )
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            words = " ".join(str(error).split())
            raise DataError(f"{file}: the camera profile is no YAML: {words}") from error
        except OptionError as error:
            raise OptionError(f"{file}: camera profile: {error}") from error
        if found is None:
            _log.warning("%s: the camera profile is empty, nothing of the camera is known", file)
            found = {}
        if not isinstance(found, dict):
            raise DataError(
                f"{file}: a camera profile is a mapping of keys to values, got "
                f"{type(found).__name__}"
            )
        known = profile_keys()
        for key in found:
            if key not in known:
                raise OptionError(
                    f"{file}: unknown key {key!r} in the camera profile; known: {', '.join(known)}"
                )
        try:
            profile = cls(**found, source=str(path))
        except OptionError as error:
            raise OptionError(f"{file}: {error}") from error
        beside: dict[str, Any] = {
            name: str(file.parent / getattr(profile, name))
            for name in _FILES
            if getattr(profile, name) is not None
        }
        if beside:
            profile = replace(profile, **beside)
            profile.look_into_files()
        return profile

    def write(self, path: str | Path) -> None:
        """Write the keys that are known, with their meaning as comments; atomic.

        Raises:
            DataError: the file cannot be written.
        """
        import yaml

        from difiisr_ros.atomic_write import write_atomically

        lines = [
            "# Camera profile of difiisr_ros: give it as 'camera' to the node and to commands."
        ]
        for name, meaning in _MEANINGS.items():
            value = getattr(self, name)
            if value is not None:
                lines += [f"# {meaning}", f"{name}: {value:.6g}"]
        lines += self._pixels_as_lines(Path(path).parent)
        if self.calibration:
            plain = yaml.safe_dump(
                {"calibration": _plain(self.calibration)}, sort_keys=False, allow_unicode=True
            )
            lines += ["# How it was measured; not used.", plain.rstrip()]
        write_atomically(path, ("\n".join(lines) + "\n").encode())

    def _pixels_as_lines(self, folder: Path) -> list[str]:
        lines = []
        if self.missing:
            lines += [
                "# Values that stand for no measurement.",
                f'missing: "{in_words(self.missing)}"',
            ]
        if self.crop != NO_CROP:
            sides = ", ".join(f"{side}: {n}" for side, n in self.crop._asdict().items() if n)
            lines += ["# Camera pixels at the borders that are left out.", f"crop: {{{sides}}}"]
        for key, meaning in _FILES.items():
            if getattr(self, key) is not None:
                file = Path(getattr(self, key))
                name = file.name if file.parent == folder else file.absolute()
                lines += [f"# {meaning}", f'{key}: "{name}"']
        if self.byte_order != AUTO:
            lines += ["# Of pixels in files and messages.", f"byte_order: {self.byte_order}"]
        return lines

    def describe(self) -> str:
        """In words, as ``noise 3.2 counts, blur 0.45 px (camera.yaml)``."""
        if self.is_reduced:
            return "reduced by antialiased bicubic"
        noise = "noise estimated" if self.noise is None else f"noise {self.noise:.4g} counts"
        blur = "blur unknown" if self.blur is None else f"blur {self.blur:.3g} px"
        pixels = []
        if self.missing:
            pixels.append(f"missing {in_words(self.missing)}")
        if self.crop != NO_CROP:
            pixels.append(f"crop {self.crop.describe()}")
        if self.bad_pixels is not None:
            pixels.append(f"{int(self.bad_mask.sum())} bad pixels")
        if self.pattern is not None:
            pixels.append(self.fixed_pattern.describe())
        if self.byte_order != AUTO:
            pixels.append(f"byte order {self.byte_order}")
        if self.kelvin_per_count is not None:
            pixels.append(f"{self.kelvin_per_count:.4g} K a count")
        return f"{', '.join([noise, blur, *pixels])} ({self.source})"


def _plain(value: Any) -> Any:
    """A record without types of NumPy, which YAML has none of."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value


_FILES = {
    "bad_pixels": "Picture of the camera's size, not black where pixels do not measure.",
    "pattern": "Offsets of the camera's pixels, counts, subtracted from every frame.",
}
_MEANINGS = {
    "noise": "Standard deviation of the white noise within a frame, counts.",
    "blur": "Gaussian sigma of the optics, camera pixels, before sampling over the pixel's area.",
    "blur_error": "Standard deviation of its error, camera pixels.",
    "kelvin_per_count": "What one count is, kelvin.",
    "kelvin_offset": "Temperature of count 0, kelvin.",
}


def profile_keys() -> tuple[str, ...]:
    """Keys that a profile's file may have."""
    return tuple(f.name for f in fields(CameraProfile) if f.name != "source")


def resolve_camera(
    camera: str | Path | CameraProfile, pixels: Mapping[str, Any] | None = None
) -> CameraProfile:
    """The profile that is meant by ``auto``, ``reduced``, a path, or a profile itself.

    Args:
        camera: which.
        pixels: keys (``missing``, ``crop``, ``bad_pixels``, ``pattern``, ``byte_order``) that were
            given beside it, and win over its own. What says nothing (None, "", ``auto``, no crop)
            is not given.

    Raises:
        DataError, OptionError: see :meth:`CameraProfile.read`; or it is none of these.
    """
    if isinstance(camera, CameraProfile):
        profile = camera
    elif not isinstance(camera, (str, Path)):
        raise OptionError(
            f"camera must be a CameraProfile, the path of its file, {AUTO} or {REDUCED}, got "
            f"{camera!r}"
        )
    elif str(camera) in ("", AUTO, REDUCED):
        profile = CameraProfile(source=str(camera) or AUTO)
    else:
        profile = CameraProfile.read(camera)
    given = {k: v for k, v in (pixels or {}).items() if v not in (None, "", (), AUTO, NO_CROP)}
    if not given:
        return profile
    try:
        profile = replace(profile, **given)
    except OptionError as error:
        raise OptionError(str(error).removeprefix("camera profile: ")) from error
    profile.look_into_files()
    return profile
