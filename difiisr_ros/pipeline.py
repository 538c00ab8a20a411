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

"""SuperResolver: a numpy frame in, a larger one out.

The one way to upscale: the node, the commands, the evaluation and the benchmark all call it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.allocator import HolesGivenBack
from difiisr_ros.backends.base import Backend
from difiisr_ros.backends.factory import create, create_instead, plain_choices
from difiisr_ros.backends.libraries import missed
from difiisr_ros.batch_frame import BatchFrame
from difiisr_ros.core.camera_profile import AUTO, CameraProfile, resolve_camera
from difiisr_ros.core.condition import Conditions, FrameMeasurement
from difiisr_ros.core.output_geometry import OutputGeometry, plan
from difiisr_ros.core.plain_numbers import plain_int
from difiisr_ros.core.radiometry import ValueRange
from difiisr_ros.core.region import Region, check_region
from difiisr_ros.core.scale import SCALES
from difiisr_ros.errors import BackendUnavailable, DeviceOutOfMemory, FrameError, OptionError
from difiisr_ros.frame_arguments import check_batch, check_sides
from difiisr_ros.frame_runner import FrameRunner, Work
from difiisr_ros.memory_limit import MemoryLimit
from difiisr_ros.models.model_files import EMBEDDED, MOST_STEPS
from difiisr_ros.options import LIMITS, UpscaleOptions
from difiisr_ros.stream_memory import StreamMemory

AnyRegion = Region | tuple[int, int, int, int] | None
"""A region, its first column and row, width and height, or None."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SuperResolverInfo:
    """What is really in use, after every ``auto`` and every fallback."""

    model: str
    backend: str
    device: str
    precision: str
    num_steps: int
    scale: int
    """As asked for; with an output size see :meth:`SuperResolver.geometry`."""
    guidance: str
    """Terms and gradient in use, as ``visual 0.5, perceptual 0.2 (closed_form)``, or ``none``."""
    camera: str
    """What is known of the camera, as :class:`CameraProfile` describes it."""
    fallback: str | None
    """Why another backend than the one asked for runs, or None."""
    memory: str | None
    """What is done because the device's memory does not suffice, and why, or None."""
    library: str | None
    """What computes, with its version, where the backend's name leaves that open, or None."""
    missed: str | None
    """What is not installed here that would do more, or faster, and how to install it, or None."""

    def as_dict(self) -> dict[str, Any]:
        """The fields, for JSON and diagnostics."""
        return asdict(self)


class SuperResolver:
    """Upscales thermal frames. Make one with :meth:`load`.

    Thread-safe: frames are upscaled one call at a time, options may change at any moment.

    In a ``with`` statement it is closed at the end, else by :meth:`close`. What is closed still
    tells what it was (:attr:`info`, :attr:`options`, :meth:`geometry`, :attr:`measurements`), but
    frames, :meth:`remember`, :meth:`warmup` and :meth:`configure` are refused with
    BackendUnavailable, whatever the backend.
    """

    def __init__(
        self,
        backend: Backend,
        options: UpscaleOptions,
        fallback: str | None = None,
        instead: Callable[[Backend, BackendUnavailable], tuple[Backend, str]] | None = None,
        camera: str | Path | CameraProfile = AUTO,
    ) -> None:
        self._backend = backend
        self.camera = resolve_camera(camera)
        #: What was measured of the frames of the newest call, in their order; empty before it.
        self.measurements: tuple[FrameMeasurement, ...] = ()
        self._fallback = fallback
        self._instead = instead  # makes another backend when this one turns out not to run
        self._memory = MemoryLimit()
        self._holes = HolesGivenBack()
        self._lock = threading.Lock()
        self._closed = False
        self._runner = FrameRunner()
        self._options = self.check(options)
        self._warn_of_steps(self._options)
        backend.check_camera(self.camera)

    @classmethod
    def load(
        cls,
        model: str | Path = "lite",
        backend: str = "auto",
        device: str = "auto",
        precision: str = "auto",
        num_steps: int = 1,
        seed: int = 0,
        camera: str | Path | CameraProfile = AUTO,
        *,
        autoencoder: str | Path = "",
        strict_backend: bool = False,
        num_threads: int = 0,
        engine_file: str | Path = "",
        build_only: bool = False,
        provider: str = "auto",
        **options: Any,
    ) -> SuperResolver:
        """Load a model on a backend.

        Args:
            model: ``lite`` or the faster ``nano`` (both embedded), or the path of a model file.
            backend: one of :data:`difiisr_ros.backends.BACKENDS`.
            device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; with a plug-in ``provider`` also
                ``gpu``, ``gpu:N``, ``npu`` or ``npu:N``.
            precision: ``auto``, ``fp32``, ``bf16``, ``fp16`` or ``int8`` (CPUs with VNNI).
            num_steps, seed: see :class:`UpscaleOptions`.
            camera: what is known of the camera: a profile or its file, ``auto`` (nothing; the
                noise is estimated from each frame) or ``reduced`` (frames that were reduced by
                antialiased bicubic).
            autoencoder: checkpoint of the autoencoder, where ``model`` is the checkpoint of a
                published DifIISR, ResShift or SinSR denoiser.
            strict_backend: raise instead of falling back to another backend.
            num_threads: CPU threads; 0 leaves the choice to the backend.
            engine_file: a TensorRT engine that ``difiisr export`` has written, to be run by backend
                ``tensorrt`` or ``tensorrt_rtx``; model and options must be its own.
            build_only: frames only say what is to be built for them; with TensorRT-RTX that needs
                no GPU, and results are empty without one.
            provider: ONNX Runtime's execution provider, for backend ``onnx`` (or ``auto``, which is
                that then): one of :data:`difiisr_ros.backends.onnx_providers.PROVIDERS`.
            **options: any other field of :class:`UpscaleOptions`; ``**preset("balanced")`` of
                :mod:`difiisr_ros.quality` gives steps and guidance in one word.

        Raises:
            OptionError, DataError, ModelError, BackendUnavailable: see :mod:`difiisr_ros.errors`.
        """
        profile = resolve_camera(camera)  # before anything slow
        chosen = UpscaleOptions().changed(seed=seed, **options)
        how = plain_choices(
            model=model,
            autoencoder=autoencoder,
            device=device,
            precision=precision,
            num_threads=num_threads,
            engine_file=engine_file,
            build_only=build_only,
            provider=provider,
        )
        loaded, fallback = create(backend, strict=strict_backend, **how)
        try:
            _check_steps(loaded, num_steps)
            chosen = chosen.changed(num_steps=num_steps)
        except OptionError:
            loaded.close()
            raise
        if lack := missed(loaded.name):
            level = logging.WARNING if loaded.name == "opencv" else logging.INFO
            _logger.log(level, "backend %s runs: %s", loaded.name, lack)

        def instead(failed: Backend, error: BackendUnavailable) -> tuple[Backend, str]:
            plugin = getattr(failed, "plugin", "")
            return create_instead(failed.name, error, plugin=plugin, **how)

        resolver = cls(loaded, chosen, fallback, None if strict_backend else instead, profile)
        try:
            resolver._check_to_be_had()
        except BackendUnavailable:
            resolver.close()
            raise
        return resolver

    @property
    def info(self) -> SuperResolverInfo:
        """What really runs."""
        b = self._backend
        steps = min(self._options.num_steps, b.max_steps)
        guidance = self._options.guidance.describe(b.guidance_terms)
        return SuperResolverInfo(
            b.model,
            b.name,
            b.device,
            b.precision,
            steps,
            self._options.scale,
            guidance,
            self.camera.describe(),
            self._fallback,
            self._memory.reason,
            getattr(b, "library", None),  # of those that have several
            missed(b.name),
        )

    @property
    def options(self) -> UpscaleOptions:
        """The options in use; change them with :meth:`configure`."""
        return self._options

    @property
    def max_steps(self) -> int:
        """Length of the model's schedule: the largest num_steps."""
        return self._backend.max_steps

    def configure(self, **changes: Any) -> None:
        """Change options from the next frame on; all of them or, with an OptionError, none.

        Raises:
            OptionError: an option that cannot be.
            BackendUnavailable: it is closed.
        """
        self._check_open()
        if "num_steps" in changes:  # the model's limit is to be said, not the option's
            _check_steps(self._backend, changes["num_steps"])
        options = self.check(self._options.changed(**changes))
        try:
            self._backend.check_options(options, self.camera)
        except BackendUnavailable as error:  # what runs goes on
            raise OptionError(str(error)) from error
        before, self._options = self._options, options
        if options.num_steps != before.num_steps:
            self._warn_of_steps(options)
        if self._options.tile_size != before.tile_size:
            self._memory.forget()

    def _warn_of_steps(self, options: UpscaleOptions) -> None:
        steps, model = options.num_steps, self._backend.model
        if model in EMBEDDED and steps > MOST_STEPS:
            words = "num_steps is %d: %s has learnt up to %d, and makes dots along edges of more"
            _logger.warning(words, steps, model, MOST_STEPS)

    def _check_to_be_had(self) -> None:
        """Fall back now, not at the first frame, where the options need what is not here."""
        tried: set[tuple[str, str]] = set()
        while (one := (self._backend.name, getattr(self._backend, "plugin", ""))) not in tried:
            tried.add(one)
            try:
                self._backend.check_options(self._options, self.camera)
            except BackendUnavailable as error:
                self._fall_back(error)

    def _fall_back(self, error: BackendUnavailable) -> None:
        """Let another backend run; raises the error where that is not wanted."""
        failed = self._backend
        if self._instead is None:
            raise error
        self._backend, self._fallback = self._instead(failed, error)
        self._runner.forget()
        failed.close()

    def check(self, options: UpscaleOptions) -> UpscaleOptions:
        """The options themselves, or an OptionError saying what this engine cannot do of them."""
        # Bicubic takes everything: it stands in for models of which nothing is known here.
        backend = self._backend
        if backend.name == "bicubic":
            return options
        for name in backend.fixed_options:
            _check_built_in(backend, name, getattr(options, name))
        _check_steps(backend, options.num_steps)
        guidance = options.guidance
        for term in guidance.terms:
            if term not in backend.guidance_terms:
                can = ", ".join(backend.guidance_terms) or "none"
                raise OptionError(
                    f"{term} guidance (scale {getattr(guidance, f'{term}_scale'):g}) is not to be "
                    f"had from model {backend.model} on backend {backend.name}; it can do: {can}"
                )
        if guidance.terms and guidance.gradient not in backend.guidance_gradients:
            raise OptionError(
                f"backend {backend.name} has no {guidance.gradient} gradients; accepted: "
                f"{', '.join(backend.guidance_gradients)}"
            )
        return options

    def warmup(self, height: int, width: int, region: AnyRegion = None) -> None:
        """Run at a frame size, so that the first real frame is not the slow one.

        The size is the camera's, before the profile's crop, which counts where it leaves anything;
        a region is one of :meth:`upscale`, and counts where it lies within.
        On a CUDA device three times: the first run chooses kernels, the second allocates what
        stays, and the third records the graph that is replayed from then on.

        Raises:
            FrameError: sides below 1, or no region.
            BackendUnavailable: it is closed.
        """
        (height, width), region = check_sides(height, width), check_region(region)
        crop, camera = self.camera.crop, self.camera.of_the_scene()
        lost = crop.top + crop.bottom, crop.left + crop.right
        if lost[0] < height and lost[1] < width:
            height, width = height - lost[0], width - lost[1]
        if region is not None and (region.x >= width or region.y >= height):
            region = None
        frame = np.zeros((height, width), np.uint8)
        frame[0, 0] = 255
        for _ in range(3 if self._backend.device.startswith("cuda") else 1):
            self.upscale(frame, camera=camera, region=region)
        self.measurements = ()  # no camera's frame has come yet

    def upscale(
        self,
        frame: np.ndarray,
        value_range: ValueRange | None = None,
        camera: str | Path | CameraProfile | None = None,
        missing: np.ndarray | None = None,
        region: AnyRegion = None,
        memory: StreamMemory | None = None,
    ) -> np.ndarray:
        """Super-resolve one frame.

        Args:
            frame: H x W, uint8, uint16 or float32, any strides; not modified.
            value_range: (low, high) in the frame's units instead of the measured range.
            camera: what is known of the camera that took this frame, instead of :attr:`camera`, as
                :meth:`load` takes it; a file is read anew at each call, a profile is not.
            missing: H x W, bool: pixels without a measurement, beside those that are NaN or that
                the camera's profile names. They come back as they are.
            region: the part of the frame, as the camera's ``crop`` leaves it, that is to be
                upscaled, instead of the option ``roi``: a :class:`Region`, or its first column and
                row, width and height; what of it lies outside is left out. Range and noise are the
                whole frame's, so that the result is the same part of the whole one.
            memory: what is remembered of the camera's frames before this one, which is added to
                it; None: the frame is looked at by itself.

        Returns:
            The result that :meth:`geometry` tells of, of the same dtype, C-contiguous: 4H x 4W
            unless the options say otherwise.

        Raises:
            FrameError: the frame, mask or region cannot be used; says why.
            OptionError, DataError: nor can what else is given with it.
            BackendUnavailable: it is closed.
        """
        ranges = None if value_range is None else [value_range]
        masks = None if missing is None else [missing]
        memories = None if memory is None else [memory]
        return self.upscale_batch([frame], ranges, camera, masks, region, memories)[0]

    def geometry(self, height: int, width: int, region: AnyRegion = None) -> OutputGeometry:
        """Size of the result of a frame, or of a region of it, and where its pixels lie there.

        Args:
            height, width: of the frame, as the camera's ``crop`` leaves it.
            region: see :meth:`upscale`.

        Raises:
            FrameError: sides below 1, a region that is none or lies outside, or the result would
                be too large.
        """
        return self.view(height, width, region)[1]

    def view(
        self, height: int, width: int, region: AnyRegion = None
    ) -> tuple[Region, OutputGeometry]:
        """What of a frame its result shows, and how: :meth:`geometry`; arguments as there."""
        return self._view(*check_sides(height, width), check_region(region), self._options)

    def remember(
        self,
        frame: np.ndarray,
        memory: StreamMemory,
        camera: str | Path | CameraProfile | None = None,
        missing: np.ndarray | None = None,
    ) -> None:
        """Add a frame to the memory of its stream without upscaling it; see :meth:`upscale`.

        Results that are averaged along a camera's motion are made by :meth:`upscale` alone.

        Raises:
            FrameError, OptionError, DataError, BackendUnavailable: see :meth:`upscale`.
        """
        self._check_open()
        given = check_batch([frame], None, [missing], [memory])[0]
        if given.memory is None:
            raise OptionError("memory must be a StreamMemory, got None")
        given.memory.take(given.frame, self._profile(camera), given.missing)

    def _profile(self, camera: str | Path | CameraProfile | None) -> CameraProfile:
        return self.camera if camera is None else resolve_camera(camera)

    def _view(
        self, height: int, width: int, region: Region | None, options: UpscaleOptions
    ) -> tuple[Region, OutputGeometry]:
        region = region or options.region
        wanted = region.clipped(width, height) if region else Region(0, 0, width, height)
        frame = wanted.width, wanted.height
        built_in = self._backend.fixed_options.get("scale")
        scales = SCALES if built_in is None else (built_in,)
        how = options.scale, options.output_size, options.output_fit, scales
        return wanted, plan(frame, *how)

    def upscale_batch(
        self,
        frames: Sequence[np.ndarray],
        value_ranges: Sequence[ValueRange | None] | None = None,
        camera: str | Path | CameraProfile | None = None,
        missing: Sequence[np.ndarray | None] | None = None,
        region: AnyRegion = None,
        memories: Sequence[StreamMemory | None] | None = None,
    ) -> list[np.ndarray]:
        """Super-resolve frames of one shape and dtype in one forward pass.

        Each result equals that of :meth:`upscale` up to the backend's rounding. ``memories`` are
        of the cameras that the frames are of, all different, None for a frame by itself.

        Raises:
            FrameError: no frames, different shapes or dtypes, a frame, mask or region that cannot
                be used, more or less of something than frames, or a memory given twice.
            OptionError, DataError, BackendUnavailable: see :meth:`upscale`.
        """
        self._check_open()
        options = self._options
        given = check_batch(frames, value_ranges, missing, memories)
        profile, region = self._profile(camera), check_region(region)
        taken = [
            BatchFrame.take(
                one.frame,
                options,
                profile,
                one.missing,
                one.value_range,
                one.memory,
                getattr(self._backend, "asked_range_is_seen", False),
            )
            for one in given
        ]
        height, width = taken[0].look.scene.shape
        wanted, geometry = self._view(height, width, region, options)
        whole = Region(0, 0, width, height)
        run = whole if wanted == whole else wanted.with_margin(width, height)
        self._check_size(run, options)

        def told(shares: list[float]) -> Conditions:
            return Conditions.of(profile, shares, options.overshoot)

        with self._lock:
            self._check_open()
            work = Work(
                np.stack([one.normalised(run) for one in taken])[:, None],
                given[0].frame.dtype,
                [one.measured.value_range for one in taken],
                told([one.measured.noise_share for one in taken]),
                (height, width),
                run,
                wanted,
                geometry,
                [one.alone(run, told) for one in taken],
                [one.follow if run == whole else None for one in taken],
            )
            results = self._run_where_it_fits(work, options)
            self.measurements = tuple(
                one.measured if run != whole else one.measured_after() for one in taken
            )
            self._holes.look(given[0].frame.shape)
        for result, one in zip(results, taken):
            one.look.reading.restore(result, wanted, geometry)
        return results

    @staticmethod
    def _check_size(run: Region, options: UpscaleOptions) -> None:
        if run.width * run.height > options.max_input_pixels:
            raise FrameError(
                f"the frame has {run.width * run.height} pixels ({run.width}x{run.height}), "
                f"max_input_pixels is {options.max_input_pixels}"
            )

    def _run_where_it_fits(self, work: Work, options: UpscaleOptions) -> list[np.ndarray]:
        """Again in smaller parts where the device is full, or on another backend."""
        while True:
            limited = options if self._memory.reason is None else self._memory.applied(options)
            backend, count = self._backend, len(work.lr)
            alone = self._memory.one_by_one
            parts = [work.part(slice(i, i + 1)) for i in range(count)] if alone else [work]
            try:
                return [
                    result
                    for part in parts
                    for result in self._runner.results(backend, part, limited)
                ]
            except DeviceOutOfMemory as error:
                self._memory.reduce(work.lr.shape, limited, error)
            except BackendUnavailable as error:
                self._fall_back(error)

    def _check_open(self) -> None:
        if self._closed:
            raise BackendUnavailable("this SuperResolver is closed; load another one")

    def __enter__(self) -> SuperResolver:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the model and its memory; may be called twice. Waits for a frame that is run."""
        with self._lock:
            self._closed = True
            self._instead = None  # what is closed is not to be replaced
            self._backend.close()
            self._runner.forget()


def _check_steps(backend: Backend, steps: Any) -> None:
    """Raise OptionError where the model cannot take so many steps: how many is its to say."""
    if backend.name == "bicubic":  # stands in for any
        return
    _check_built_in(backend, "num_steps", steps)
    low, high = LIMITS["num_steps"][0], backend.max_steps
    whole = plain_int(steps)
    if whole is None or not low <= whole <= high:
        raise OptionError(f"num_steps must be an integer in {low}..{high}, got {steps!r}")


def _check_built_in(backend: Backend, name: str, value: Any) -> None:
    fixed = backend.fixed_options.get(name, value)
    if value != fixed:
        holder = getattr(backend, "engine_file", "") or backend.model
        raise OptionError(f"{name} must be {fixed}, which is built into {holder}, got {value}")
