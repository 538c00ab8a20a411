"""What the worker does with the frames it finds: decode, upscale, convert, publish.

Runs in the worker's thread, except for loading and closing, which the transitions do while no
worker runs.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sensor_msgs.msg import CompressedImage, Image

from difiisr_ros.core.radiometry import measure_range
from difiisr_ros.errors import FrameError, Interrupted, OptionError
from difiisr_ros.messages.compressed import compressed_to_gray
from difiisr_ros.messages.image_encoding import is_colour, surplus_bytes
from difiisr_ros.messages.output_encoding import needs_range, to_output
from difiisr_ros.ros.camera_stream import Arrival, CameraStream
from difiisr_ros.ros.compressed import array_to_compressed
from difiisr_ros.ros.conversions import array_to_image, image_to_array, image_to_gray
from difiisr_ros.ros.parameters import NodeParameters
from difiisr_ros.stream.deadline import DeadlineController
from difiisr_ros.stream.parameter_table import engine_options

ValueRange = tuple[float, float]
#: Standard deviation of the white noise, counts and share of the frame's range.
Noise = tuple[float, float]


@dataclass
class Frame:
    """A frame on its way through."""

    camera: CameraStream
    arrival: Arrival
    pixels: np.ndarray
    encoding: str
    waited: float
    """Seconds from its arrival until it was begun."""
    value_range: ValueRange | None = None
    noise: Noise | None = None
    """Told to the engine; None where it is not known: of all but the last of a batch."""
    latency: float | None = None
    """Seconds from its arrival to its publication; None if it has not been published."""


class Upscaler:
    """The engine with its live parameters, and the way of a batch of frames through it."""

    def __init__(self, cameras: Mapping[str, CameraStream], logger: Any) -> None:
        self._cameras = cameras
        self._logger = logger
        self._parameters: NodeParameters | None = None
        self._applied = -1
        self._values: dict[str, Any] = {}
        self.engine: Any = None
        self.deadline = DeadlineController(0.0, 1)

    def load(self, parameters: NodeParameters) -> None:
        """Load the engine that the parameters name and run a frame through it.

        Raises:
            DifiisrError: the parameters cannot be met, with the reason.
        """
        from difiisr_ros.pipeline import SuperResolver

        self.close()
        self._parameters = parameters
        version, values = parameters.version, parameters.values()
        options = engine_options(values)
        engine = SuperResolver.load(**options)
        height, width = values["warmup_height"], values["warmup_width"]
        if 0 < height * width <= values["max_input_pixels"]:
            # What deadline_ms may reduce num_steps to must not be built while frames come.
            most = min(options["num_steps"], engine.max_steps)
            for steps in range(1 if values["deadline_ms"] > 0 else most, most + 1):
                engine.configure(num_steps=steps)
                engine.warmup(height, width)
            engine.configure(num_steps=options["num_steps"])
        self.engine, self._applied, self._values = engine, version, values
        self.deadline = DeadlineController(values["deadline_ms"] / 1e3, options["num_steps"])

    def objection(self, values: Mapping[str, Any]) -> str | None:
        """Why the loaded engine cannot take these live parameters; None if it can."""
        engine = self.engine
        if engine is None:
            return None
        options = engine_options(values, live=True)
        if engine.info.backend != "bicubic" and options["num_steps"] > engine.max_steps:
            return f"num_steps is {options['num_steps']}; this model takes 1 to {engine.max_steps}"
        try:
            engine.check(engine.options.changed(**options))
        except OptionError as error:
            return str(error)
        return None

    def close(self) -> None:
        """Free the engine. Idempotent."""
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.close()

    def work(self, arrivals: Mapping[str, Arrival]) -> None:
        """Upscale and publish one frame of every camera that has one.

        Frames of one shape and dtype are one batch. What is wrong with one camera's frame costs
        the others nothing.
        """
        self._apply_parameters()
        self._take_steps()
        groups: dict[tuple[Any, ...], list[Frame]] = {}
        for name, arrival in arrivals.items():
            frame = self._prepare(self._cameras[name], arrival)
            if frame is not None:
                groups.setdefault((frame.pixels.shape, frame.pixels.dtype), []).append(frame)
        for frames in groups.values():
            self._upscale(frames)
        published = [
            (f.waited, f.latency)
            for group in groups.values()
            for f in group
            if f.latency is not None
        ]
        if published:
            waited, latencies = zip(*published)
            self.deadline.observe(max(waited), max(latencies))

    def _apply_parameters(self) -> None:
        assert self._parameters is not None, "load() comes first"
        version = self._parameters.version
        if version == self._applied:
            return
        self._values = self._parameters.values()
        self._applied = version
        options, deadline = engine_options(self._values, live=True), self.deadline
        wanted = self._values["deadline_ms"] / 1e3, options["num_steps"]
        if wanted != (deadline.deadline, deadline.num_steps):
            self.deadline = DeadlineController(*wanted)
        try:
            self.engine.configure(**options)
        except OptionError as error:
            self._logger.error(f"parameters not applied: {error}")

    def _take_steps(self) -> None:
        steps = self.deadline.steps
        if self.engine.options.num_steps == steps:
            return
        self.engine.configure(num_steps=steps)
        if self.deadline.deadline > 0 and steps != self.deadline.num_steps:
            self._logger.warning(
                f"{steps} of {self.deadline.num_steps} steps, to keep deadline_ms "
                f"{1e3 * self.deadline.deadline:g}",
                throttle_duration_sec=10.0,
            )

    def _prepare(self, camera: CameraStream, arrival: Arrival) -> Frame | None:
        waited = time.monotonic() - arrival.time
        if not self.deadline.admit(waited):
            camera.statistics.skipped()
            return None
        try:
            pixels, encoding = self._decode(camera, arrival.message)
            frame = Frame(camera, arrival, pixels, encoding, waited)
            if needs_range(pixels.dtype, self._values["output_encoding"]):
                frame.value_range = self._smooth_range(camera, arrival, pixels)
            return frame
        except Exception as error:  # noqa: BLE001 - the other cameras' frames go on
            self._failed(camera, error)
            return None

    def _decode(
        self, camera: CameraStream, message: Image | CompressedImage
    ) -> tuple[np.ndarray, str]:
        if isinstance(message, CompressedImage):
            return compressed_to_gray(message, self._values["max_input_pixels"])
        pixels = image_to_gray(message)
        surplus = surplus_bytes(message.height, message.step, message.data)
        if surplus:
            self._notice(
                camera,
                "surplus_data",
                f"data has {surplus} bytes more than step x height; they are ignored",
            )
        if message.encoding[:3] in ("rgb", "bgr") and is_colour(image_to_array(message)):
            self._notice(
                camera,
                "colour_input",
                f"the {message.encoding} image has colour; its luma is upscaled, which is not a "
                "temperature (publish the camera's mono16 or 16UC1 image for that)",
            )
        return pixels, message.encoding

    def _smooth_range(
        self, camera: CameraStream, arrival: Arrival, pixels: np.ndarray
    ) -> ValueRange:
        """The range of a picture that is shown, where a jump of the range would be seen."""
        values = self._values
        measured = measure_range(
            pixels, values["range_mode"], values["range_min"], values["range_max"]
        )
        if values["range_mode"] == "fixed":
            return measured
        camera.smoother.time_constant_s = values["range_time_constant"]
        return camera.smoother.update(measured, arrival.time)

    def _upscale(self, frames: list[Frame]) -> None:
        begin = time.monotonic()
        try:
            results = self._run(frames)
        except Exception as error:  # noqa: BLE001 - a camera's fault, or a bug, ends no stream
            if len(frames) == 1:
                self._failed(frames[0].camera, error)
            else:
                for frame in frames:
                    self._upscale([frame])
            return
        seconds = time.monotonic() - begin
        for frame, result in zip(frames, results):
            try:
                self._publish(frame, result, seconds)
            except Exception as error:  # noqa: BLE001
                self._failed(frame.camera, error)

    def _run(self, frames: list[Frame]) -> list[np.ndarray]:
        results = self._upscaled(frames)
        frames[-1].noise = self.engine.noise_told
        return results

    def _upscaled(self, frames: list[Frame]) -> list[np.ndarray]:
        if len(frames) == 1:
            frame = frames[0]
            return [self.engine.upscale(frame.pixels, value_range=frame.value_range)]
        ranges = [frame.value_range for frame in frames]
        return self.engine.upscale_batch(
            [frame.pixels for frame in frames],
            value_ranges=None if None in ranges else ranges,
        )

    def _publish(self, frame: Frame, result: np.ndarray, seconds: float) -> None:
        camera, values = frame.camera, self._values
        array, encoding = to_output(
            result, frame.encoding, values["output_encoding"], frame.value_range
        )
        header = frame.arrival.message.header
        if values["output_transport"] == "compressed":
            message = array_to_compressed(array, encoding, header)
        else:
            message = array_to_image(array, encoding, header)
        camera.publish(message, self.engine.info.scale, values["camera_info_convention"])
        frame.latency = latency = time.monotonic() - frame.arrival.time
        late = 0 < self.deadline.deadline < latency
        camera.statistics.published(latency, seconds, late)
        if not camera.greeted:
            camera.greeted = True
            (height, width), (out_height, out_width) = frame.pixels.shape, array.shape[:2]
            info = self.engine.info
            self._logger.info(
                f"first frame of {camera.image_topic}: {frame.encoding} {width}x{height}; "
                f"publishing {encoding} {out_width}x{out_height} on "
                f"{camera.output_topic}; backend {info.backend} on {info.device} "
                f"({info.precision}), {1e3 * seconds:.1f} ms; camera: {info.camera}"
                f"{_noise_in_words(frame.noise)}"
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
        camera.statistics.noticed(cause)
        if camera.complaints.allow(cause) is not None:
            self._logger.warning(f"frame of {camera.image_topic}: {message}")


def _noise_in_words(noise: Noise | None) -> str:
    if noise is None:
        return ""
    counts, share = noise
    return f"; noise of this frame {counts:.3g} counts ({100 * share:.2g} % of its range)"
