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

"""``difiisr demo``: player, node and monitor as separate processes over DDS, on this machine."""

from __future__ import annotations

import argparse
import contextlib
import functools
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

import difiisr_ros
from difiisr_ros.atomic_write import write_atomically
from difiisr_ros.backends.detectors import load_detector
from difiisr_ros.commands.demo_nodes import node_command, node_environment
from difiisr_ros.commands.demo_processes import (
    Process,
    ProcessGroup,
    sleep_until,
    termination_raises,
)
from difiisr_ros.commands.earlier_output import refuse_other_json
from difiisr_ros.commands.engine_arguments import (
    add_engine_arguments,
    engine_arguments,
    load_engine,
)
from difiisr_ros.commands.numbers import real
from difiisr_ros.commands.own_results import OwnResults, refuse_inputs, refuse_within
from difiisr_ros.commands.pixel_arguments import add_pixel_arguments, pixel_arguments
from difiisr_ros.commands.stream_arguments import add_stream_argument, memory_options
from difiisr_ros.core.camera_profile import AUTO, REDUCED, CameraProfile, resolve_camera
from difiisr_ros.errors import DataError, DifiisrError, OptionError
from difiisr_ros.io.frames import SYNTHETIC, FrameSource, open_source
from difiisr_ros.io.write_stack import check_folder, check_target
from difiisr_ros.lab.frames.put_right import truth_of
from difiisr_ros.models.model_files import EMBEDDED
from difiisr_ros.stream.parameter_table import ENGINE
from difiisr_ros.stream_memory import NO_MEMORY

HELP = "Run player, node and monitor on this machine over DDS and report rate and latency."

#: Seconds for the node to load its model and for the player to render the scene.
START_TIMEOUT = 120
#: Seconds after the last frame for its result to arrive.
LINGER = 1.0
SCENE_SEED = 0
#: What stays of a run that failed.
FAILED = "failed"
_PARTS = ("player", "node", "monitor")


class DemoFailed(DifiisrError):
    """The system did not run; says which part, and what its log says."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "--input",
        default=SYNTHETIC,
        metavar="PATH",
        help="an image, a folder of images, or a bag; default: a synthetic thermal scene whose x4 "
        "truth is known",
    )
    parser.add_argument("--topic", help="image topic of a bag that has several")
    parser.add_argument("--seconds", type=real(), default=20.0, help="how long to play")
    parser.add_argument("--rate", type=real(), default=30.0, help="frames a second")
    parser.add_argument("--size", default="160x120", help="of the synthetic camera")
    parser.add_argument(
        "--num-steps", type=int, metavar="N", help="diffusion steps of the model (1)"
    )
    add_stream_argument(parser)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for results")
    parser.add_argument(
        "--bag-seconds",
        type=real(0),
        default=60.0,
        help="record at most this long, for the pictures; 0: neither bag nor pictures",
    )
    parser.add_argument(
        "--keep-bag", action="store_true", help="keep the recording, 20 MB a second at 160x120"
    )
    parser.add_argument(
        "--detect",
        nargs="?",
        const="detector_judge",
        metavar="DETECTOR",
        help="draw and count what this detector finds on bicubic and on ours: detector_judge (the "
        "default), detector, a file of 'difiisr train-detector', or an .onnx file of YOLOX's or "
        "YOLOv8's layout",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the summary here too")
    add_pixel_arguments(parser)
    add_engine_arguments(parser, fallback=True)
    # None: not given, so that the synthetic camera's own is told.
    parser.set_defaults(camera=None, demo_parser=parser)


def run(args: argparse.Namespace) -> int:
    """Run the demo; 0 when results came out, 1 when the system did not run.

    Raises:
        DataError, OptionError: An input or an option that cannot be used.
    """
    demo = Demo(args)
    try:
        with termination_raises():
            summary = demo.run()
    except DemoFailed as error:
        print(f"demo failed: {error}", file=sys.stderr)
        return 1
    if args.json:
        write_atomically(args.json, _as_json(summary))
    from difiisr_ros.commands.demo_report import summary_text

    print("\n" + summary_text(summary))
    return 0


class Demo:
    """One run of the whole system.

    Raises:
        DataError, OptionError: An argument that cannot be used; nothing has been started then.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self._args = args
        self._out: Path = args.out
        #: Where results are until all are there.
        self._stage = args.out
        self._results = OwnResults(args.out, "demo")
        self._width, self._height = _size(args.size)
        for name in ("seconds", "rate"):
            if not 0 < getattr(args, name) < 1e6:
                raise OptionError(f"--{name} is {getattr(args, name)}; accepted are positive ones")
        self._frames = max(1, round(args.seconds * args.rate))
        for module, why in (("rclpy", _NO_ROS), ("rosbags", _NO_ROSBAGS)):
            if importlib.util.find_spec(module) is None:
                raise DataError(why.format(python=sys.executable))
        if args.detect and not args.bag_seconds:
            raise OptionError("--detect looks at recorded frames, but --bag-seconds is 0")
        self._detector = load_detector(args.detect) if args.detect else None
        # Opened here only to complain before anything is started.
        self._source: FrameSource = open_source(
            args.input,
            width=self._width,
            height=self._height,
            seed=SCENE_SEED,
            topic=args.topic,
            limit=1,
        )
        if not self._source.slow:
            next(self._source.frames(), None)
        self._memory = memory_options(args)
        self._profile = self._told()
        self._inputs = [Path(p) for p in (args.camera, args.model) if p and Path(p).is_file()]
        if args.input != SYNTHETIC:
            self._inputs.append(Path(args.input))
        for path in self._inputs:
            if path.is_dir():
                refuse_within(args.out, path, "written into")
        if args.json:
            refuse_inputs(args.json, self._inputs)
        self._results.check(self._names(), self._inputs)
        check_folder(args.out)
        check_target(args.json)
        refuse_other_json(args.json, ("frames_in", "psnr_gain_db"))
        if self._may_be_refused():
            load_engine(args, camera=self._profile).close()
        self._environment = node_environment()

    def run(self) -> dict[str, Any]:
        """Start everything, wait, stop everything; returns the summary.

        The results take the place of an earlier run's when all are there. Of a run that fails, what
        there is stays in a folder of its own.

        Raises:
            DemoFailed: A process failed, or nothing came out.
            DataError: The results cannot be written.
        """
        with self._results.staged() as self._stage:
            try:
                summary = self._run()
            except DemoFailed as error:
                self._results.put(self._stage, FAILED)
                text = str(error).replace(str(self._stage), str(self._out / FAILED))
                raise DemoFailed(text) from error
            write_atomically(self._stage / "summary.json", _as_json(summary))
            self._results.take(self._stage, self._inputs)
        return summary

    def _run(self) -> dict[str, Any]:
        a = self._args
        print(
            f"demo: {self._source.name} at {a.rate:g} Hz, {self._frames} frames -> "
            f"super_resolution_node (model {a.model}, backend {a.backend}) -> monitor, "
            f"ROS_DOMAIN_ID {self._environment['ROS_DOMAIN_ID']}",
            flush=True,
        )
        with ProcessGroup() as group:
            monitor, node, player = self._start(group)
            self._wait_for_player(group, player)
            sleep_until(lambda: bool(_others_ended(group, player)), LINGER)
            codes = {p.name: p.stop() for p in (monitor, node)}
        print("stopped; comparing and drawing ...", flush=True)
        played = self._read_json("player.json", player)
        measured = self._read_json("monitor.json", monitor)
        if not measured["frames_out"]:
            raise DemoFailed(
                f"{played['frames']} frames were played, but no result came out; the end of "
                f"{node.log}:\n{node.tail()}"
            )
        return self._summary(played, measured, codes)

    # ---- before --------------------------------------------------------------------------------

    def _names(self) -> list[str]:
        """Of all that the run may write into the folder."""
        from difiisr_ros.commands.demo_report import PICTURES

        names = [FAILED, "summary.json", "player.json", "monitor.json"]
        names += [f"{part}.log" for part in _PARTS]
        if self._is_written:
            names.append("camera.yaml")
        if self._args.bag_seconds:
            names += ["bag", *(f"frame_{i + 1}.png" for i in range(PICTURES))]
        return names

    def _start(self, group: ProcessGroup) -> tuple[Process, Process, Process]:
        a, out = self._args, self._stage.resolve()
        options = {**engine_arguments(a), "camera": self._camera()}
        engine = {name: options[key] for name, key in ENGINE.items() if key in options}
        if not self._is_written:
            given = pixel_arguments(a)
            engine.update({n: given[n] for n in given if given[n] and n != "byte_order"})
        engine.update({f"stream.{part}": value for part, value in asdict(self._memory).items()})
        # The node then listens once its results have a receiver: no frame is played before.
        engine["lazy"] = True
        engine["strict_backend"] = not a.allow_fallback
        monitor: dict[str, Any] = {"result_file": out / "monitor.json"}
        if a.bag_seconds:
            monitor.update(bag=out / "bag", bag_seconds=float(a.bag_seconds))
        player = {
            "source": a.input if a.input == SYNTHETIC else Path(a.input).resolve(),
            "topic": a.topic,
            "width": self._width,
            "height": self._height,
            "seed": SCENE_SEED,
            "rate": float(a.rate),
            "frame_limit": self._frames,
            "byte_order": self._profile.byte_order,
            "wait_for_subscribers": 2,
            "wait_timeout": float(START_TIMEOUT),
            "report_file": out / "player.json",
        }
        show = functools.partial(print, flush=True)
        return (
            group.add(self._process("monitor", "monitor", monitor, show)),
            group.add(self._process("node", "main", engine)),
            group.add(self._process("player", "frame_player", player)),
        )

    def _camera(self) -> str:
        """What the node is told of the camera: what was asked for, else what the source knows."""
        if not self._is_written:
            return str(self._args.camera or AUTO)
        # The player has put the bytes in order.
        replace(self._profile, byte_order=AUTO).write(self._stage / "camera.yaml")
        return str((self._stage / "camera.yaml").resolve())

    def _may_be_refused(self) -> bool:
        """Whether to load the engine here, too, only to complain before anything is started.

        That costs seconds. With everything as by default the node itself falls back, or says why
        it does not start, unless no network's library is there at all.
        """
        args, default = self._args, self._args.demo_parser.get_default
        names = {"num_threads": "threads", "tile_overlap": "tile_size"}
        asked = {names.get(name, name) for name in (*engine_arguments(args), "quality")}
        if args.model in EMBEDDED:
            asked.discard("model")
        asked.discard("camera")  # read already
        libraries = map(importlib.util.find_spec, ("torch", "onnxruntime"))
        return any(getattr(args, n) != default(n) for n in asked) or not any(libraries)

    def _told(self) -> CameraProfile:
        """What is known of the camera: what was given, else what the source knows."""
        known = getattr(self._source, "profile", None) or AUTO
        return resolve_camera(self._args.camera or known, pixel_arguments(self._args))

    @property
    def _is_written(self) -> bool:
        """Whether the node needs a profile of its own: no file says the same."""
        told, asked = self._profile, self._args.camera
        if asked is None:
            return getattr(self._source, "profile", None) is not None
        return asked not in (AUTO, REDUCED) and told.byte_order != AUTO

    def _process(
        self,
        name: str,
        module: str,
        parameters: dict[str, Any],
        on_line: Callable[[str], None] | None = None,
    ) -> Process:
        command = node_command(module, parameters)
        return Process(name, command, self._stage / f"{name}.log", self._environment, on_line)

    # ---- while it runs -------------------------------------------------------------------------

    def _wait_for_player(self, group: ProcessGroup, player: Process) -> None:
        node = next(p for p in group.processes if p.name == "node")

        def over() -> bool:
            refused = not started() and node.has_logged("not started")
            return bool(group.ended()) or refused

        def started() -> bool:
            return player.has_logged("playing ")

        longest = 2 * START_TIMEOUT + 2 * self._args.seconds
        if not sleep_until(over, longest):
            raise DemoFailed(f"the player did not finish within {longest:g} s")
        for process in _others_ended(group, player):
            raise DemoFailed(
                f"{process.name} ended with exit code {process.returncode}; the end of "
                f"{process.log}:\n{process.tail()}"
            )
        if player.returncode is None:
            raise DemoFailed(f"the node did not start; the end of {node.log}:\n{node.tail()}")
        if player.returncode != 0:
            raise DemoFailed(
                f"player ended with exit code {player.returncode}; the end of {player.log}:\n"
                f"{player.tail()}"
            )

    # ---- afterwards ----------------------------------------------------------------------------

    def _read_json(self, name: str, writer: Process) -> dict[str, Any]:
        try:
            return json.loads((self._stage / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DemoFailed(
                f"{writer.name} left no usable {name} ({error}); the end of {writer.log}:\n"
                f"{writer.tail()}"
            ) from error

    def _truth_of(self, played: dict[str, Any]) -> Callable[[int], Any]:
        truth = getattr(self._source, "truth", None)
        if truth is None:
            return lambda _stamp: None
        index = dict(zip(played["stamps_ns"], played["indices"]))
        return functools.lru_cache(maxsize=64)(
            lambda stamp: truth_of(truth(index[stamp]), self._profile) if stamp in index else None
        )

    @contextlib.contextmanager
    def _single_frames(self) -> Iterator[Callable[[np.ndarray], np.ndarray] | None]:
        """What upscales a recorded frame by itself, where the node uses those before it, too."""
        if self._memory == NO_MEMORY:
            yield None
            return
        with contextlib.closing(load_engine(self._args, camera=self._profile)) as engine:
            scene = engine.camera.of_the_scene()  # the crop is off
            yield lambda frame: engine.upscale(frame, camera=scene)

    def _summary(
        self, played: dict[str, Any], measured: dict[str, Any], codes: dict[str, int | None]
    ) -> dict[str, Any]:
        from difiisr_ros.commands.demo_report import (
            node_figures,
            pictures_and_quality,
            stream_figures,
        )

        summary: dict[str, Any] = stream_figures(played, measured)
        summary.update(node_figures(measured["diagnostics"]))
        notes = [f"{name} ended with exit code {code}" for name, code in codes.items() if code]
        bag, recorded = self._stage / "bag", measured["bag"]
        if summary["camera"]:  # where the profile will be
            place = str(self._out.resolve())
            summary["camera"] = summary["camera"].replace(str(self._stage.resolve()), place)
        summary["psnr_gain_db"], summary["pictures"], summary["bag"] = None, [], None
        if recorded is not None and recorded["error"]:
            notes.append(f"no bag: {recorded['error']}")
        elif recorded is not None:
            size = sum(p.stat().st_size for p in bag.iterdir()) / 1e6
            summary["bag"] = {
                "path": str(self._out / "bag"),
                "megabytes": round(size, 1),
                **recorded,
            }
            if recorded["dropped"]:
                notes.append(f"the disk was too slow for {recorded['dropped']} messages")
            ours = f"x{self._args.scale}"
            title = f"difiisr {ours} ({summary['model']})" if summary["backend"] else f"ours {ours}"
            if summary["backend"] == "bicubic":
                title = "backend bicubic"
            crop, truth, detector = self._profile.crop, self._truth_of(played), self._detector
            with self._single_frames() as alone:
                how = title, self._stage, crop, detector, alone
                summary.update(pictures_and_quality(bag, truth, *how))
            if error := summary.pop("pictures_error", None):
                notes.append(error)
            if not self._args.keep_bag:
                shutil.rmtree(bag)
                summary["bag"] = None
        if summary["model"] == "lite" and summary["dropped"] > 0.1 * summary["frames_in"]:
            notes.append(
                "this machine does not keep up with the camera; --model nano takes "
                "about half of the time"
            )
        if played["deadlines_missed"]:
            notes.append(f"the player was late for {played['deadlines_missed']} frames")
        summary.update(
            source=played["source"],
            left_out=played["left_out"],
            rate=self._args.rate,
            seconds=self._args.seconds,
            out=str(self._out),
            notes=notes,
            machine=f"{platform.machine()}, {os.cpu_count()} cores, Python "
            f"{platform.python_version()}, difiisr_ros {difiisr_ros.__version__}",
        )
        return summary


_NO_ROS = (
    "the demo runs ROS 2 nodes, but {python} cannot import rclpy; source your ROS 2 installation, "
    "or run `make demo` in a source checkout, which installs rclpy from PyPI"
)
_NO_ROSBAGS = "the demo records a bag with rosbags, which {python} lacks: pip install rosbags"


def _as_json(summary: dict[str, Any]) -> bytes:
    return (json.dumps(summary, indent=2) + "\n").encode()


def _others_ended(group: ProcessGroup, player: Process) -> list[Process]:
    return [p for p in group.ended() if p is not player]


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    if not match:
        raise OptionError(f"--size is '{text}'; accepted are sizes such as 160x120")
    return int(match.group(1)), int(match.group(2))
