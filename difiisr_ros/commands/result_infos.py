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

"""The camera_info of a bag's results, whose size may depend on that of the frames."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from difiisr_ros.io.bags import BagReader, camera_info_topic_for
from difiisr_ros.messages.camera_info import result_camera_info


class ResultInfos:
    """Makes them; told of the frames as they come.

    Args:
        reader: of the bag.
        topics: of the images.
        resolver: A ``SuperResolver``.
        convention: of :func:`difiisr_ros.messages.camera_info.scale_camera_info`.
    """

    def __init__(
        self, reader: BagReader, topics: Iterable[str], resolver: Any, convention: str
    ) -> None:
        self._reader, self._resolver, self._convention = reader, resolver, convention
        self._images: dict[str, str] = {}
        for topic in topics:
            self._images.setdefault(camera_info_topic_for(topic), topic)
        self._sizes: dict[str, tuple[int, ...]] = {}  # by topic of the camera_info

    def frame(self, topic: str, frame: np.ndarray) -> None:
        """A frame of an image topic is upscaled."""
        self._sizes[camera_info_topic_for(topic)] = frame.shape

    def of(self, topic: str, info: Any) -> Any:
        """What ``info`` on ``topic`` is for the results.

        Where an output size or a region makes it depend on the frames' size, the bag is looked at
        for that before the first frame; where it has none that can be used, the size that the
        camera_info says counts.

        Raises:
            FrameError: see :func:`difiisr_ros.messages.camera_info.result_camera_info`.
        """
        options, crop = self._resolver.options, self._resolver.camera.crop
        given = info.height, info.width
        if topic not in self._sizes and (any(options.output_size) or options.region):
            self._sizes[topic] = self._first_size(topic) or given
        height, width = self._sizes.get(topic, given)
        height, width = height - crop.top - crop.bottom, width - crop.left - crop.right
        if min(height, width) < 1:
            height = width = 1  # nothing is left of it, which is said below
        wanted, geometry = self._resolver.view(height, width)
        part = None if options.region is None else wanted
        return result_camera_info(info, geometry, part, self._convention, crop)

    def _first_size(self, topic: str) -> tuple[int, ...] | None:
        ignored: Any = lambda *_what_is_unusable: None  # noqa: E731
        with BagReader(self._reader.path, salvage=True) as apart:
            for record in apart.read_images(self._images[topic], on_error=ignored):
                return record.frame.shape
        return None
