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

"""Which files a recording consists of: what metadata.yaml names, and what is really there.

They do not always agree: a recorder that was killed leaves no metadata, or one without the last
part; people rename and compress files. What can be told is used, and every difference is named.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import NamedTuple

from difiisr_ros.errors import DataError

METADATA = "metadata.yaml"
STORAGE_SUFFIXES = (".mcap", ".db3")
PACKED = ".zstd"


class BagFiles(NamedTuple):
    """The files of one recording."""

    files: list[Path]
    """In recorded order."""
    notices: list[str]
    """Where metadata.yaml and the folder differ, in sentences."""
    trouble: str
    """Why not everything that metadata.yaml tells of can be had, or nothing."""


def is_storage(path: Path) -> bool:
    """Whether a file, perhaps compressed, holds messages of a rosbag2 bag, by its name."""
    return plain_name(path).endswith(STORAGE_SUFFIXES)


def plain_name(path: Path) -> str:
    """A file's name without the compression's ending."""
    return path.name.removesuffix(PACKED)


def bag_files(folder: Path) -> BagFiles:
    """The files of the recording in a folder.

    Raises:
        DataError: There is none, or it is not clear which of several is meant.
    """
    present = {path: _part(path) for path in sorted(folder.iterdir()) if _is_visible(path)}
    if not (folder / METADATA).is_file():
        return BagFiles(_one_recording(folder, present), [], "")
    try:
        named = _named(folder / METADATA)
    except DataError as error:
        if not present:
            raise DataError(
                f"{folder}: {error}, and there is no {' or '.join(STORAGE_SUFFIXES)} file"
            ) from error
        files = _one_recording(folder, present)
        names = _names(files)
        sentence = f"{folder}: {error}; read is what is there, {names}"
        return BagFiles(files, [sentence], str(error))
    return _compared(folder, present, named)


def _compared(folder: Path, present: dict[Path, tuple[str, int]], named: list[str]) -> BagFiles:
    files: list[Path] = []
    missing: list[str] = []
    by_name = {path.name: path for path in present}
    by_plain_name = {plain_name(path): path for path in present}
    for name in named:
        # A file that was compressed, or unpacked, after the recording is the same part.
        found = by_name.get(name) or by_plain_name.get(name.removesuffix(PACKED))
        if found is None:
            missing.append(name)
        else:
            files.append(found)
    known = {plain_name(path) for path in files}
    others = [path for path in present if plain_name(path) not in known]
    absent = f"names {', '.join(missing)}, not in the folder"
    if missing and not present:
        raise DataError(
            f"{folder}: {METADATA} {absent}, and there is no {' or '.join(STORAGE_SUFFIXES)} file"
        )
    if not files:
        files = _one_recording(folder, present)
        if not files:
            raise DataError(
                f"{folder}: {METADATA} names no file, and there is no "
                f"{' or '.join(STORAGE_SUFFIXES)} file"
            )
        trouble = f"{METADATA} {absent if missing else 'names no file'}"
        return BagFiles(files, [f"{folder}: {trouble}; read is {_names(files)} instead"], trouble)
    recordings = {present[path][0] for path in files}
    further = [path for path in others if present[path][0] in recordings]
    rest = [path for path in others if path not in further]
    notices = []
    if missing:
        notices.append(f"{folder}: {METADATA} {absent}; read is the rest")
    if further:
        notices.append(f"{folder}: {METADATA} does not name {_names(further)}, read all the same")
    if rest:
        notices.append(f"{folder}: {METADATA} does not name {_names(rest)}, left out")
    if len(recordings) == 1:
        files = sorted([*files, *further], key=lambda path: present[path][1])
    return BagFiles(files, notices, f"{METADATA} {absent}" if missing else "")


def _is_visible(path: Path) -> bool:
    return is_storage(path) and not path.name.startswith(".") and path.is_file()


def _part(path: Path) -> tuple[str, int]:
    """The recording's name and the number of the part: ``drive_2.mcap`` is 2 of drive."""
    match = re.fullmatch(r"(.*?)(?:_(\d+))?\.(?:mcap|db3)", plain_name(path))
    assert match is not None
    return match.group(1), int(match.group(2) or -1)


def _one_recording(folder: Path, present: dict[Path, tuple[str, int]]) -> list[Path]:
    recordings = sorted({name for name, _ in present.values()})
    if len(recordings) > 1:
        raise DataError(
            f"{folder}: holds several recordings ({', '.join(recordings[:4])} ...); name them one "
            f"by one, such as {folder}/*{next(iter(present)).suffix}"
        )
    # Beside its compressed form a file is what unpacking it has left, perhaps in part.
    packed = {plain_name(path) for path in present if path.suffix == PACKED}
    files = [path for path in present if path.suffix == PACKED or path.name not in packed]
    return sorted(files, key=lambda path: present[path][1])


def _named(metadata: Path) -> list[str]:
    """Names of the files that metadata.yaml has.

    Raises:
        DataError: It cannot be read, or is not a recorder's.
    """
    import yaml

    try:
        text = metadata.read_text(encoding="utf-8")
        if not text.strip():
            raise DataError(f"{METADATA} is empty")
        paths = yaml.safe_load(text)["rosbag2_bagfile_information"]["relative_file_paths"]
        return [PurePath(str(path)).name for path in paths or ()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{METADATA} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "it is not YAML"
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise DataError(f"{METADATA} is damaged{where}: {problem}") from error
    except (KeyError, TypeError) as error:
        raise DataError(f"{METADATA} does not name the bag's files") from error


def _names(files: list[Path]) -> str:
    names = [path.name for path in files]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
