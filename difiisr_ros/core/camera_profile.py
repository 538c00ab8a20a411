"""CameraProfile: what is known of a thermal camera, a small YAML file whose keys are all optional.

``difiisr calibrate`` measures one. Two profiles have names instead of files: ``auto`` (nothing is
known; the noise is estimated from each frame) and ``reduced`` (no camera at all: frames that were
reduced by antialiased bicubic without noise, as benchmarks are).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from difiisr_ros.errors import DataError, OptionError

AUTO, REDUCED = "auto", "reduced"
#: Largest values that make sense; what lies beyond is a wrong unit or a typing error.
MOST_NOISE = 1e6  # counts: float frames may be in any unit
MOST_BLUR = 3.0  # camera pixels: no detector samples so far above what its lens resolves
_NUMBERS = {"noise": MOST_NOISE, "blur": MOST_BLUR, "blur_error": MOST_BLUR}


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
    source: str = "given"
    """Where it comes from: a path, :data:`AUTO`, :data:`REDUCED` or ``given`` (from Python). Not
    a key of the file."""

    def __post_init__(self) -> None:
        for name, most in _NUMBERS.items():
            value = getattr(self, name)
            if value is None:
                continue
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not math.isfinite(value) or not 0 <= value <= most:
                raise OptionError(
                    f"camera profile: {name} must be a number in 0..{most:g}, got {value!r}"
                )
        if self.blur_error is not None and self.blur is None:
            raise OptionError("camera profile: blur_error says how sure blur is, which is missing")
        if not isinstance(self.calibration, Mapping):
            raise OptionError(
                f"camera profile: calibration must be a mapping, got {self.calibration!r}"
            )

    @cached_property
    def is_reduced(self) -> bool:
        """Whether frames are antialiased-bicubic reductions and not a camera's."""
        return self.source == REDUCED

    @classmethod
    def read(cls, path: str | Path) -> CameraProfile:
        """Read a profile from a YAML file.

        Raises:
            DataError: the file is missing, or no YAML mapping.
            OptionError: a key that does not exist, or a value that cannot be; names both.
        """
        import yaml

        file = Path(path).expanduser()
        try:
            found = yaml.safe_load(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise DataError(f"{file}: the camera profile cannot be read: {error.strerror}") from (
                error
            )
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            words = " ".join(str(error).split())
            raise DataError(f"{file}: the camera profile is no YAML: {words}") from error
        if found is None:
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
            return cls(**found, source=str(path))
        except OptionError as error:
            raise OptionError(f"{file}: {error}") from error

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
        if self.calibration:
            plain = yaml.safe_dump(
                {"calibration": dict(self.calibration)}, sort_keys=False, allow_unicode=True
            )
            lines += ["# How it was measured; not used.", plain.rstrip()]
        write_atomically(path, ("\n".join(lines) + "\n").encode())

    def describe(self) -> str:
        """In words, as ``noise 3.2 counts, blur 0.45 px (camera.yaml)``."""
        if self.is_reduced:
            return "reduced by antialiased bicubic"
        noise = "noise estimated" if self.noise is None else f"noise {self.noise:.4g} counts"
        blur = "blur unknown" if self.blur is None else f"blur {self.blur:.3g} px"
        return f"{noise}, {blur} ({self.source})"


_MEANINGS = {
    "noise": "Standard deviation of the white noise within a frame, counts.",
    "blur": "Gaussian sigma of the optics, camera pixels, before sampling over the pixel's area.",
    "blur_error": "Standard deviation of its error, camera pixels.",
}


def profile_keys() -> tuple[str, ...]:
    """Keys that a profile's file may have."""
    return tuple(f.name for f in fields(CameraProfile) if f.name != "source")


def resolve_camera(camera: str | Path | CameraProfile) -> CameraProfile:
    """The profile that is meant by ``auto``, ``reduced``, a path, or a profile itself.

    Raises:
        DataError, OptionError: see :meth:`CameraProfile.read`.
    """
    if isinstance(camera, CameraProfile):
        return camera
    if str(camera) in ("", AUTO):
        return CameraProfile(source=AUTO)
    if str(camera) == REDUCED:
        return CameraProfile(source=REDUCED)
    return CameraProfile.read(camera)
