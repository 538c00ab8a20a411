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

"""The operators that exported graphs are made of, by NumPy and OpenCV: one frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import cv2
import numpy as np

Arrays = tuple[np.ndarray, ...]
Operator = Callable[..., np.ndarray]
_BORDERS = {"edge": cv2.BORDER_REPLICATE, "constant": cv2.BORDER_CONSTANT}


def _slice(
    x: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    axes: np.ndarray,
    steps: np.ndarray | None = None,
) -> np.ndarray:
    window = [slice(None)] * x.ndim
    by = np.ones_like(starts) if steps is None else steps
    for axis, start, end, step in zip(axes, starts, ends, by):
        window[int(axis)] = slice(int(start), int(end), int(step))
    return x[tuple(window)]


def _pad(
    x: np.ndarray, pads: np.ndarray, value: np.ndarray | None = None, *, mode: str = "constant"
) -> np.ndarray:
    """Of the last two of four axes."""
    top, left, bottom, right = (int(pads[i]) for i in (2, 3, 6, 7))
    fill = 0.0 if value is None else float(value)
    maps = [
        cv2.copyMakeBorder(plane, top, bottom, left, right, _BORDERS[mode], value=fill)
        for plane in x[0]
    ]
    return np.stack(maps)[None]


def _convolve(
    x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, **how: Any
) -> np.ndarray:
    """Of one map to several, without padding; the network's own run in OpenCV's dnn."""
    if x.shape[1] != 1 or any(how.get("pads", ())) or bias is not None:
        raise ValueError("a convolution of several maps outside the network")
    rows, columns = weight.shape[2:]
    top, left = rows // 2, columns // 2
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    out = np.empty((1, len(weight), height, width), np.float32)
    for into, kernel in zip(out[0], weight[:, 0]):
        found = cv2.filter2D(x[0, 0], cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
        into[...] = found[top : top + height, left : left + width]
    return out


def _average(x: np.ndarray, *, kernel_shape: list[int], **_: Any) -> np.ndarray:
    rows, columns = kernel_shape
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    top, left = rows // 2, columns // 2
    maps = [cv2.blur(plane, (columns, rows), borderType=cv2.BORDER_REPLICATE) for plane in x[0]]
    return np.stack([m[top : top + height, left : left + width] for m in maps])[None]


def _largest(
    x: np.ndarray, *, kernel_shape: list[int], strides: list[int] | None = None, **how: Any
) -> np.ndarray:
    if any(how.get("pads", ())) or any(stride != 1 for stride in strides or ()):
        raise ValueError("a pooling with padding or strides")
    rows, columns = kernel_shape
    height, width = x.shape[2] - rows + 1, x.shape[3] - columns + 1
    box = np.ones((rows, columns), np.uint8)
    maps = [cv2.dilate(plane, box, anchor=(0, 0))[:height, :width] for plane in x[0]]
    return np.stack(maps)[None]


def _multiply_add(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, *, transB: int = 0, **_: Any
) -> np.ndarray:
    return a @ (b.T if transB else b) + c


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a // b if np.issubdtype(np.asarray(a).dtype, np.integer) else a / b


def _space_to_depth(x: np.ndarray, *, blocksize: int) -> np.ndarray:
    n, c, h, w = x.shape
    split = x.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize)
    return split.transpose(0, 3, 5, 1, 2, 4).reshape(n, -1, h // blocksize, w // blocksize)


def _depth_to_space(x: np.ndarray, *, blocksize: int, mode: str = "DCR") -> np.ndarray:
    if mode != "CRD":
        raise ValueError(f"DepthToSpace of mode {mode}")
    n, c, h, w = x.shape
    split = x.reshape(n, c // blocksize**2, blocksize, blocksize, h, w)
    return split.transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, h * blocksize, w * blocksize)


def _unsqueeze(x: np.ndarray, axes: np.ndarray) -> np.ndarray:
    return np.expand_dims(x, tuple(int(axis) for axis in np.atleast_1d(axes)))


def _reshape(x: np.ndarray, shape: np.ndarray, **_: Any) -> np.ndarray:
    return x.reshape([x.shape[i] if side == 0 else int(side) for i, side in enumerate(shape)])


def _mean(x: np.ndarray, *, axes: list[int], keepdims: int = 1) -> np.ndarray:
    return x.mean(axis=tuple(axes), keepdims=bool(keepdims), dtype=np.float32)


OPERATORS: Mapping[str, Operator] = {
    "Add": np.add,
    "AveragePool": _average,
    "Clip": np.clip,
    "Conv": _convolve,
    "DepthToSpace": _depth_to_space,
    "Div": _divide,
    "Gather": lambda x, at, *, axis=0: np.take(x, at, axis=axis or 0),
    "Gemm": _multiply_add,
    "Greater": np.greater,
    "Less": np.less,
    "Abs": np.abs,
    "Log": np.log,
    "Max": np.maximum,
    "MaxPool": _largest,
    "Min": np.minimum,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Pad": _pad,
    "ReduceMean": _mean,
    "Relu": lambda x: np.maximum(x, np.float32(0)),
    "Reshape": _reshape,
    "Shape": lambda x: np.array(x.shape, np.int64),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Sub": np.subtract,
    "Unsqueeze": _unsqueeze,
    "Where": np.where,
}
