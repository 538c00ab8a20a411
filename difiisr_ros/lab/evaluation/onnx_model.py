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

"""Any super-resolution model in ONNX, as one of the methods that are compared.

Files say little about what they expect, so it is found out: the layout from the input's shape, the
scale and the range of values by showing the model a smooth ramp, which every super-resolution
model gives back as that ramp.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from difiisr_ros.core import radiometry
from difiisr_ros.errors import ModelError, first_line
from difiisr_ros.lab.frames.degrade import SCALE, to_dtype

_TYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
}
#: Frames are padded to a multiple of these, one after the other, until the model takes them.
_MULTIPLES = (1, 2, 4, 8, 16, 32, 64)
#: Of the range. A ramp has nothing to sharpen; flat gray instead of it would be off by 0.09.
_RAMP_TOLERANCE = 0.05


class ValueScale(NamedTuple):
    """What a model takes for dark and bright."""

    low: float
    high: float

    @property
    def words(self) -> str:
        """For reports."""
        return f"{self.low:g}..{self.high:g}"


RANGES = (ValueScale(0.0, 1.0), ValueScale(0.0, 255.0), ValueScale(-1.0, 1.0))


class OnnxModel:
    """Upscales frames x4 by an ONNX model, on ONNX Runtime.

    Colour models get the frame in all three channels, and the mean of theirs is the result. 8-bit
    frames are scaled by 255; 16-bit and float ones by their minimum and maximum, as such models
    know no values outside of their range.

    Args:
        path: The file.
        example: A frame such as will be upscaled, H x W; what the model expects is found out on it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        num_threads: CPU threads; 0 leaves the choice to ONNX Runtime.

    Raises:
        ModelError: No such file, not an ONNX model, or one that does not do super-resolution x4 of
            one image; says what it found and what is accepted.
    """

    def __init__(
        self, path: Path, example: np.ndarray, device: str = "auto", num_threads: int = 0
    ) -> None:
        self.path = path
        self._session = _load(path, device, num_threads)
        self._read_signature()
        self._multiple = 1
        self._range = RANGES[0]
        self._seen: set[tuple[int, ...]] = set()
        height, width = example.shape
        self._find_size(height, width)
        self._find_range(height, width)
        self.details: dict[str, Any] = {
            "model": str(path),
            "backend": "onnxruntime",
            "providers": self._session.get_providers(),
            "layout": self._layout,
            "channels": self._channels,
            "input_type": np.dtype(self._dtype).name,
            "input_range": self._range.words,
            "padded_to_multiple_of": self._multiple,
        }

    def upscale(self, frame: np.ndarray) -> np.ndarray:
        """H x W, uint8, uint16 or float32, to 4H x 4W of the same dtype.

        Raises:
            ModelError: The model fails on this frame.
        """
        if frame.shape not in self._seen:
            self._find_size(*frame.shape)
        low, high = (0.0, 255.0)
        if frame.dtype != np.uint8:
            low, high = radiometry.measure_range(frame, "minmax")
        unit = (frame.astype(np.float64) - low) / (high - low)
        result = self._run(unit, self._range, self._multiple)
        return to_dtype(result * (high - low) + low, frame.dtype)

    def _read_signature(self) -> None:
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            names = ", ".join(i.name for i in inputs)
            raise ModelError(
                f"{self.path}: takes {len(inputs)} inputs ({names}); accepted is one image"
            )
        shape, kind = inputs[0].shape, inputs[0].type
        if kind not in _TYPES:
            raise ModelError(f"{self.path}: takes {kind}; accepted are {', '.join(_TYPES)}")
        if len(shape) != 4:
            raise ModelError(
                f"{self.path}: takes {len(shape)} dimensions {shape}; accepted are four, N x C x H "
                "x W or N x H x W x C, with 1 or 3 channels"
            )
        self._name, self._dtype = inputs[0].name, _TYPES[kind]
        if shape[1] in (1, 3):
            self._layout, self._channels, sides = "NCHW", int(shape[1]), shape[2:]
        elif shape[3] in (1, 3):
            self._layout, self._channels, sides = "NHWC", int(shape[3]), shape[1:3]
        else:
            raise ModelError(
                f"{self.path}: takes {shape}; accepted are N x C x H x W or N x H x W x C, with a "
                "fixed number of 1 or 3 channels"
            )
        if isinstance(shape[0], int) and shape[0] > 1:
            raise ModelError(
                f"{self.path}: takes batches of {shape[0]}; accepted are single images"
            )
        #: Height and width that the file fixes, None where it leaves them open.
        self._fixed = tuple(side if isinstance(side, int) else None for side in sides)

    def _find_size(self, height: int, width: int) -> None:
        """Check a frame's size against what the file fixes, find the padding that the model needs,
        and check the scale."""
        for side, fixed, what in zip((height, width), self._fixed, ("height", "width")):
            if fixed is not None and side != fixed:
                raise ModelError(
                    f"{self.path}: takes a {what} of {fixed} only, the frames have {width}x{height}"
                    "; export it with dynamic axes"
                )
        reason = ""
        for multiple in (m for m in _MULTIPLES if m >= self._multiple):
            padded = [-(-side // multiple) * multiple for side in (height, width)]
            try:
                result = self._raw(np.full(padded, 0.5), RANGES[0])
            except ModelError as error:
                reason = reason or str(error)
                continue
            break
        else:
            raise ModelError(
                f"{self.path}: fails on {width}x{height} and on every padding of it to a multiple "
                f"of up to {_MULTIPLES[-1]}: {reason}"
            )
        scales = [out / side for out, side in zip(result.shape, padded)]
        if scales != [SCALE, SCALE]:
            words = (
                f"x{scales[0]:g}" if scales[0] == scales[1] else f"{scales[0]:g} by {scales[1]:g}"
            )
            raise ModelError(
                f"{self.path}: is a {words} model ({padded[1]}x{padded[0]} to "
                f"{result.shape[1]}x{result.shape[0]}); compared are x{SCALE} models"
            )
        self._multiple = multiple
        self._seen.add((height, width))

    def _find_range(self, height: int, width: int) -> None:
        ramp, truth = _ramp(height, width), _ramp(height * SCALE, width * SCALE)
        candidates = [RANGES[1]] if self._dtype == np.uint8 else list(RANGES)
        errors = {}
        for values in candidates:
            result = self._run(ramp, values, self._multiple)
            errors[values] = float(np.median(np.abs(result - truth)))
        # A model without any offset does the same in each range; then the first one is right too.
        best = next((v for v in candidates if errors[v] <= 1.5 * min(errors.values())), None)
        if best is None or not errors[best] <= _RAMP_TOLERANCE:
            tried = ", ".join(f"{v.words}: off by {100 * e:.0f} %" for v, e in errors.items())
            raise ModelError(
                f"{self.path}: does not give a smooth ramp back as it is in any range of values "
                f"that is known ({tried} of the range), so it is not a super-resolution model, or "
                "normalises in a way of its own"
            )
        self._range = best

    def _run(self, unit: np.ndarray, values: ValueScale, multiple: int) -> np.ndarray:
        """A picture in 0..1, H x W, to one of 4H x 4W."""
        height, width = unit.shape
        rows, columns = (-side % multiple for side in (height, width))
        if rows or columns:
            unit = np.pad(unit, ((0, rows), (0, columns)), mode="edge")
        return self._raw(unit, values)[: height * SCALE, : width * SCALE]

    def _raw(self, unit: np.ndarray, values: ValueScale) -> np.ndarray:
        scaled = unit * (values.high - values.low) + values.low
        if self._dtype == np.uint8:
            scaled = np.clip(np.rint(unit * 255), 0, 255)
        picture = np.repeat(scaled.astype(self._dtype)[..., None], self._channels, axis=2)
        batch = picture[None] if self._layout == "NHWC" else picture.transpose(2, 0, 1)[None]
        try:
            outputs = self._session.run(None, {self._name: np.ascontiguousarray(batch)})
        except Exception as error:  # ONNX Runtime has its own exceptions, for every cause others
            size = f"{unit.shape[1]}x{unit.shape[0]}"
            raise ModelError(
                f"{self.path}: fails on a frame of {size}: {first_line(error)}"
            ) from error
        result = self._plane(outputs[0])
        if self._dtype == np.uint8 or result.dtype == np.uint8:
            return result.astype(np.float64) / 255
        return (result.astype(np.float64) - values.low) / (values.high - values.low)

    def _plane(self, output: np.ndarray) -> np.ndarray:
        """One channel, H x W, of an output in either layout."""
        picture = output[0] if output.ndim == 4 else output
        if picture.ndim == 3:
            for axis in (0, 2):
                if picture.shape[axis] in (1, 3):
                    return picture.mean(axis=axis, dtype=np.float64).astype(
                        np.uint8 if picture.dtype == np.uint8 else np.float64
                    )
        if picture.ndim == 2:
            return picture
        raise ModelError(
            f"{self.path}: gives an output of shape {output.shape}; expected is one image with 1 "
            "or 3 channels"
        )


def _load(path: Path, device: str, num_threads: int) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: no such model file")
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"{path}: ONNX models need ONNX Runtime: pip install difiisr_ros[onnx] ({error})"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # failures are reported here, in one line
    if num_threads:
        options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=_providers(device))
    except Exception as error:
        raise ModelError(
            f"{path}: cannot be loaded as an ONNX model: {first_line(error)}"
        ) from error


def _providers(device: str) -> list[Any]:
    import onnxruntime

    cpu = "CPUExecutionProvider"
    cuda = "CUDAExecutionProvider"
    if device == "cpu" or cuda not in onnxruntime.get_available_providers():
        return [cpu]
    number = int(device.partition(":")[2] or 0)
    return [(cuda, {"device_id": number}), cpu]


def _ramp(height: int, width: int) -> np.ndarray:
    """0.2 to 0.8 along the diagonal, pixel centres aligned for every size; H x W."""
    rows, columns = ((np.arange(side) + 0.5) / side for side in (height, width))
    return 0.2 + 0.3 * (rows[:, None] + columns[None, :])
