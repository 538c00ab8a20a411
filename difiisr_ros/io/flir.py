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

"""FLIR's FFF container: the sensor's raw frame and the constants that make it temperatures.

It is a file of its own (``.fff``), one after the other in a recording (``.seq``, ``.csq``), or lies
in the APP1 segments of a radiometric JPEG. The layout is as ExifTool documents it
(https://exiftool.org/TagNames/FLIR.html):

- header of 64 bytes: ``FFF`` and 0 at 0, version at 0x14, offset of the record directory at 0x18,
  number of its entries at 0x1c, all uint32. The version, 100 to 199, tells the byte order.
- directory entry of 32 bytes: type uint16 at 0, offset uint32 at 0x0c, length uint32 at 0x10.
- record 1, raw frame: uint16 2 at 0 (tells the byte order), width at 2, height at 4, and from 0x20
  on either uint16 pixels, a 16-bit PNG, in which some cameras swap the bytes, or (``.csq``) a
  JPEG-LS.
- record 0x20, camera: uint16 2 at 0 (byte order), then single-precision floats, see ``_CAMERA``.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from difiisr_ros.core.temperature import CELSIUS, ZERO_CELSIUS
from difiisr_ros.errors import DataError
from difiisr_ros.io.pictures import decode_png
from difiisr_ros.io.stack import COUNTS, ReadOptions

MAGIC = b"FFF\0"
_RAW, _CAMERA_INFO = 1, 0x20
_PIXELS_AT = 0x20
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
#: Offset of a value in the camera record; floats but planck_o, which is an int32.
_CAMERA = {
    "emissivity": 0x20, "distance": 0x24, "reflected": 0x28, "atmosphere": 0x2C, "window": 0x30,
    "window_transmission": 0x34, "humidity": 0x3C, "planck_r1": 0x58, "planck_b": 0x5C,
    "planck_f": 0x60, "alpha_1": 0x70, "alpha_2": 0x74, "beta_1": 0x78, "beta_2": 0x7C, "x": 0x80,
    "planck_o": 0x308, "planck_r2": 0x30C,
}  # fmt: skip


@dataclass(frozen=True)
class Camera:
    """What a camera record says; temperatures in kelvin, distance in metres, shares 0 to 1."""

    emissivity: float
    distance: float
    reflected: float
    atmosphere: float
    window: float
    window_transmission: float
    humidity: float
    planck_r1: float
    planck_b: float
    planck_f: float
    alpha_1: float
    alpha_2: float
    beta_1: float
    beta_2: float
    x: float
    planck_o: float
    planck_r2: float

    def counts(self, kelvin: float) -> float:
        """What the sensor reads of a black body, by Planck's law with the camera's constants."""
        return (
            self.planck_r1 / (self.planck_r2 * (np.exp(self.planck_b / kelvin) - self.planck_f))
            - self.planck_o
        )

    def kelvin(self, raw: np.ndarray) -> np.ndarray:
        """Temperatures of the objects, float32; NaN where counts are below what any can give."""
        air = self._air_transmission()
        signal = raw.astype(np.float64)
        if 0 < self.window_transmission < 1:
            behind = (1 - self.window_transmission) * self.counts(self.window)
            signal = (signal - behind) / self.window_transmission
        signal -= (1 - air) * self.counts(self.atmosphere) if air < 1 else 0
        signal /= air
        if self.emissivity < 1:
            signal -= (1 - self.emissivity) * self.counts(self.reflected)
        signal = signal / self.emissivity + self.planck_o
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = self.planck_r1 / (self.planck_r2 * signal) + self.planck_f
            kelvin = self.planck_b / np.log(ratio)
        kelvin[~(signal > 0) | ~(ratio > 1)] = np.nan
        return kelvin.astype(np.float32)

    def _air_transmission(self) -> float:
        """Of the air between camera and object, by FLIR's formula for water vapour."""
        if not self.distance > 0 or not 0 < self.x < 4:
            return 1.0
        celsius = self.atmosphere - ZERO_CELSIUS
        vapour = self.humidity * np.exp(
            1.5587 + 6.939e-2 * celsius - 2.7816e-4 * celsius**2 + 6.8455e-7 * celsius**3
        )
        near, far = (
            np.exp(-np.sqrt(self.distance) * (alpha + beta * np.sqrt(vapour)))
            for alpha, beta in ((self.alpha_1, self.beta_1), (self.alpha_2, self.beta_2))
        )
        return float(self.x * near + (1 - self.x) * far)


def decode_fff(data: bytes, name: str, options: ReadOptions) -> np.ndarray:
    """The raw frame of a container: uint16 counts, or float32 temperatures by ``options.unit``.

    Raises:
        DataError: no container, no raw frame, or (for temperatures) no usable constants.
    """
    records = dict(_records(data, name))
    if _RAW not in records:
        raise DataError(f"{name}: is a FLIR file without a raw frame (record 1)")
    raw = _raw_frame(records[_RAW], name, options)
    if options.unit == COUNTS:
        return raw
    kelvin = _camera(records.get(_CAMERA_INFO, b""), name).kelvin(raw)
    return kelvin - np.float32(ZERO_CELSIUS) if options.unit == CELSIUS else kelvin


def containers(data: bytes | mmap.mmap) -> list[tuple[int, int]]:
    """Begin and end of the containers that follow each other in a file.

    None says how long it is: the next one begins where there is its mark with a known version.
    """
    starts, at = [], data.find(MAGIC)
    while at >= 0:
        if _byte_order(data[at : at + 64]) is not None:
            starts.append(at)
        at = data.find(MAGIC, at + 4)
    return list(zip(starts, [*starts[1:], len(data)]))


def _byte_order(header: bytes) -> str | None:
    if len(header) < 64:
        return None
    return next(
        (o for o in "><" if 100 <= struct.unpack_from(f"{o}I", header, 0x14)[0] < 200), None
    )


def _records(data: bytes, name: str) -> Iterator[tuple[int, bytes]]:
    """Type and content of the records; of several of one type the first counts."""
    if data[:4] != MAGIC or len(data) < 64:
        raise DataError(f"{name}: is no FLIR container, it starts with {data[:4]!r}")
    order = _byte_order(data[:64])
    if order is None:
        raise DataError(f"{name}: is a FLIR container of an unknown version")
    at, count = struct.unpack_from(f"{order}II", data, 0x18)
    seen = set()
    for entry in range(at, at + 32 * count, 32):
        if entry + 32 > len(data):
            raise DataError(f"{name}: is truncated, its record directory ends early")
        (kind,) = struct.unpack_from(f"{order}H", data, entry)
        offset, length = struct.unpack_from(f"{order}II", data, entry + 12)
        if kind == 0 or kind in seen:
            continue
        if offset + length > len(data):
            if kind in (_RAW, _CAMERA_INFO):
                raise DataError(f"{name}: is truncated, record {kind} ends after the file")
            continue
        seen.add(kind)
        yield kind, data[offset : offset + length]


def _order(record: bytes, name: str, what: str) -> str:
    order = {b"\2\0": "<", b"\0\2": ">"}.get(record[:2])
    if order is None:
        raise DataError(f"{name}: its {what} starts with {record[:2]!r}, not with a uint16 2")
    return order


def _raw_frame(record: bytes, name: str, options: ReadOptions) -> np.ndarray:
    order = _order(record, name, "raw frame")
    width, height = struct.unpack_from(f"{order}HH", record.ljust(6, b"\0"), 2)
    options.check_size(width, height, name)
    body = record[_PIXELS_AT:]
    if body[: len(_PNG)] == _PNG:
        image, _ = decode_png(body, f"{name} (raw frame)", options)
        if image.dtype != np.uint16:
            raise DataError(f"{name}: its raw frame is an {image.dtype} PNG, accepted is uint16")
        # Neighbouring pixels are alike; with their bytes swapped they are not.
        image = min(image, image.byteswap(), key=_roughness)
    elif body[: len(_JPEG)] == _JPEG:
        image = _decode_jpeg_ls(body, f"{name} (raw frame)")
    else:
        if len(body) < 2 * width * height:
            raise DataError(
                f"{name}: is truncated, its raw frame has {len(body)} bytes, {width}x{height} "
                f"pixels are {2 * width * height}"
            )
        image = np.frombuffer(body, f"{order}u2", width * height).reshape(height, width)
        image = image.astype(np.uint16)
    if image.shape != (height, width):
        raise DataError(f"{name}: says {width}x{height}, its raw frame has {image.shape[::-1]}")
    return image


def _decode_jpeg_ls(data: bytes, name: str) -> np.ndarray:
    try:
        import imagecodecs
    except ImportError:
        raise DataError(
            f"{name}: is compressed by JPEG-LS, which imagecodecs reads; pip install imagecodecs"
        ) from None
    try:
        image = imagecodecs.jpegls_decode(data)
    except Exception as error:  # each codec has a kind of its own
        raise DataError(f"{name}: cannot be decoded as JPEG-LS: {error}") from error
    if image.dtype != np.uint16:
        raise DataError(f"{name}: is an {image.dtype} JPEG-LS, accepted is uint16")
    return image


def _roughness(image: np.ndarray) -> float:
    return float(np.abs(np.diff(image.astype(np.int32), axis=1)).sum(dtype=np.float64))


def _camera(record: bytes, name: str) -> Camera:
    if len(record) < _CAMERA["planck_r2"] + 4:
        raise DataError(f"{name}: has no record of the camera's constants; --unit counts reads it")
    order = _order(record, name, "camera record")
    values = {
        key: float(struct.unpack_from(f"{order}{'i' if key == 'planck_o' else 'f'}", record, at)[0])
        for key, at in _CAMERA.items()
    }
    camera = Camera(**values)
    positive = ("planck_r1", "planck_r2", "planck_b", "reflected", "atmosphere")
    bad = [key for key in positive if not 0 < values[key] < 1e9]
    if bad or not 0 < camera.emissivity <= 1:
        raise DataError(
            f"{name}: its constants make no temperatures ({(bad or ['emissivity'])[0]} is "
            f"{values[(bad or ['emissivity'])[0]]:g}); --unit counts reads it"
        )
    return camera
