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

"""One channel of a picture with several."""

from __future__ import annotations

import numpy as np

from difiisr_ros.io.once import warn_once
from difiisr_ros.messages.image_encoding import luma

COLOUR = "colour (luma was taken)"


def one_channel(rgb: np.ndarray, name: str, unused: list[str]) -> np.ndarray:
    """The channel of a gray picture that is stored in three; BT.601 luma of one in colour.

    Args:
        rgb: H x W x 3; BGR is ``rgb[..., ::-1]``.
        name: What to call it in the warning that luma is not a temperature.
        unused: Gets the colour, where there is one.
    """
    red = rgb[..., 0]
    if np.array_equal(red, rgb[..., 1]) and np.array_equal(red, rgb[..., 2]):
        return np.ascontiguousarray(red)
    if COLOUR not in unused:
        unused.append(COLOUR)
    warn_once(
        "colour",
        f"{name}: is in colour and is reduced to BT.601 luma; that is not a temperature "
        "(said once)",
    )
    if rgb.dtype in (np.uint8, np.uint16):
        # the same to the last count as that of a colour message
        rgb = np.ascontiguousarray(rgb)
        return luma(rgb, "rgb8" if rgb.dtype == np.uint8 else "rgb16")
    return (rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114])).astype(np.float32)
