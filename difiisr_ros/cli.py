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

# PYTHON_ARGCOMPLETE_OK
"""The ``difiisr`` command: one subcommand per module, imported only when it is chosen.

A subcommand's module has ``HELP`` (one line), ``add_arguments(parser)`` and ``run(args) -> int``,
which returns the exit code. Exit codes: 0 done, 1 done but the result is not good (what that means
is the subcommand's own), 2 wrong usage or input that cannot be used, 130 interrupted.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence

from difiisr_ros.allocator import keep_large_buffers
from difiisr_ros.commands.parser import EXIT_USAGE, HelpFormatter, Parser, suggestion
from difiisr_ros.errors import DifiisrError, Interrupted
from difiisr_ros.version import __version__

PROGRAM = "difiisr"
EXIT_INTERRUPTED = 130  # 128 + SIGINT, what shells expect

#: Subcommand -> (module, the module's HELP). The help is repeated here so that ``difiisr --help``
#: imports none of the modules; a test compares the two.
COMMANDS: dict[str, tuple[str, str]] = {
    "convert": (
        "difiisr_ros.commands.convert",
        "Make one model file of a published model's checkpoints.",
    ),
    "upscale": (
        "difiisr_ros.commands.upscale",
        "Super-resolve an image, a folder of frames or a rosbag2 bag.",
    ),
    "calibrate": (
        "difiisr_ros.commands.calibrate",
        "Measure a camera's noise, blur and fixed pattern from its frames and write its profile.",
    ),
    "evaluate": (
        "difiisr_ros.commands.evaluate",
        "Measure the gain over bicubic on your own bags and frames: PSNR, SSIM, flicker, time.",
    ),
    "export": (
        "difiisr_ros.commands.export",
        "Write the whole sampler as one ONNX graph, or build a TensorRT engine of it.",
    ),
    "bench": (
        "difiisr_ros.commands.bench",
        "Time this machine: latency, frame rate, memory, stages, and the distance to its limit.",
    ),
    "train": (
        "difiisr_ros.commands.train",
        "Train an embedded model on a folder of frames.",
    ),
    "fit-guidance": (
        "difiisr_ros.commands.fit_guidance",
        "Fit what guidance expects to a model's answers to your frames, and store it in its file.",
    ),
    "train-detector": (
        "difiisr_ros.commands.train_detector",
        "Train the detector on a folder of frames with boxes.",
    ),
    "detect": (
        "difiisr_ros.commands.detect",
        "Run the detector on frames; with boxes, score it on HR frames and on upscaled LR ones.",
    ),
    "doctor": (
        "difiisr_ros.commands.doctor",
        "Say what runs here, how fast, and why the rest does not; for bug reports, too.",
    ),
    "demo": (
        "difiisr_ros.commands.demo",
        "Run player, node and monitor on this machine over DDS and report rate and latency.",
    ),
}


#: Those that import PyTorch themselves, which ends the process where it is for other machines.
_NEED_TORCH = ("convert", "export", "fit-guidance", "train", "train-detector")


def available_commands() -> dict[str, tuple[str, str]]:
    """Return the subcommands whose module is part of this installation."""
    return {
        name: entry
        for name, entry in COMMANDS.items()
        if importlib.util.find_spec(entry[0]) is not None
    }


def build_parser(chosen: str | None = None) -> Parser:
    """Build the parser; only the ``chosen`` subcommand's module is imported for its arguments."""
    parser = Parser(
        prog=PROGRAM,
        description="Super-resolution of thermal camera frames x4.",
        epilog=f"'{PROGRAM} COMMAND --help' explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, (module_name, help_line) in available_commands().items():
        subparser = subparsers.add_parser(
            name,
            help=help_line,
            description=help_line,
            formatter_class=HelpFormatter,
        )
        if name == chosen:
            module = importlib.import_module(module_name)
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def _chosen_command(arguments: Sequence[str]) -> str | None:
    """Return the first argument that is not an option: the global options take no values."""
    return next((argument for argument in arguments if not argument.startswith("-")), None)


def _complete() -> None:
    """Answer the shell that asks how a line may go on, and end; argcomplete is optional."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    words = os.environ.get("COMP_LINE", "").split()[1:]
    argcomplete.autocomplete(build_parser(_chosen_command(words)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code (see the module's text)."""
    if arguments is None:  # the process is ours alone
        arguments = sys.argv[1:]
        keep_large_buffers()
    _complete()
    logging.basicConfig(level=logging.WARNING, format=f"{PROGRAM}: %(levelname)s: %(message)s")
    logging.addLevelName(logging.WARNING, "warning")
    logging.addLevelName(logging.INFO, "info")
    logging.getLogger("difiisr_ros.long_work").setLevel(logging.INFO)  # how far it is
    try:
        chosen = _chosen_command(arguments)
        parser = build_parser(chosen)
        if chosen is not None and chosen not in (known := available_commands()):
            parser.error(
                f"there is no command {chosen}{suggestion(chosen, known)} (there are "
                f"{', '.join(known)})"
            )
        args = parser.parse_args(arguments)
        if args.command is None:
            parser.print_help(sys.stderr)
            return EXIT_USAGE
        if args.command in _NEED_TORCH:
            from difiisr_ros.backends.libraries import check_torch

            check_torch()
        return int(args.run(args))
    except Interrupted as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except DifiisrError as error:
        print(f"{PROGRAM}: error: {error}", file=sys.stderr)
        return EXIT_USAGE
    except ModuleNotFoundError as error:
        # A ROS workspace brings its libraries by rosdep, and some have no key there (PyTorch).
        if error.name is None or error.name.partition(".")[0] == __package__:
            raise
        root = error.name.partition(".")[0]
        how = "pip install 'difiisr_ros[torch]'" if root == "torch" else "see README.md"
        print(
            f"{PROGRAM}: error: this needs the Python module {error.name!r}, which "
            f"{sys.executable} does not have; {how}",
            file=sys.stderr,
        )
        return EXIT_USAGE
    except KeyboardInterrupt:
        print(f"{PROGRAM}: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`difiisr ... | head`). Python would complain once more when it
        # flushes stdout at exit, so give it somewhere to flush to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
