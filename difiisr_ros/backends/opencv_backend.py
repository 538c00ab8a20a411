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

"""OpenCV backend: the embedded models' graphs on what apt alone brings to every ROS machine.

For where there is neither PyTorch, which is faster, nor ONNX Runtime, which is for ``lite``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from difiisr_ros.backends.graph_inputs import camera_rows, graph_of
from difiisr_ros.backends.graph_store import in_words
from difiisr_ros.backends.shipped_graphs import SHIPPED, is_shipped, shipped_graph
from difiisr_ros.core.camera_profile import CameraProfile
from difiisr_ros.core.condition import NOTHING_KNOWN, Conditions
from difiisr_ros.core.guidance import NO_GUIDANCE, Guidance
from difiisr_ros.core.scale import SCALE
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.export.facts import GraphFacts
from difiisr_ros.export.graph_file import read_graph_file
from difiisr_ros.models.model_files import model_path
from difiisr_ros.options import UpscaleOptions

if TYPE_CHECKING:
    from difiisr_ros.backends.opencv_graph import OpenCVGraph

_NEEDED = "which needs PyTorch and onnx (pip install torch onnx)"


class OpenCVBackend:
    """The shipped graph of an embedded model. See :class:`difiisr_ros.backends.base.Backend`.

    Args:
        model: ``lite`` or ``nano``.
        num_threads: CPU threads, of all of OpenCV in this process; 0 leaves the choice to it.
    """

    name = "opencv"
    device = "cpu"
    precision = "fp32"
    guidance_terms: tuple[str, ...] = ()
    guidance_gradients: tuple[str, ...] = ("closed_form",)
    fixed_options: Mapping[str, int] = {}

    def __init__(self, model: str, num_threads: int = 0) -> None:
        self.model = model
        self.max_steps = 0
        self._num_threads = num_threads
        self._graphs: dict[int, OpenCVGraph] = {}  # by their scale; none before load

    def load(self) -> None:
        """Read the graph. Raises BackendUnavailable or ModelError."""
        model_path(self.model)  # whether there is such a model at all
        try:
            import cv2
        except ImportError as error:
            raise BackendUnavailable(f"OpenCV cannot be imported: {error}") from error
        if self._num_threads:
            cv2.setNumThreads(self._num_threads)
        self.max_steps = self._read(SCALE).max_steps

    def _read(self, scale: int) -> GraphFacts:
        """Make the graph of one scale."""
        from difiisr_ros.backends.opencv_graph import OpenCVGraph  # imports OpenCV

        found = shipped_graph(self.model, replace(SHIPPED, scale=scale))
        if found is None:
            raise BackendUnavailable(
                f"backend opencv runs the graphs of the embedded models, and model {self.model} "
                f"has none; its own would have to be exported, {_NEEDED}"
            )
        data, facts = found
        graph = OpenCVGraph(read_graph_file(data, self.model), f"model {self.model}")
        self._graphs[scale] = graph
        return facts

    def _graph(self, scale: int) -> OpenCVGraph:
        if scale not in self._graphs:
            self._read(scale)
        return self._graphs[scale]

    def check_options(self, options: UpscaleOptions, camera: CameraProfile) -> None:
        """Raise BackendUnavailable where the shipped graph is not the one that they need."""
        steps = min(options.num_steps, self.max_steps)
        self._check(
            steps,
            options.consistency,
            options.guidance,
            exact=camera.is_reduced,
            scale=options.scale,
        )

    def check_camera(self, camera: CameraProfile) -> None:
        """Every camera that :meth:`check_options` lets through."""

    def warmup(self, height: int, width: int, num_steps: int = 1) -> None:
        """Make the network of this size, which the first frame would wait for."""
        frame = np.zeros((1, 1, height, width), np.float32)
        self.run(frame, np.zeros((0, 0, 0), np.float32), num_steps, SHIPPED.consistency)

    def noise_count(self, num_steps: int) -> int:
        """None: the graph is of one step."""
        return 0

    def run(
        self,
        lr: np.ndarray,
        noise: np.ndarray,
        num_steps: int,
        consistency: int,
        guidance: Guidance = NO_GUIDANCE,
        camera: Conditions = NOTHING_KNOWN,
        scale: int = SCALE,
    ) -> np.ndarray:
        """See :class:`difiisr_ros.backends.base.Backend`.

        Raises:
            BackendUnavailable: options that the shipped graph does not hold, or OpenCV fails.
        """
        if not self._graphs:
            raise BackendUnavailable("the opencv backend is closed or was not loaded")
        self._check(num_steps, consistency, guidance, exact=camera.exact, scale=scale)
        return self._graph(scale).run(lr, camera_rows(camera, len(lr)))

    def _check(
        self, num_steps: int, consistency: int, guidance: Guidance, *, exact: bool, scale: int
    ) -> None:
        how = num_steps, consistency, self.precision, guidance
        asked = graph_of(*how, exact=exact, scale=scale)
        if not is_shipped(asked):
            raise BackendUnavailable(
                f"the graph of model {self.model} for {in_words(asked)} has to be exported, "
                f"{_NEEDED}"
            )

    def close(self) -> None:
        """Free the graph."""
        self._graphs.clear()
