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

"""What the worker does with the frames it finds: decode, upscale, convert, publish.

Runs in the worker's thread, except for loading and closing, which the transitions do while no
worker runs. An :class:`Upscaler` is made by *configure* and ends with *cleanup*.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from difiisr_ros.core.condition import FrameMeasurement
from difiisr_ros.core.missing import missing_mask
from difiisr_ros.core.oddities import FrameCheck
from difiisr_ros.core.output_geometry import OutputGeometry
from difiisr_ros.core.radiometry import ValueRange
from difiisr_ros.core.region import Region
from difiisr_ros.errors import DifiisrError, FrameError, Interrupted, OptionError
from difiisr_ros.messages.any_image import message_to_gray
from difiisr_ros.messages.read import ImageFormat
from difiisr_ros.messages.write import OutputFormat, output_format, to_output
from difiisr_ros.ros.camera_stream import Arrival, CameraStream, View
from difiisr_ros.ros.compressed import array_to_compressed
from difiisr_ros.ros.conversions import array_to_image
from difiisr_ros.ros.parameters import NodeParameters
from difiisr_ros.stream.deadline import DeadlineController
from difiisr_ros.stream.parameter_table import HOLD, PASS, camera_profile, engine_options
from difiisr_ros.stream.region_choice import in_camera_pixels, region_in
from difiisr_ros.stream.settings import StreamSettings
from difiisr_ros.stream_memory import MemoryOptions, StreamMemory

if TYPE_CHECKING:
    from difiisr_ros.pipeline import SuperResolver


@dataclass
class Frame:
    """A frame on its way through."""

    camera: CameraStream
    arrival: Arrival
    pixels: np.ndarray
    format: ImageFormat
    """What its message holds."""
    output: OutputFormat
    """How its result is published."""
    waited: float
    """Seconds from its arrival until it was begun."""
    shutter: bool
    """Whether it shows the camera's closed shutter."""
    region: Region | None
    """What of it is upscaled, in the pixels that the crop leaves; None: all."""
    memory: StreamMemory | None
    """Of the frames before it; None: it is looked at by itself."""
    latency: float | None = None
    """Seconds from its arrival to its publication; None if it has not been published."""


class Upscaler:
    """The engine with its live parameters, and the way of a batch of frames through it.

    Args:
        cameras: by name.
        logger: of the node.
        parameters: those that the engine was loaded with.
        engine: closed with this.
    """

    def __init__(
        self,
        cameras: Mapping[str, CameraStream],
        logger: Any,
        parameters: NodeParameters,
        engine: SuperResolver,
    ) -> None:
        self._cameras = cameras
        self._logger = logger
        self._parameters = parameters
        self._settings = settings = parameters.settings
        self._steps = settings.num_steps
        self.engine = engine
        self.deadline = DeadlineController(settings.deadline, settings.num_steps)
        self._checks = {name: FrameCheck(engine.camera) for name in cameras}
        self._not_used: tuple[str, ...] = ()
        self._ask_region(settings.region)
        self._use_stream(settings.stream)

    @classmethod
    def load(
        cls, cameras: Mapping[str, CameraStream], logger: Any, parameters: NodeParameters
    ) -> Upscaler:
        """Load the engine that the parameters name and run a frame through it.

        Raises:
            DifiisrError: the parameters cannot be met, with the reason.
        """
        from difiisr_ros.pipeline import SuperResolver

        values = parameters.values()
        options = {**engine_options(values), "camera": camera_profile(values)}
        engine = SuperResolver.load(**options)
        unknown = _unknown_counts(parameters.settings, engine)
        if unknown:
            engine.close()
            raise OptionError(unknown)
        height, width = values["warmup_height"], values["warmup_width"]
        if 0 < height * width <= values["max_input_pixels"]:
            # What deadline_ms may reduce num_steps to must not be built while frames come.
            most = min(options["num_steps"], engine.max_steps)
            region = region_in(parameters.settings.region, height, width, engine.camera.crop)
            for steps in range(1 if values["deadline_ms"] > 0 else most, most + 1):
                engine.configure(num_steps=steps)
                engine.warmup(height, width, region)
        upscaler = cls(cameras, logger, parameters, engine)
        # Also what was set while it was loaded.
        upscaler._apply(parameters.settings)
        return upscaler

    def objection(self, values: Mapping[str, Any]) -> str | None:
        """Why the engine cannot take these live parameters; None if it can."""
        engine, settings = self.engine, StreamSettings.of(values)
        options = settings.engine
        unknown = _unknown_counts(settings, engine)
        if unknown:
            return unknown
        if engine.info.backend != "bicubic" and options["num_steps"] > engine.max_steps:
            return f"num_steps is {options['num_steps']}; this model takes 1 to {engine.max_steps}"
        try:
            engine.check(engine.options.changed(**options))
        except OptionError as error:
            return str(error)
        return None

    def keep_patterns(self) -> None:
        """Write what was learnt of the cameras' fixed patterns, where that was asked for."""
        if not self._settings.pattern_file:
            return
        path = Path(self._settings.pattern_file).expanduser()
        for name, camera in self._cameras.items():
            learnt = camera.memory.pattern
            if learnt is None:
                continue
            file = path.with_name(f"{path.stem}_{name}{path.suffix}") if name else path
            now = datetime.now(timezone.utc).isoformat(timespec="seconds")
            pattern = replace(learnt, date=now, source=camera.image_topic)
            try:
                pattern.write(file)
            except DifiisrError as error:  # no reason to stay
                self._logger.error(f"pattern of {camera.image_topic} not kept: {error}")
            else:
                self._logger.info(f"{pattern.describe()} of {camera.image_topic} is in {file}")

    def close(self) -> None:
        """Free the engine. Idempotent."""
        self.engine.close()

    def work(self, arrivals: Mapping[str, Arrival]) -> None:
        """Upscale and publish one frame of every camera that has one.

        Frames of one shape, dtype and region are one batch. What is wrong with one camera's frame
        costs the others nothing.
        """
        if self._parameters.settings is not self._settings:
            self._apply(self._parameters.settings)
        if self.deadline.steps != self._steps:
            self._take_steps(self.deadline.steps)
        groups: dict[tuple[Any, ...], list[Frame]] = {}
        for name, arrival in arrivals.items():
            frame = self._prepare(self._cameras[name], arrival)
            if frame is not None:
                alike = frame.pixels.shape, frame.pixels.dtype, frame.region
                groups.setdefault(alike, []).append(frame)
        for frames in groups.values():
            self._upscale(frames)
        if self.deadline.deadline > 0:
            self._observe([f for group in groups.values() for f in group])

    def _apply(self, settings: StreamSettings) -> None:
        before, self._settings = self._settings, settings
        if settings.region != before.region:
            self._ask_region(settings.region)
        self._use_stream(settings.stream)
        if settings.not_used != self._not_used:
            self._not_used = settings.not_used
            for words in settings.not_used:
                self._logger.warning(f"not used: {words}")
        wanted = settings.deadline, settings.num_steps
        if wanted != (self.deadline.deadline, self.deadline.num_steps):
            self.deadline = DeadlineController(*wanted)
        try:
            self.engine.configure(**settings.engine)
            self._steps = settings.num_steps
        except OptionError as error:
            self._logger.error(f"parameters not applied: {error}")

    def _use_stream(self, options: MemoryOptions) -> None:
        for camera in self._cameras.values():
            camera.memory.configure(options)

    def _ask_region(self, region: Region | None) -> None:
        for camera in self._cameras.values():
            camera.region.choice.ask(region)

    def _take_steps(self, steps: int) -> None:
        self.engine.configure(num_steps=steps)
        self._steps = steps
        if self.deadline.deadline > 0 and steps != self.deadline.num_steps:
            self._logger.warning(
                f"{steps} of {self.deadline.num_steps} steps, to keep deadline_ms "
                f"{1e3 * self.deadline.deadline:g}",
                throttle_duration_sec=10.0,
            )

    def _observe(self, frames: list[Frame]) -> None:
        """Tell the deadline's controller how long the published ones took."""
        published = [(f.waited, f.latency) for f in frames if f.latency is not None]
        if published:
            waited, latencies = zip(*published)
            self.deadline.observe(max(waited), max(latencies))

    def _prepare(self, camera: CameraStream, arrival: Arrival) -> Frame | None:
        waited = time.monotonic() - arrival.time
        if self.deadline.skipping and not self.deadline.admit(waited):
            camera.statistics.skipped()
            return None
        try:
            pixels, found = self._decode(camera, arrival.message)
            self._tell_oddities(camera, pixels, found)
            output = output_format(found.encoding, self._settings.output_encoding)
            shutter = camera.shutter.sees(pixels, arrival.time)
            memory = self._memory(camera, arrival, pixels, shutter)
            if shutter and self._is_done_with(camera, arrival):
                return None
            region = self._region(camera, pixels)
            return Frame(camera, arrival, pixels, found, output, waited, shutter, region, memory)
        except Exception as error:  # noqa: BLE001 - the other cameras' frames go on
            self._failed(camera, error)
            return None

    def _memory(
        self, camera: CameraStream, arrival: Arrival, pixels: np.ndarray, shutter: bool
    ) -> StreamMemory | None:
        """What the frame is added to; a closed shutter shows no scene, and changes the camera."""
        memory = camera.memory_for(arrival.message.header.stamp)
        if shutter and not memory.is_off:
            memory.shutter(pixels, self.engine.camera)
        return None if shutter or memory.is_off else memory

    def _is_done_with(self, camera: CameraStream, arrival: Arrival) -> bool:
        """Count a frame of a closed shutter, and hold or drop it where that was chosen."""
        camera.statistics.shutter()
        settings = self._settings
        if settings.shutter_frames == HOLD and camera.last is not None:
            message, view = camera.last
            message.header = arrival.message.header
            camera.publish(message, view)
            camera.statistics.held()
        return settings.shutter_frames != PASS

    def _region(self, camera: CameraStream, pixels: np.ndarray) -> Region | None:
        crop = self.engine.camera.crop
        crop.of(pixels)  # raises where nothing is left

        def notice(cause: str, words: str) -> None:
            self._notice(camera, cause, words)

        height, width = pixels.shape
        return camera.region.choice.of(height, width, crop, notice)

    def _decode(
        self, camera: CameraStream, message: Image | CompressedImage
    ) -> tuple[np.ndarray, ImageFormat]:
        byte_order = self.engine.camera.byte_order
        pixels, found = message_to_gray(message, self._settings.max_input_pixels, byte_order)
        for notice in found.notices:
            self._notice(camera, notice.cause, notice.words)
        return pixels, found

    def _tell_oddities(self, camera: CameraStream, pixels: np.ndarray, found: ImageFormat) -> None:
        for oddity in self._checks[camera.name].look(pixels, found.order):
            camera.statistics.odd(oddity.cause, oddity.words)
            self._logger.warning(f"frames of {camera.image_topic}: {oddity.words}")

    def _upscale(self, frames: list[Frame]) -> None:
        begin = time.monotonic()
        try:
            results = self._run(frames)
        except Exception as error:  # noqa: BLE001 - a camera's fault, or a bug, ends no stream
            if len(frames) == 1:
                self._failed(frames[0].camera, error)
            else:
                for frame in frames:  # which is in its stream's memory already
                    frame.memory = None
                    self._upscale([frame])
            return
        seconds = time.monotonic() - begin
        for frame, result, measured in zip(frames, results, self.engine.measurements):
            try:
                self._publish(frame, result, seconds, measured)
            except Exception as error:  # noqa: BLE001
                self._failed(frame.camera, error)

    def _run(self, frames: list[Frame]) -> list[np.ndarray]:
        region = frames[0].region
        if len(frames) == 1:
            return [self.engine.upscale(frames[0].pixels, region=region, memory=frames[0].memory)]
        memories = [frame.memory for frame in frames]
        pixels = [frame.pixels for frame in frames]
        return self.engine.upscale_batch(pixels, region=region, memories=memories)

    def _publish(
        self, frame: Frame, result: np.ndarray, seconds: float, measured: FrameMeasurement
    ) -> None:
        camera, settings, output = frame.camera, self._settings, frame.output
        crop = self.engine.camera.crop
        height, width = crop.of(frame.pixels).shape
        wanted, geometry = self.engine.view(height, width, frame.region)
        shown = self._shown_range(frame, measured.shown) if output.needs_range else None
        if settings.temperatures is None:
            array = to_output(result, output, shown)
        else:
            array = self._temperatures(frame, result, wanted, geometry)
        header = frame.arrival.message.header
        if settings.compressed:
            message = array_to_compressed(array, output.name, header)
        else:
            message = array_to_image(array, output.name, header)
        size = frame.pixels.shape[1], frame.pixels.shape[0]
        view = View(geometry, frame.region, settings.camera_info_convention, crop, size)
        camera.publish(message, view)
        camera.last = (message, view) if settings.shutter_frames == HOLD else None
        frame.latency = latency = time.monotonic() - frame.arrival.time
        late = 0 < self.deadline.deadline < latency
        region = frame.region and in_camera_pixels(frame.region, crop)
        camera.statistics.published(latency, seconds, late, measured, geometry, region)
        if not camera.greeted:
            self._greet(frame, array, seconds, measured, region)

    def _temperatures(
        self, frame: Frame, result: np.ndarray, wanted: Region, geometry: OutputGeometry
    ) -> np.ndarray:
        camera, settings = self.engine.camera, self._settings
        scale = settings.temperature_scale or camera.temperatures
        assert scale is not None and settings.temperatures is not None, "refused when set"
        missing = missing_mask(wanted.of(camera.crop.of(frame.pixels)), camera.missing)
        placed = None if missing is None else geometry.place_mask(missing)
        return scale.convert(result, settings.temperatures, placed)

    def _shown_range(self, frame: Frame, measured: ValueRange) -> ValueRange:
        """What becomes black and white, where a jump of the range would be seen.

        The engine never sees it: what is measured does not depend on how it is shown.
        """
        if self._settings.fixed_range:
            return measured
        smoother = frame.camera.smoother
        if frame.shutter and smoother.current is not None:
            return smoother.current  # the picture comes back as it went
        smoother.time_constant_s = self._settings.range_time_constant
        return smoother.update(measured, frame.arrival.time)

    def _greet(
        self,
        frame: Frame,
        array: np.ndarray,
        seconds: float,
        measured: FrameMeasurement,
        region: Region | None,
    ) -> None:
        camera, info = frame.camera, self.engine.info
        camera.greeted = True
        (height, width), (out_height, out_width) = frame.pixels.shape, array.shape[:2]
        part = f", of which {region}" if region else ""
        noise = ""
        if not measured.camera.is_reduced:
            noise = (
                f"; noise of this frame {measured.noise:.3g} counts "
                f"({100 * measured.noise_share:.2g} % of its range)"
            )
        self._logger.info(
            f"first frame of {camera.image_topic}: {frame.format.encoding.name} "
            f"{width}x{height}{part}; publishing {frame.output.name} {out_width}x{out_height} on "
            f"{camera.output_topic}; backend {info.backend} on {info.device} "
            f"({info.precision}), {1e3 * seconds:.1f} ms; camera: "
            f"{measured.camera.describe()}{noise}"
        )

    def _failed(self, camera: CameraStream, error: Exception) -> None:
        """A frame is lost: by its own fault, or by a bug of ours, which is logged in full."""
        if isinstance(error, Interrupted):  # discarded, as what waits is
            return
        ours = not isinstance(error, FrameError)
        cause = "internal_error" if ours else getattr(error, "cause", "unusable_frame")
        message = f"{type(error).__name__}: {error}" if ours else str(error)
        camera.statistics.rejected(cause, message)
        held = camera.complaints.allow(cause)
        if held is None:
            return
        why = "\n" + "".join(traceback.format_exception(error)) if ours else message
        more = f" ({held} more like it since the last report)" if held else ""
        self._logger.error(f"frame of {camera.image_topic} dropped: {why}{more}")

    def _notice(self, camera: CameraStream, cause: str, message: str) -> None:
        camera.notice(cause, f"frame of {camera.image_topic}: {message}")


def _unknown_counts(settings: StreamSettings, engine: SuperResolver) -> str | None:
    """Why temperatures cannot be published; None if they can, or are not asked for."""
    known = settings.temperature_scale is not None or engine.camera.temperatures is not None
    if settings.temperatures is None or known:
        return None
    return (
        f"output_unit is {settings.temperatures}, but nothing says what a count is: set "
        "kelvin_per_count, or write it into the camera's profile (camera)"
    )
