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

"""The `difiisr` command: help without imports, exit codes, one-line errors."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import types

import pytest

from difiisr_ros import cli
from difiisr_ros.errors import DataError
from difiisr_ros.version import __version__


@pytest.fixture
def command(monkeypatch):
    """Install a subcommand `probe` whose run() is given; returns the function to install it."""

    def install(run):
        module = types.ModuleType("probe_command")
        module.__spec__ = importlib.machinery.ModuleSpec("probe_command", None)
        module.HELP = "Probe."
        module.add_arguments = lambda parser: parser.add_argument("--level", type=int, default=3)
        module.run = run
        monkeypatch.setitem(sys.modules, "probe_command", module)
        monkeypatch.setattr(cli, "COMMANDS", {"probe": ("probe_command", "Probe.")})

    return install


def test_help_imports_no_command_and_no_heavy_library():
    code = (
        "import sys\n"
        "from difiisr_ros import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0, stop.code\n"
        "print('LOADED', sorted(m for m in sys.modules if m in "
        "('torch', 'cv2', 'numpy', 'rclpy', 'skimage', 'rosbags') or m in "
        "[module for module, _ in cli.COMMANDS.values()]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "evaluate" in done.stdout
    assert "LOADED []" in done.stdout


def test_every_listed_command_has_the_interface_and_the_same_help():
    available = cli.available_commands()
    assert {"evaluate", "train", "upscale", "demo"} <= set(available)
    for name, (module_name, help_line) in available.items():
        module = importlib.import_module(module_name)
        assert help_line == module.HELP, name
        module.add_arguments(argparse.ArgumentParser())
        assert callable(module.run)


def test_a_command_that_is_not_installed_is_not_listed(monkeypatch, capsys):
    monkeypatch.setitem(cli.COMMANDS, "ghost", ("difiisr_ros.no_such_module", "Not there."))
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0
    assert "ghost" not in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_help_of_each_command(name, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([name, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert f"difiisr {name}" in out
    assert "default: None" not in out


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.strip() == f"difiisr {__version__}"


def test_unknown_command_exits_2_and_names_the_known_ones(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["upscael"])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert "upscael" in error
    assert "evaluate" in error


def test_no_command_prints_help_and_exits_2(capsys):
    assert cli.main([]) == 2
    assert "evaluate" in capsys.readouterr().err


def test_exit_code_and_arguments_reach_the_command(command):
    command(lambda args: args.level)
    assert cli.main(["probe", "--level", "1"]) == 1
    assert cli.main(["probe"]) == 3


def test_bad_value_exits_2(command, capsys):
    command(lambda args: 0)
    with pytest.raises(SystemExit) as stop:
        cli.main(["probe", "--level", "high"])
    assert stop.value.code == 2
    assert "--level" in capsys.readouterr().err


def test_a_users_error_is_one_line_and_exit_2(command, capsys):
    def run(args):
        raise DataError("frame.png: is a text file")

    command(run)
    assert cli.main(["probe"]) == 2
    assert capsys.readouterr().err == "difiisr: error: frame.png: is a text file\n"


def test_interrupt_exits_130(command, capsys):
    def run(args):
        raise KeyboardInterrupt

    command(run)
    assert cli.main(["probe"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_missing_library_is_named_with_the_interpreter(command, capsys):
    def run(args):
        import a_library_nobody_has  # noqa: F401

    command(run)
    assert cli.main(["probe"]) == 2
    error = capsys.readouterr().err
    assert "a_library_nobody_has" in error
    assert sys.executable in error


def test_a_missing_module_of_our_own_is_a_bug_not_a_users_error(command):
    def run(args):
        import difiisr_ros.no_such_module  # noqa: F401

    command(run)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["probe"])


def test_a_bug_is_not_hidden(command):
    def run(args):
        raise ZeroDivisionError

    command(run)
    with pytest.raises(ZeroDivisionError):
        cli.main(["probe"])


def test_a_reader_that_goes_away_causes_no_traceback():
    code = (
        "import sys, types\n"
        "from difiisr_ros import cli\n"
        "module = types.ModuleType('chatty'); module.__spec__ = "
        "__import__('importlib.machinery').machinery.ModuleSpec('chatty', None)\n"
        "module.add_arguments = lambda parser: None\n"
        "def run(args):\n"
        "    for _ in range(100000): print('x' * 100)\n"
        "    return 0\n"
        "module.run = run\n"
        "sys.modules['chatty'] = module\n"
        "cli.COMMANDS['chatty'] = ('chatty', '')\n"
        "sys.exit(cli.main(['chatty']))\n"
    )
    done = subprocess.run(
        ["bash", "-c", '"$0" -c "$1" | head -1; echo "${PIPESTATUS[0]}"', sys.executable, code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1] == "0"
    assert done.stderr == ""
