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

"""Every parameter of ``super_resolution_node``, in one table.

The node declares from it; ``config/super_resolution.yaml``, the launch arguments and
``docs/super_resolution_node.md`` are compared with it by a test. No ROS here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from difiisr_ros.backends.factory import BACKENDS, PRECISIONS, THREADS
from difiisr_ros.backends.onnx_providers import PROVIDERS
from difiisr_ros.core.camera_profile import (
    AUTO,
    BYTE_ORDERS,
    MOST_KELVIN,
    CameraProfile,
    resolve_camera,
)
from difiisr_ros.core.crop import parse_crop
from difiisr_ros.core.guidance import GRADIENTS, SCALE_LIMITS
from difiisr_ros.core.missing import parse_missing
from difiisr_ros.core.output_geometry import OUTPUT_FITS, check_output_size
from difiisr_ros.core.radiometry import RANGE_MODES
from difiisr_ros.core.region import parse_region
from difiisr_ros.core.scale import SCALES
from difiisr_ros.core.temperature import TEMPERATURES
from difiisr_ros.errors import OptionError
from difiisr_ros.messages.camera_info import CONVENTIONS
from difiisr_ros.options import LEAST_BUT_0, LIMITS, UpscaleOptions, not_read
from difiisr_ros.quality import CUSTOM, QUALITIES, preset
from difiisr_ros.stream.parameter_spec import Change, ParameterSpec
from difiisr_ros.stream_memory import MOTION, NOISE, PATTERN, STILL, MemoryOptions

#: A name that may be part of a topic's; or none, for topics without one.
_CAMERA_NAME = r"([A-Za-z][A-Za-z0-9_]*)?"

_ENGINE_DEFAULTS = UpscaleOptions()
_STREAM_DEFAULTS = MemoryOptions()
_MOST_A_SIDE = 1 << 16

SAME = "same"
PASS, HOLD, DROP = "pass", "hold", "drop"
#: Nothing is invented by default: a result that is held looks like a scene that stands still.
SHUTTER_FRAMES = (PASS, HOLD, DROP)
OUTPUT_ENCODINGS = (SAME, "mono8", "mono16", "32FC1", "bgr8")
#: Those that may be asked for beside temperatures, which are published as 32FC1.
_OF_TEMPERATURES = (SAME, "32FC1")

TABLE: tuple[ParameterSpec, ...] = (
    # What runs.
    ParameterSpec(
        "model",
        "lite",
        "Model to load: 'lite' or the faster 'nano' (embedded), or the path of a model file.",
    ),
    ParameterSpec(
        "autoencoder",
        "",
        "Path of the autoencoder's checkpoint, where model is a published DifIISR's checkpoint.",
    ),
    ParameterSpec(
        "camera",
        AUTO,
        "What is known of the camera: 'auto' (nothing; the noise is estimated from each frame), "
        "the path of a profile that difiisr calibrate wrote, or 'reduced' (frames reduced by "
        "antialiased bicubic).",
    ),
    ParameterSpec(
        "missing",
        "",
        "Values that stand for no measurement, such as '0, 65535' or '-9999..-9000': they are left "
        "alone and come back. Empty: what the camera's profile says.",
    ),
    ParameterSpec(
        "crop",
        "",
        "Camera pixels to leave out at the borders, as 'bottom 2' for two rows of telemetry; "
        "camera_info follows. Empty: what the camera's profile says.",
    ),
    ParameterSpec(
        "bad_pixels",
        "",
        "Path of a picture of the camera's size, not black where pixels do not measure; these come "
        "back interpolated. Empty: what the camera's profile says.",
    ),
    ParameterSpec(
        "byte_order",
        AUTO,
        "Of pixels of several bytes; auto: what the camera's profile says, else as the message "
        "says.",
        choices=BYTE_ORDERS,
    ),
    ParameterSpec(
        "backend",
        "auto",
        "Inference engine; auto takes the fastest that runs here. bicubic needs no model.",
        choices=BACKENDS,
    ),
    ParameterSpec(
        "engine_file",
        "",
        "Path of a TensorRT engine that difiisr export wrote, for backend tensorrt or "
        "tensorrt_rtx; model, steps and options must be its own. Empty: engines are looked for in "
        "the cache, and built.",
    ),
    ParameterSpec(
        "provider",
        "auto",
        "ONNX Runtime's execution provider, for backend onnx (or auto, which is that then); "
        "openvino, webgpu and nv_tensorrt_rtx are packages of their own.",
        choices=PROVIDERS,
    ),
    ParameterSpec(
        "device",
        "auto",
        "auto, cpu, cuda or cuda:N; with a provider that is a package of its own also gpu or "
        "gpu:N, npu or npu:N.",
    ),
    ParameterSpec(
        "precision",
        "auto",
        "Arithmetic; auto takes the fastest that keeps the mean error under 0.125 of 255 counts.",
        choices=PRECISIONS,
    ),
    ParameterSpec(
        "strict_backend",
        False,
        "Refuse to configure where the asked backend cannot run, instead of falling back.",
    ),
    ParameterSpec(
        "num_threads",
        0,
        "CPU threads for inference; 0 leaves it to the backend.",
        minimum=THREADS[0],
        maximum=THREADS[1],
    ),
    ParameterSpec(
        "warmup_width",
        160,
        "Width in pixels of the frame that configure runs through the model; 0 skips it.",
        minimum=0,
        maximum=8192,
    ),
    ParameterSpec(
        "warmup_height",
        120,
        "Height in pixels of the frame that configure runs through the model; 0 skips it.",
        minimum=0,
        maximum=8192,
    ),
    # How large results are, and of what.
    ParameterSpec(
        "scale",
        _ENGINE_DEFAULTS.scale,
        "How many times larger results are, along each side, where output_size does not decide it.",
        Change.LIVE,
        choices=SCALES,
    ),
    ParameterSpec(
        "output_size",
        list(_ENGINE_DEFAULTS.output_size),
        "Width and height of results instead, in pixels; a 0 follows from the other and keeps the "
        "frame's shape. [0, 0]: none.",
        Change.LIVE,
        minimum=0,
        maximum=_MOST_A_SIDE,
    ),
    ParameterSpec(
        "output_fit",
        _ENGINE_DEFAULTS.output_fit,
        "How a frame of another shape fits output_size: stretch; letterbox, all of it between gray "
        "bars; or crop, its middle.",
        Change.LIVE,
        choices=OUTPUT_FITS,
    ),
    ParameterSpec(
        "roi",
        [0, 0, 0, 0],
        "Region of interest, the part of the camera's image that is upscaled and published: x, y, "
        "width and height in its pixels, until ~/roi says another. [0, 0, 0, 0]: all of it.",
        Change.LIVE,
        minimum=0,
        maximum=_MOST_A_SIDE,
    ),
    # How a frame is upscaled.
    ParameterSpec(
        "num_steps",
        _ENGINE_DEFAULTS.num_steps,
        "Diffusion steps, at most the length of the model's schedule: 1 is the fastest and has the "
        "least error, 2 and 4 add detail; of more, lite and nano make dots along edges.",
        Change.LIVE,
        minimum=LIMITS["num_steps"][0],
        maximum=LIMITS["num_steps"][1],
    ),
    ParameterSpec(
        "quality",
        CUSTOM,
        "Preset of num_steps and the guidance scales, for fidelity to the measurement or for "
        "detail; custom leaves them to their own parameters.",
        Change.LIVE,
        choices=QUALITIES,
    ),
    ParameterSpec(
        "guidance.visual_scale",
        _ENGINE_DEFAULTS.visual_scale,
        "Visual guidance: how far the spectrum above what the camera resolves is brought to the "
        "amplitude that thermal frames have there; 0 is off.",
        Change.LIVE,
        minimum=SCALE_LIMITS[0],
        maximum=SCALE_LIMITS[1],
    ),
    ParameterSpec(
        "guidance.perceptual_scale",
        _ENGINE_DEFAULTS.perceptual_scale,
        "Perceptual guidance: how far a thermal detector's features are brought to what sharp "
        "frames have; 0 is off. On the torch backend.",
        Change.LIVE,
        minimum=SCALE_LIMITS[0],
        maximum=SCALE_LIMITS[1],
    ),
    ParameterSpec(
        "guidance.gradient",
        _ENGINE_DEFAULTS.guidance_gradient,
        "Gradients of guidance: closed_form, or exact, which goes through the network and takes "
        "three times as long.",
        Change.LIVE,
        choices=GRADIENTS,
    ),
    ParameterSpec(
        "seed",
        _ENGINE_DEFAULTS.seed,
        "Seed of the noise; the same frame and seed give the same result.",
        Change.LIVE,
        minimum=LIMITS["seed"][0],
        maximum=LIMITS["seed"][1],
    ),
    ParameterSpec(
        "consistency",
        _ENGINE_DEFAULTS.consistency,
        "How often the result is pulled to what the camera measured: in means over many pixels, "
        "or exactly where camera is 'reduced'.",
        Change.LIVE,
        minimum=LIMITS["consistency"][0],
        maximum=LIMITS["consistency"][1],
    ),
    ParameterSpec(
        "overshoot",
        _ENGINE_DEFAULTS.overshoot,
        "How far a result may leave what the camera's 3x3 pixels around span, in units of that "
        "span: a bound on every result. 0: not at all.",
        Change.LIVE,
        minimum=0.0,
        maximum=1.0,
    ),
    ParameterSpec(
        "range_mode",
        _ENGINE_DEFAULTS.range_mode,
        "What output_encoding maps to black and white: the frame's 1st to 99th percentile, its "
        "minimum and maximum (both at least 20 times the noise), or range_min and range_max. "
        "Counts do not depend on it.",
        Change.LIVE,
        choices=RANGE_MODES,
    ),
    ParameterSpec(
        "range_min",
        0.0,
        "What becomes black, in counts, with range_mode fixed.",
        Change.LIVE,
        minimum=-1e9,
        maximum=1e9,
    ),
    ParameterSpec(
        "range_max",
        65535.0,
        "What becomes white, in counts, with range_mode fixed.",
        Change.LIVE,
        minimum=-1e9,
        maximum=1e9,
    ),
    ParameterSpec(
        "range_time_constant",
        1.0,
        "Seconds over which the range that output_encoding maps to black and white is smoothed, so "
        "that the picture does not pump; 0 measures every frame for itself.",
        Change.LIVE,
        minimum=0.0,
        maximum=3600.0,
    ),
    ParameterSpec(
        "shutter_frames",
        PASS,
        "Frames of the camera's closed shutter (FFC), which are flat: pass, as any frame; hold, "
        "publish the last result again under the frame's header; or drop.",
        Change.LIVE,
        choices=SHUTTER_FRAMES,
    ),
    # What a stream knows that a frame does not.
    ParameterSpec(
        "stream.still",
        _STREAM_DEFAULTS.still,
        "auto: where scene and camera stand still, frames are averaged over time, which takes the "
        "noise out; the past is forgotten where anything moves. off: each frame by itself.",
        Change.LIVE,
        choices=STILL,
    ),
    ParameterSpec(
        "stream.motion",
        _STREAM_DEFAULTS.motion,
        "on: where the camera moves, each result is averaged with those before it, along the "
        "motion; what moves otherwise is the frame's own result. Not with a region. off: each "
        "result by itself.",
        Change.LIVE,
        choices=MOTION,
    ),
    ParameterSpec(
        "stream.pattern",
        _STREAM_DEFAULTS.pattern,
        "The camera's fixed pattern: profile subtracts what the camera's profile has; learn starts "
        "from that and learns on while the camera moves, and not while it stands still; off leaves "
        "it.",
        Change.LIVE,
        choices=PATTERN,
    ),
    ParameterSpec(
        "stream.pattern_file",
        "",
        "Path of an .npz file that cleanup writes what was learnt into, for the profile's key "
        "pattern; several cameras have their names before its ending. Empty: it is not kept.",
        Change.LIVE,
    ),
    ParameterSpec(
        "stream.noise",
        _STREAM_DEFAULTS.noise,
        "Noise that the camera's profile does not say is estimated from each frame, or is the "
        "running median of the last frames' estimates.",
        Change.LIVE,
        choices=NOISE,
    ),
    ParameterSpec(
        "tile_size",
        _ENGINE_DEFAULTS.tile_size,
        "Frames with a longer side, in input pixels, are upscaled in tiles of this size; 0: never.",
        Change.LIVE,
        minimum=LIMITS["tile_size"][0],
        maximum=LIMITS["tile_size"][1],
        least_but_0=LEAST_BUT_0["tile_size"],
    ),
    ParameterSpec(
        "tile_overlap",
        _ENGINE_DEFAULTS.tile_overlap,
        "Input pixels by which tiles overlap and are blended, 8 less than tile_size at most.",
        Change.LIVE,
        minimum=LIMITS["tile_overlap"][0],
        maximum=LIMITS["tile_overlap"][1],
    ),
    ParameterSpec(
        "max_input_pixels",
        _ENGINE_DEFAULTS.max_input_pixels,
        "Frames with more pixels are dropped with an error.",
        Change.LIVE,
        minimum=LIMITS["max_input_pixels"][0],
        maximum=LIMITS["max_input_pixels"][1],
    ),
    # Messages.
    ParameterSpec(
        "camera_names",
        [""],
        "Cameras that this node serves. Each has its name in front of its topics (front/image_raw, "
        "front/sr/image_raw); an empty name puts nothing there.",
        item=_CAMERA_NAME,
        item_rule="different names of letters, digits and underscores after a letter",
    ),
    ParameterSpec(
        "image_transport",
        "raw",
        "Subscribe image_raw, or image_raw/compressed (png of 8 and 16 bits, jpeg of 8, tiff).",
        choices=("raw", "compressed"),
    ),
    ParameterSpec(
        "output_encoding",
        "same",
        "Encoding published: same as the input's, or converted; mono8 and bgr8 map the scene's "
        "range to 0..255, as detectors expect.",
        Change.LIVE,
        choices=OUTPUT_ENCODINGS,
    ),
    ParameterSpec(
        "output_unit",
        SAME,
        "Unit published: same as the input's counts, or temperatures in kelvin or celsius, as "
        "32FC1, by kelvin_per_count. Missing pixels become NaN.",
        Change.LIVE,
        choices=(SAME, *TEMPERATURES),
    ),
    ParameterSpec(
        "kelvin_per_count",
        0.0,
        "What one count of the camera is, kelvin, for output_unit; 0: what the camera's profile "
        "says.",
        Change.LIVE,
        minimum=0.0,
        maximum=MOST_KELVIN,
    ),
    ParameterSpec(
        "kelvin_offset",
        0.0,
        "Temperature of count 0, kelvin, where kelvin_per_count is set.",
        Change.LIVE,
        minimum=-MOST_KELVIN,
        maximum=MOST_KELVIN,
    ),
    ParameterSpec(
        "output_transport",
        "raw",
        "Publish sr/image_raw, or sr/image_raw/compressed as png (8 and 16 bits, lossless).",
        choices=("raw", "compressed"),
    ),
    ParameterSpec(
        "camera_info_convention",
        "pixel_center",
        "How the principal point is scaled: pixel_center c' = s (c + 0.5) - 0.5, or "
        "image_proc c' = s c.",
        choices=CONVENTIONS,
    ),
    # Load.
    ParameterSpec(
        "drop_policy",
        "latest",
        "latest: the newest frame wins, for live cameras. block: every frame is processed, from a "
        "reliable source, for replay.",
        choices=("latest", "block"),
    ),
    ParameterSpec(
        "deadline_ms",
        0.0,
        "Milliseconds from a frame's arrival to its publication. Where num_steps does not fit, "
        "fewer steps are taken, then frames are skipped; 0 switches it off.",
        Change.LIVE,
        minimum=0.0,
        maximum=60000.0,
    ),
    ParameterSpec(
        "lazy",
        False,
        "Unsubscribe, and so do no work, while nobody subscribes to the result.",
        Change.LIVE,
    ),
    ParameterSpec(
        "stale_after",
        2.0,
        "Seconds without an image before diagnostics warn.",
        Change.LIVE,
        minimum=0.1,
        maximum=3600.0,
    ),
    ParameterSpec(
        "autostart",
        True,
        "Configure and activate at start; false leaves it to a lifecycle manager.",
        Change.START,
    ),
    ParameterSpec(
        "bond_heartbeat_period",
        0.25,
        "Seconds between the heartbeats by which Nav2's lifecycle manager sees that the node "
        "lives, while it is active without autostart and the package bond is installed; 0: none.",
        minimum=0.0,
        maximum=60.0,
    ),
    ParameterSpec(
        "build_only",
        False,
        "Configure, which builds and keeps what the backend needs (a TensorRT engine takes "
        "minutes), and end: to prepare a vehicle ahead. TensorRT-RTX needs no GPU for it.",
        Change.START,
    ),
)  # fmt: skip

BY_NAME = {spec.name: spec for spec in TABLE}

#: What some are called elsewhere, and what people call them.
OTHER_NAMES = {
    "output_width": "output_size",
    "output_height": "output_size",
    "profile": "camera",
    "camera_profile": "camera",
}

#: Parameters on what of a frame is a measurement, which win over the camera's profile.
PIXELS = ("missing", "crop", "bad_pixels", "byte_order")

#: Parameters handed to ``SuperResolver.load``, and the names that they have there.
ENGINE = {
    **{
        name: name
        for name in (
            "model",
            "autoencoder",
            "engine_file",
            "build_only",
            "provider",
            "camera",
            "backend",
            "device",
            "precision",
            "strict_backend",
            "num_threads",
            "scale",
            "output_size",
            "output_fit",
            "num_steps",
            "seed",
            "consistency",
            "overshoot",
            "range_mode",
            "range_min",
            "range_max",
            "tile_size",
            "tile_overlap",
            "max_input_pixels",
        )
    },
    "guidance.visual_scale": "visual_scale",
    "guidance.perceptual_scale": "perceptual_scale",
    "guidance.gradient": "guidance_gradient",
}

#: The part of them that ``SuperResolver.configure`` changes between two frames.
ENGINE_LIVE = tuple(name for name in ENGINE if BY_NAME[name].change is Change.LIVE)


def engine_options(values: Mapping[str, Any], *, live: bool = False) -> dict[str, Any]:
    """Keyword arguments of ``SuperResolver.load``, or with ``live`` of ``configure``.

    What ``quality`` presets is as the preset says.
    """
    names = ENGINE_LIVE if live else tuple(ENGINE)
    options = {ENGINE[name]: values[name] for name in names}
    options["output_size"] = tuple(options["output_size"])
    return {**options, **preset(values["quality"])}


def stream_options(values: Mapping[str, Any]) -> MemoryOptions:
    """What the parameters say is to be used of a stream."""
    parts = ("still", "noise", "pattern", "motion")
    return MemoryOptions(**{part: values[f"stream.{part}"] for part in parts})


def not_used(values: Mapping[str, Any]) -> tuple[str, ...]:
    """What of the parameters was set and is not read, in words."""
    size = tuple(values["output_size"])
    name = not_read(values["scale"], size, values["output_fit"])
    if name is None:
        return ()
    why = "decides it" if name == "scale" else "sets one side" if any(size) else "is not set"
    return (f"{name} {values[name]}, because output_size {why}",)


def camera_profile(values: Mapping[str, Any]) -> CameraProfile:
    """What the parameters say of the camera.

    Raises:
        DataError, OptionError: see :func:`difiisr_ros.core.camera_profile.resolve_camera`.
    """
    return resolve_camera(values["camera"], {name: values[name] for name in PIXELS})


def check_together(values: Mapping[str, Any]) -> str | None:
    """What is wrong with values that a row's own check lets pass; None if nothing is."""
    try:
        parse_missing(values["missing"])
        parse_crop(values["crop"] or "0,0,0,0")
        check_output_size(tuple(values["output_size"]))
        parse_region(values["roi"])
    except OptionError as error:
        return str(error)
    if values["range_mode"] == "fixed" and not values["range_min"] < values["range_max"]:
        return (
            f"range_mode fixed needs range_min below range_max, "
            f"not {values['range_min']} and {values['range_max']}"
        )
    unit = values["output_unit"]
    if unit != SAME and values["output_encoding"] not in _OF_TEMPERATURES:
        return (
            f"output_unit {unit} is published as 32FC1, but output_encoding is "
            f"{values['output_encoding']}; accepted with it: {', '.join(_OF_TEMPERATURES)}"
        )
    if unit != SAME and values["output_transport"] == "compressed":
        return (
            f"output_unit {unit} is published as 32FC1, which png does not hold; "
            "output_transport must be raw"
        )
    if values["kelvin_offset"] and not values["kelvin_per_count"]:
        return (
            f"kelvin_offset is {values['kelvin_offset']:g}, but kelvin_per_count is 0: set it too"
        )
    decided = ("num_steps", "guidance.visual_scale", "guidance.perceptual_scale")
    chosen = [name for name in decided if values[name] != BY_NAME[name].default]
    if values["quality"] != CUSTOM and chosen:
        return (
            f"{chosen[0]} is {values[chosen[0]]}, but quality {values['quality']} decides it; "
            f"set quality to {CUSTOM} to choose it yourself"
        )
    return None
