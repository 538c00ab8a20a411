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

"""Engines are built once, used while everything they depend on is the same, and never trusted."""

from __future__ import annotations

import dataclasses
import errno
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from difiisr_ros.backends import cache_folder as folders
from difiisr_ros.backends.cache_folder import cache_folder, locked
from difiisr_ros.backends.engine_cache import EngineCache, EngineKey, EngineShapes

SHAPES = EngineShapes((1, 8, 8), (1, 120, 160), (4, 640, 640))
KEY = EngineKey("ab" * 32, "tensorrt", "11.1.0.106", "NVIDIA Orin", ("sm87",), "fp16", SHAPES, 2)
CHANGES = {
    "onnx_sha256": "cd" * 32,
    "flavour": "tensorrt_rtx",
    "tensorrt": "10.16.0.72",
    "gpu": "NVIDIA L4",
    "targets": ("sm87", "sm89"),
    "precision": "fp32",
    "shapes": EngineShapes((1, 8, 8), (1, 120, 160), (8, 640, 640)),
    "num_steps": 1,
}


class Builder:
    """Counts builds; every one gives another plan."""

    def __init__(self) -> None:
        self.builds = 0

    def __call__(self) -> bytes:
        self.builds += 1
        return b"plan %d" % self.builds


def load(plan: bytes) -> str:
    if not plan.startswith(b"plan"):
        raise ValueError("TensorRT cannot load it")
    return plan.decode()


@pytest.fixture
def cache(tmp_path):
    return EngineCache(tmp_path / "engines")


@pytest.fixture
def build():
    return Builder()


def _file(cache: EngineCache, suffix: str) -> Path:
    return cache.folder / (KEY.name + suffix)


def test_an_engine_is_built_once(cache, build):
    assert [cache.get(KEY, build, load) for _ in range(3)] == ["plan 1"] * 3
    assert EngineCache(cache.folder).get(KEY, build, load) == "plan 1"
    assert build.builds == 1
    facts = json.loads(_file(cache, ".json").read_text())
    assert facts["key"] == KEY.as_dict()
    assert facts["plan_bytes"] == len(b"plan 1")
    assert sorted(p.suffix for p in cache.folder.iterdir()) == [".json", ".lock", ".plan"]


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(EngineKey)])
def test_everything_an_engine_depends_on_makes_another_one(cache, build, field):
    other = dataclasses.replace(KEY, **{field: CHANGES[field]})
    assert cache.get(KEY, build, load) == "plan 1"
    assert cache.get(other, build, load) == "plan 2"
    assert cache.get(KEY, build, load) == "plan 1"  # and both stay


def test_engines_of_more_targets_are_found_by_one_of_them(cache, build):
    wide = dataclasses.replace(KEY, targets=("sm86", "sm89"))
    wider = dataclasses.replace(KEY, targets=("sm80", "sm86", "sm89"))
    other = dataclasses.replace(wide, precision="fp32")
    for key in (wide, wider, other):
        cache.get(key, build, load)
    asked = dataclasses.replace(KEY, targets=("sm80", "sm86", "sm89", "sm120"))
    assert set(cache.for_other_targets(asked, "sm89")) == {wide, wider}
    assert cache.for_other_targets(asked, "sm80") == [wider]
    assert cache.for_other_targets(wide, "sm120") == []


def test_a_key_is_read_back(cache, build):
    cache.get(KEY, build, load, graph={"model": "lite"})
    facts = json.loads(_file(cache, ".json").read_text())
    assert EngineKey.from_dict(facts["key"]) == KEY
    assert facts["graph"] == {"model": "lite"}
    with pytest.raises(ValueError, match="names no engine"):
        EngineKey.from_dict({"shapes": {}})


def test_another_key_under_this_name_is_not_taken(cache, build, caplog):
    """As after a copy by hand, or should two digests ever begin alike."""
    cache.get(KEY, build, load)
    facts = json.loads(_file(cache, ".json").read_text())
    facts["key"]["tensorrt"] = "10.0.0"
    _file(cache, ".json").write_text(json.dumps(facts))
    assert cache.get(KEY, build, load) == "plan 2"
    assert "of another engine" in caplog.text


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".plan", lambda p: p.write_bytes(b"plan 9")),
        (".plan", lambda p: p.write_bytes(b"")),
        (".plan", lambda p: p.unlink()),
        (".plan", lambda p: (p.unlink(), p.mkdir())),
        (".json", lambda p: p.write_bytes(b"\xff\x00{")),
        (".json", lambda p: p.write_text("[]")),
        (".json", lambda p: p.write_text('{"format": 0}')),
        (".json", lambda p: p.write_text("{")),
        (".json", lambda p: p.unlink()),
    ],
)
def test_a_damaged_entry_is_built_again(cache, build, suffix, damage):
    cache.get(KEY, build, load)
    damage(_file(cache, suffix))
    assert cache.get(KEY, build, load) == "plan 2"
    if not _file(cache, ".plan").is_dir():
        assert cache.get(KEY, build, load) == "plan 2"  # and kept


def test_an_engine_that_does_not_load_is_built_again(cache, build, caplog):
    cache.get(KEY, build, load)

    def picky(plan: bytes) -> str:
        return load(b"" if plan == b"plan 1" else plan)

    assert cache.get(KEY, build, picky) == "plan 2"
    assert "cannot load it" in caplog.text
    assert cache.get(KEY, build, load) == "plan 2"


def test_a_build_that_does_not_load_is_none(cache, build):
    with pytest.raises(ValueError, match="cannot load it"):
        cache.get(KEY, build, lambda plan: load(b""))
    assert build.builds == 1


def test_a_failing_build_leaves_nothing_and_the_lock_free(cache, build):
    def fail() -> bytes:
        raise RuntimeError("no such operator")

    with pytest.raises(RuntimeError, match="no such operator"):
        cache.get(KEY, fail, load)
    assert [p.suffix for p in cache.folder.iterdir()] == [".lock"]
    assert cache.get(KEY, build, load) == "plan 1"


def test_a_death_between_the_two_files_costs_a_build(cache, build, monkeypatch):
    """The plan of one build with the JSON of the one before."""
    cache.get(KEY, build, load)
    _file(cache, ".plan").write_bytes(b"plan of a build that died")
    assert cache.get(KEY, build, load) == "plan 2"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_without_room_or_right_to_write_it_works_and_says_so(
    cache, build, monkeypatch, caplog, number
):
    def refuse(*args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(folders.os, "fsync", refuse)
    assert [cache.get(KEY, build, load) for _ in range(2)] == ["plan 1", "plan 2"]
    assert [p.suffix for p in cache.folder.iterdir()] == [".lock"], "a temporary file is left"
    assert cache.trouble is not None and os.strerror(number) in cache.trouble
    assert not cache.kept
    assert "DIFIISR_CACHE" in caplog.text
    monkeypatch.undo()
    assert cache.get(KEY, build, load) == "plan 3"
    assert cache.trouble is None


def test_a_folder_that_cannot_be_made(tmp_path, build, caplog):
    (tmp_path / "file").write_text("")
    cache = EngineCache(tmp_path / "file" / "engines")
    assert cache.get(KEY, build, load) == "plan 1"
    assert "Not a directory" in str(cache.trouble)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_still_gives_what_it_has(cache, build):
    cache.get(KEY, build, load)
    cache.folder.chmod(0o555)
    try:
        assert cache.get(KEY, build, load) == "plan 1"
        assert cache.trouble is None
        other = dataclasses.replace(KEY, num_steps=9)
        assert cache.get(other, build, load) == "plan 2"
        assert "Permission denied" in str(cache.trouble)
    finally:
        cache.folder.chmod(0o755)


def test_what_is_there_is_read_without_the_lock(cache, build, monkeypatch):
    """A provisioned vehicle's file system is read-only; also tested so as root."""
    cache.get(KEY, build, load)
    monkeypatch.setattr(folders.fcntl, "flock", lambda *_: pytest.fail("locks"))
    assert cache.get(KEY, build, load) == "plan 1"


def test_a_file_system_without_locks(cache, build, monkeypatch, caplog):
    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(folders.fcntl, "flock", refuse)
    assert [cache.get(KEY, build, load) for _ in range(2)] == ["plan 1", "plan 1"]
    assert "No locks available" in caplog.text
    assert cache.kept


PROCESS = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_engine_cache import KEY, load
from difiisr_ros.backends.engine_cache import EngineCache
folder = Path(sys.argv[1])
def build():
    with (folder / "builds").open("a") as file:
        file.write("b")
    time.sleep(0.5)
    return b"plan 1"
print(EngineCache(folder / "engines").get(KEY, build, load))
"""


def test_processes_that_start_at_once_build_once(tmp_path):
    code = PROCESS.format(tests=str(Path(__file__).parent))
    processes = [
        subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    assert [p.communicate()[0].strip() for p in processes] == ["plan 1"] * 4
    assert (tmp_path / "builds").read_text() == "b"


def test_a_process_that_dies_gives_its_lock_back(tmp_path):
    code = (
        "import os, sys, pathlib\n"
        "from difiisr_ros.backends.cache_folder import locked\n"
        "with locked(pathlib.Path(sys.argv[1])): os._exit(9)"
    )
    path = tmp_path / "lock"
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == 9
    with locked(path, lambda _: pytest.fail("is still locked")):
        pass


def test_waiting_is_said_and_can_be_interrupted(cache, build, caplog):
    caplog.set_level(logging.INFO)
    calls = []

    def interrupted() -> None:
        calls.append(1)
        if len(calls) > 2:
            raise KeyboardInterrupt

    with locked(cache.folder / (KEY.name + ".lock")), pytest.raises(KeyboardInterrupt):
        cache.get(KEY, build, load, interrupted)
    assert len(calls) == 3
    assert build.builds == 0
    assert caplog.text.count("another process builds this engine") == 1  # every 5 s


def test_one_thread_at_a_time_has_the_lock(tmp_path):
    inside, most = [], []

    def work() -> None:
        for _ in range(20):
            with locked(tmp_path / "lock"):
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 80


def test_the_folder_is_the_users_choice(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("DIFIISR_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "difiisr_ros"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == tmp_path / ".cache" / "difiisr_ros"
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/difiisr_ros")
    monkeypatch.setenv("DIFIISR_CACHE", "~/mine")
    assert cache_folder() == tmp_path / "mine"
    assert EngineCache().folder == tmp_path / "mine" / "tensorrt"


def test_a_user_without_a_home(monkeypatch, build, caplog):
    def none(cls):
        raise RuntimeError("Could not determine home directory.")

    for name in ("DIFIISR_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", classmethod(none))
    cache = EngineCache()
    assert cache.get(KEY, build, load) == "plan 1"
    assert "set DIFIISR_CACHE" in caplog.text


def test_shapes():
    assert (1, 120, 160) in SHAPES and (4, 640, 640) in SHAPES
    for outside in ((5, 120, 160), (1, 7, 160), (1, 120, 641)):
        assert outside not in SHAPES
    assert str(SHAPES) == "1x8x8 to 4x640x640"
    assert str(EngineShapes(*[(1, 120, 160)] * 3)) == "1x160x120"
