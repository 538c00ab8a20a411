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

"""Detection on thermal frames: numpy frame in, boxes out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from difiisr_ros.core.device import choose_device, has_native_bf16
from difiisr_ros.core.radiometry import ValueRange, check_frame, measure_range, normalize
from difiisr_ros.errors import OptionError
from difiisr_ros.models.detector.boxes import Detections
from difiisr_ros.models.detector.checkpoint import PRIOR, load_detector
from difiisr_ros.models.detector.decode import decode
from difiisr_ros.models.detector.model import ThermalDetector

PRECISIONS = ("auto", "fp32", "bf16")


class Detector:
    """A detector ready to run.

    Args:
        network: in evaluation mode.
        facts: recipe and figures of its file.
        device: ``auto`` (CUDA where there is one), ``cpu``, ``cuda``.
        precision: ``fp32``, ``bf16``, or ``auto``: bf16 where the device computes in it.
    """

    def __init__(
        self,
        network: ThermalDetector,
        facts: dict[str, Any] | None = None,
        device: str = "auto",
        precision: str = "fp32",
    ) -> None:
        if precision not in PRECISIONS:
            raise OptionError(f"precision is one of {', '.join(PRECISIONS)}, got {precision!r}")
        self.device = choose_device(device)
        if precision == "auto":
            fast = self.device.type == "cuda" or has_native_bf16()
            precision = "bf16" if fast else "fp32"
        self.precision = precision
        dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        self.network = network.to(self.device, dtype).to(memory_format=torch.channels_last)
        self.network.requires_grad_(False)
        self.classes = network.config.classes
        self.facts = facts or {}

    @classmethod
    def load(cls, detector: str = PRIOR, device: str = "auto", precision: str = "fp32") -> Detector:
        """Load ``detector``, ``detector_judge`` or a file. Raises ModelError, OptionError."""
        network, facts = load_detector(detector)
        return cls(network, facts, device, precision)

    def detect(
        self, frame: np.ndarray, value_range: ValueRange | None = None, min_score: float = 0.01
    ) -> Detections:
        """Find objects in one frame.

        Args:
            frame: H x W, uint8, uint16 or float32, any size.
            value_range: counts that become 0 and 1; None for the frame's 1st and 99th percentile,
                which is what the detector was trained with.
            min_score: weaker objects are left out; for use rather than for scoring take 0.3.

        Raises:
            FrameError: not such a frame.
        """
        frame = check_frame(frame)
        value_range = value_range or measure_range(frame)
        x = torch.from_numpy(normalize(frame, value_range))[None, None].to(self.device)
        with torch.inference_mode():
            return decode(self.network(x), frame.shape[0], frame.shape[1], min_score)[0]

    def detect_all(
        self, frames: Iterable[tuple[int, np.ndarray]], min_score: float = 0.01
    ) -> dict[int, Detections]:
        """Detections by image id, of (image id, frame) pairs: what the scoring takes."""
        return {image_id: self.detect(frame, None, min_score) for image_id, frame in frames}
