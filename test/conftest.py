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

"""What all tests share: an isolated DDS domain, and the real thermal frames where they are."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.collected import collected, skip_without
from support.paths import DRONE_FRAMES, REPOSITORY

# Tests of tools/ and of launch files import them by name.
sys.path.append(str(REPOSITORY / "tools"))

# A shell starts background jobs with SIGINT ignored, and children inherit that: a test run from CI
# would find that nothing it starts can be interrupted.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# launch, which its pytest plugins import, makes every later logger one that passes nothing on: what
# our modules log would never reach caplog. The manager's own choice comes first. And it lowers the
# level of everything, which caplog would then have more of than users see.
logging.Logger.manager.setLoggerClass(logging.Logger)
logging.root.setLevel(logging.WARNING)


def reserve_domain() -> tuple[int, socket.socket | None]:
    """A DDS domain that no other test run on this machine uses, while the socket is open.

    The ports are those by which ROS 2's own test tools (domain_coordinator) reserve domains. Up to
    101 a domain's own ports stay below the ephemeral ones.
    """
    domains = random.SystemRandom().sample(range(1, 102), 101)
    for domain in domains:
        reservation = socket.socket()
        try:
            reservation.bind(("127.0.0.1", 22119 + domain))
        except OSError:
            reservation.close()
        else:
            return domain, reservation
    return domains[0], None


# Before anything imports rclpy, and inherited by the processes that tests start. Two test runs must
# not hear each other: both have a node of the same name, and each would take the other's answers.
DOMAIN, _RESERVATION = reserve_domain()
os.environ["ROS_DOMAIN_ID"] = str(DOMAIN)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
if os.environ.get("ROS_DISTRO") == "humble":  # older than the variable above
    os.environ["ROS_LOCALHOST_ONLY"] = "1"
# rclpy from wheels looks packages up in the environment's prefix. An installed ROS 2 has set this.
os.environ.setdefault("AMENT_PREFIX_PATH", sys.prefix)
# Where the shell forbids compiled files, each of a hundred processes would compile all it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# Workers share the cores: threads that wait for a core that another worker has burn their own.
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
# What `auto` takes must not depend on how busy this machine happens to be.
os.environ["DIFIISR_AUTO_BENCHMARK"] = "0"
# Tests neither find what the user has in the cache nor leave anything there.
_CACHE = tempfile.TemporaryDirectory(prefix="difiisr_cache_")
os.environ["DIFIISR_CACHE"] = _CACHE.name


if int(pytest.__version__.partition(".")[0]) >= 7:

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> object | None:
        """See there."""
        return collected(module_path, parent, path=module_path)

else:  # Ubuntu 22.04's 6.2 knows py.path alone

    @pytest.hookimpl(tryfirst=True)
    def pytest_pycollect_makemodule(path: object, parent: pytest.Collector) -> object | None:
        """See there."""
        return collected(Path(str(path)), parent, fspath=path)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before fixtures, which may need the same."""
    skip_without(item)


@pytest.fixture(scope="session")
def repository() -> Path:
    """Folder of the sources; skips where the tests were taken out of it."""
    if not (REPOSITORY / "package.xml").is_file():
        pytest.skip(f"the package's sources are not in {REPOSITORY}")
    return REPOSITORY


@pytest.fixture(scope="session")
def copy_sources(repository: Path) -> Callable[[Path], Path]:
    """A function that copies the sources to a folder, for builds, which leave files beside them."""
    skip = shutil.ignore_patterns(
        ".git", ".venv*", "build", "install", "log", "out", "*.egg-info", "__pycache__", ".*_cache"
    )

    def copy(target: Path) -> Path:
        shutil.copytree(repository, target, ignore=skip)
        return target

    return copy


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """`DIFIISR_DATA`, or `shared/data` beside the repository, whether it is there or not."""
    return Path(os.environ.get("DIFIISR_DATA") or REPOSITORY.parent / "shared" / "data")


@pytest.fixture(scope="session")
def data_dir(data_folder: Path) -> Path:
    """Folder of the real thermal frames that are no part of the repository; skips without."""
    if not data_folder.is_dir():
        pytest.skip(f"no real frames in {data_folder} (DIFIISR_DATA can name another folder)")
    return data_folder


@pytest.fixture(scope="module")
def simplified_once() -> Iterator[None]:
    """Of the graphs that a module exports again and again, each is simplified once."""
    from difiisr_ros.export import onnx_writer
    from support.graph_models import remembering

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_writer, "_simplified", remembering(onnx_writer._simplified))
        yield


@pytest.fixture(scope="session")
def drone_frames() -> list[Path]:
    """Twenty real frames of 320x256, 8 bits, that every clone has; see their README."""
    return sorted(DRONE_FRAMES.glob("*.jpg"))
