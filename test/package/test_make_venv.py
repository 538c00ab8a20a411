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

"""tools/make_venv.sh, which every `make` target relies on: what breaks a .venv, it mends.

With one tiny package instead of the real requirements, so that it takes seconds and no network.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    os.uname().sysname != "Linux" or os.uname().machine != "x86_64",
    reason="rclpy's wheels are for Linux x86_64",
)


def _wheel(folder: Path, version: str) -> Path:
    """A wheel of one module, `tiny`, that knows its version."""
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"tiny-{version}.dist-info/METADATA": (
            f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n"
        ),
        f"tiny-{version}.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
    }
    record = ""
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=")
        record += f"{name},sha256={digest.decode()},{len(text)}\n"
    record += f"tiny-{version}.dist-info/RECORD,,\n"
    path = folder / f"tiny-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {**files, f"tiny-{version}.dist-info/RECORD": record}.items():
            archive.writestr(name, text)
    return path


class Setup:
    """Runs the script on an environment in a folder of its own."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.script = repository / "tools" / "make_venv.sh"
        self.folder = folder
        self.venv = folder / "env"
        self.requirements = folder / "requirements.txt"
        self.require("1.0")

    def require(self, version: str) -> None:
        self.requirements.write_text(f"{_wheel(self.folder, version)}\n")

    def __call__(self, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "VENV": str(self.venv),
            "REQUIREMENTS": str(self.requirements),
            "MODULES": "tiny json",
            "PROJECT": "",
            "PYTHON": sys.executable,
            "PIP_FLAGS": "--no-index",
            **settings,
        }
        return subprocess.run(
            ["bash", str(self.script)], env=environment, capture_output=True, text=True, timeout=120
        )

    def version(self) -> str:
        code = "import tiny; print(tiny.VERSION)"
        return subprocess.check_output(
            [str(self.venv / "bin" / "python"), "-c", code], text=True
        ).strip()

    @property
    def module(self) -> Path:
        (path,) = self.venv.glob("lib/python3*/site-packages/tiny.py")
        return path


@pytest.fixture(scope="module")
def finished(repository, tmp_path_factory) -> Path:
    """A folder with a complete environment."""
    folder = tmp_path_factory.mktemp("make_venv")
    setup = Setup(repository, folder)
    done = setup()
    assert done.returncode == 0, done.stderr
    assert "making" in done.stderr
    assert setup.version() == "1.0"
    return folder


@pytest.fixture
def setup(repository, finished) -> Setup:
    """A complete environment; each test breaks it in its own way and sees it mended."""
    setup = Setup(repository, finished)
    assert setup().returncode == 0
    return setup


def test_complete_means_nothing_is_done(setup):
    before = setup.module.stat().st_mtime_ns
    done = setup()
    assert done.returncode == 0
    assert done.stderr == "" and done.stdout == ""
    assert setup.module.stat().st_mtime_ns == before


def test_changed_requirements_are_installed_in_place(setup):
    marker = setup.venv / "marker"
    marker.write_text("")
    setup.require("2.0")
    done = setup()
    assert done.returncode == 0, done.stderr
    assert "mending" in done.stderr
    assert setup.version() == "2.0"
    assert marker.exists(), "mended in place"


def test_requirements_that_others_take_in_are_theirs(setup):
    (setup.folder / "more.txt").write_text(setup.requirements.read_text())
    setup.requirements.write_text("-r more.txt\n")
    assert setup().returncode == 0
    (setup.folder / "more.txt").write_text(f"{_wheel(setup.folder, '3.0')}\n")
    done = setup()
    assert done.returncode == 0, done.stderr
    assert setup.version() == "3.0"


@pytest.mark.slow
def test_an_interrupted_setup_is_finished(setup):
    """pip was killed: no mark of completeness, and a package is missing."""
    (setup.venv / ".complete").unlink()
    shutil.rmtree(next(setup.venv.glob("lib/python3*/site-packages/tiny-*.dist-info")))
    setup.module.unlink()
    done = setup()
    assert done.returncode == 0, done.stderr
    assert setup.version() == "1.0"


@pytest.mark.slow
def test_a_deleted_file_is_noticed_although_pip_sees_nothing_wrong(setup):
    setup.module.unlink()
    done = setup()
    assert done.returncode == 0, done.stderr
    assert setup.version() == "1.0"


@pytest.mark.slow
def test_a_missing_interpreter(setup):
    for python in (setup.venv / "bin").glob("python*"):
        python.unlink()
    done = setup()
    assert done.returncode == 0, done.stderr
    assert setup.version() == "1.0"


@pytest.mark.slow
def test_a_moved_environment_is_made_anew(setup):
    moved = setup.folder / "elsewhere"
    setup.venv.rename(moved)
    setup.venv = moved
    done = setup()
    assert done.returncode == 0, done.stderr
    assert str(moved) in (moved / "bin" / "pip").read_text(), "scripts name the new place"
    shutil.rmtree(moved)


@pytest.mark.slow
def test_what_cannot_be_installed_is_an_error_and_is_tried_again(setup):
    setup.requirements.write_text("no-such-package-anywhere==1.0\n")
    done = setup()
    assert done.returncode == 2
    assert "could not install" in done.stderr
    setup.require("1.0")
    assert setup().returncode == 0
    assert setup.version() == "1.0"


@pytest.mark.slow
def test_a_module_that_does_not_come_with_the_requirements_is_an_error(setup):
    done = setup(MODULES="tiny not_there")
    assert done.returncode == 2
    assert "not_there" in done.stderr


def test_no_usable_python(setup, tmp_path):
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = setup(PYTHON=str(old), VENV=str(tmp_path / "env"))
    assert done.returncode == 2
    assert "no usable Python" in done.stderr
    assert "venv" in done.stderr


def test_only_the_versions_that_will_do_are_taken(setup, tmp_path):
    done = setup(VERSIONS="2.6 3.0", VENV=str(tmp_path / "env"))
    assert done.returncode == 2
    assert "needs one of 2.6, 3.0" in done.stderr


@pytest.mark.slow
def test_a_python_of_those_versions_is_found(setup, tmp_path):
    running = "{}.{}".format(*sys.version_info)
    done = setup(VERSIONS=running, PYTHON="", VENV=str(tmp_path / "env"))
    assert done.returncode == 0, done.stderr
    assert f"with Python {running}." in done.stderr


def test_pip_speaks_in_one_line_unless_asked(setup):
    setup.require("1.5")
    done = setup()
    assert done.returncode == 0 and "packages left" in done.stderr
    assert "Successfully installed" not in done.stdout + done.stderr
    assert "Successfully installed tiny-1.5" in (setup.venv / "pip.log").read_text()
    setup.require("1.6")
    done = setup(V="1")
    assert done.returncode == 0 and "Successfully installed tiny-1.6" in done.stdout


@pytest.mark.slow
def test_what_pip_says_is_shown_where_it_fails(setup):
    setup.requirements.write_text("nothing_of_that_name==1.0\n")
    done = setup()
    assert done.returncode == 2 and "nothing_of_that_name" in done.stderr
