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

"""Files of frames to files of frames: which goes where, and each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from difiisr_ros.commands.frame_notices import FrameNotices
from difiisr_ros.commands.outcome import Outcome
from difiisr_ros.commands.preview import preview_of, write_preview
from difiisr_ros.commands.stream_arguments import NO_MEMORIES, StreamMemories
from difiisr_ros.core.missing import missing_mask, put_back
from difiisr_ros.core.output_geometry import AS_IT_IS, Placement
from difiisr_ros.errors import BackendUnavailable, DataError, DifiisrError, OutputError
from difiisr_ros.io.dji import raw_size
from difiisr_ros.io.frame_files import FramePlace
from difiisr_ros.io.images import FRAME_SUFFIXES, IMAGE_SUFFIXES, survey_folder
from difiisr_ros.io.not_used import kind_of_path
from difiisr_ros.io.numbers import check_type, to_computed, to_stored
from difiisr_ros.io.open_stack import open_stack
from difiisr_ros.io.stack import COUNTS, ReadOptions, Stack
from difiisr_ros.io.tiff_tags import in_temperatures
from difiisr_ros.io.video import VIDEO_SUFFIXES
from difiisr_ros.io.write_stack import STACK_SUFFIXES, check_target, writing
from difiisr_ros.messages.jpeg import parse_jpeg
from difiisr_ros.stream_memory import StreamMemory

#: Endings that a result keeps.
_KEPT = (".png", *STACK_SUFFIXES)
#: Ending of the result -> of other files. Lossy and rare picture formats become PNG.
_OTHERS = dict.fromkeys((".csv", ".fff", ".seq", ".csq", *VIDEO_SUFFIXES), ".tiff")
_INTEGERS = tuple(suffix for suffix in IMAGE_SUFFIXES if suffix not in STACK_SUFFIXES)
_WRITTEN = (*IMAGE_SUFFIXES, ".npy", ".npz")
_ORIENTATION = 274  # a TIFF tag
Check = Callable[[Stack, np.ndarray, np.ndarray], None]


@dataclass(frozen=True)
class Job:
    """A file to upscale, and where its result goes."""

    source: Path
    target: Path
    alone: bool
    """Whether it is all that was asked for, so that its error is the command's."""
    preview: Path | None = None
    """Where a picture of it goes, if its values are no picture themselves."""


def plan_files(
    source: Path,
    output: Path,
    options: ReadOptions,
    outcome: Outcome,
    *,
    recursive: bool,
    skip_existing: bool,
    overwrite: bool,
    preview: bool = False,
    into_folder: bool = False,
) -> list[Job]:
    """What to read and where to write it; what is left aside is noted in ``outcome``.

    ``output`` is a folder where it is one already, has no ending, or ``into_folder`` says so.

    Raises:
        DataError: The input is missing or has no frames, an output is the input or in it, or is
            there already and neither to be skipped nor overwritten.
        OutputError: The output cannot be written.
    """
    if not source.exists():
        raise DataError(f"{source}: no such file or folder")
    if source.is_dir():
        if output.suffix.lower() in FRAME_SUFFIXES and not (into_folder or output.exists()):
            raise DataError(
                f"{output}: is named as a file, but the results of a folder need a folder; "
                f"{output}/ makes one of this name"
            )
        jobs = _plan_folder(source, output, options, outcome, recursive)
    elif into_folder or output.is_dir() or not output.suffix:
        jobs = [Job(source, _targets([source], output, options)[0], True)]
    else:
        if output.suffix.lower() not in _WRITTEN:
            raise DataError(
                f"{output}: unknown image format {output.suffix}; accepted are "
                f"{', '.join(_WRITTEN)}; {output}/ makes a folder of this name"
            )
        if options.unit != COUNTS and output.suffix.lower() in _INTEGERS:
            raise DataError(
                f"{output}: {output.suffix} holds whole numbers, and --unit {options.unit} gives "
                f"float32; accepted are {', '.join(STACK_SUFFIXES)}"
            )
        jobs = [Job(source, output, True)]
    inputs = {job.source.resolve() for job in jobs}
    for job in jobs:
        if job.target.resolve() in inputs:
            raise DataError(
                f"{job.target}: is an input, which is never overwritten; choose another OUT"
            )
    if preview:
        jobs = _with_previews(jobs, skip_existing)
    for job in jobs:
        if job.preview is not None and job.preview.resolve() in inputs:
            raise DataError(f"{job.preview}: is an input, which is never overwritten")
    if skip_existing:
        left = [job for job in jobs if not job.target.exists()]
        outcome.skipped, jobs = len(jobs) - len(left), left
    there = [path for job in jobs for path in (job.target, job.preview) if path and path.exists()]
    if there and not overwrite:
        first = there[0]
        more = f", and {len(there) - 1} more are" if len(there) > 1 else ""
        raise DataError(
            f"{first}: is there already{more}; --overwrite replaces what is there, --skip-existing "
            "leaves it"
        )
    for folder in {job.target.parent: job.target for job in jobs}.values():
        check_target(folder)
    return jobs


def _with_previews(jobs: list[Job], skip_existing: bool) -> list[Job]:
    targets = {job.target for job in jobs}
    for job in jobs:
        if preview_of(job.target) in targets:
            raise DataError(f"{preview_of(job.target)}: would be a result and a preview")
    kept = {job for job in jobs if skip_existing and preview_of(job.target).exists()}
    return [j if j in kept else replace(j, preview=preview_of(j.target)) for j in jobs]


def _plan_folder(
    source: Path, output: Path, options: ReadOptions, outcome: Outcome, recursive: bool
) -> list[Job]:
    if output.is_file():
        raise DataError(f"{output}: is a file, but the results of a folder need a folder")
    if output.resolve().is_relative_to(source.resolve()):
        raise DataError(
            f"{output}: is the input or in it, which is never overwritten; choose another OUT"
        )
    files, rest = survey_folder(source, recursive)
    for path in rest:
        folders = "links to folders" if recursive else "sub-folders (--recursive takes them)"
        outcome.leave_out(str(path.relative_to(source)), kind_of_path(path, folders))
    if not files:
        others = outcome.not_used_in_words()
        raise DataError(
            f"{source}: no image in this folder (endings: {', '.join(FRAME_SUFFIXES)})"
            + (f"; it has {others}" if others else "")
        )
    groups: dict[Path, list[Path]] = {}
    for path in files:
        groups.setdefault(path.parent, []).append(path)
    jobs = []
    for folder, members in groups.items():
        targets = _targets(members, output / folder.relative_to(source), options)
        jobs += [Job(path, target, False) for path, target in zip(members, targets)]
    return jobs


def _targets(files: list[Path], folder: Path, options: ReadOptions) -> list[Path]:
    """Output files in a folder: names kept where the ending can be, all different."""
    endings = _KEPT if options.unit == COUNTS else STACK_SUFFIXES
    kept = {p.name.lower() for p in files if p.suffix.lower() in endings}
    names = []
    for path in files:
        name = path.name
        if path.suffix.lower() not in endings:
            ending = _ending(path, options)
            name = f"{path.stem}{ending}"
            unlike = f"{path.stem}_{path.suffix[1:]}"  # a.jpg beside a.png
            while name.lower() in kept:
                name, unlike = f"{unlike}{ending}", f"{unlike}_"
            kept.add(name.lower())
        names.append(folder / name)
    return names


def _ending(path: Path, options: ReadOptions) -> str:
    suffix = path.suffix.lower()
    if options.unit != COUNTS:
        return ".tiff"
    if suffix in (".jpg", ".jpeg") and not options.allow_preview:
        try:
            jpeg = parse_jpeg(path.read_bytes())
        except OSError:
            return ".png"  # reading it will say why
        radiometric = bool(jpeg.flir) or raw_size(jpeg) is not None
        return ".tiff" if radiometric else ".png"
    return _OTHERS.get(suffix, ".png")


def upscale_files(
    jobs: list[Job],
    resolver: Any,
    options: ReadOptions,
    outcome: Outcome,
    memories: StreamMemories = NO_MEMORIES,
) -> None:
    """Upscale file by file, one frame in memory at a time.

    A file that cannot be used is left out, as a whole, and noted in ``outcome``. Where something
    is remembered, the frames of a folder follow each other in time, and those of a file of several.

    Raises:
        DataError: The only file cannot be used.
        OutputError: A result cannot be written; those after it could not be either.
        BackendUnavailable: The engine does not run.
    """
    from tqdm import tqdm

    notices = FrameNotices(resolver, every=1)
    empty: list[str] = []

    def check(stack: Stack, frame: np.ndarray, stored: np.ndarray) -> None:
        for words in notices.look(frame, stack.order, stored):
            outcome.notice(f"{stack.name}: {words}")

    newest: Path | None = None
    for job in tqdm(jobs, unit="file", disable=True if len(jobs) == 1 else None):
        try:
            with open_stack(job.source, options) as stack:
                several = stack.count > 1
                stream = job.source if several else job.source.parent
                if stream != newest:
                    memories.forget()
                    newest = stream
                memory = memories.of(stream)
                done = _upscale_stack(stack, job, resolver, check, empty, options.unit, memory)
                if job.target.suffix.lower() not in (".tif", ".tiff") and _has_tags(stack):
                    stack.unused.append("TIFF's tags, which only a TIFF holds")
                outcome.not_used += [(str(job.source), what) for what in stack.unused]
                for words in stack.lacks:
                    outcome.lack(words)
        except OutputError as error:
            raise _about(job.source, error, OutputError) from error
        except BackendUnavailable:  # no fault of the file
            raise
        except DifiisrError as error:
            if job.alone:
                raise _about(job.source, error, DataError) from error
            outcome.fail(str(job.source), error)
        else:
            outcome.done += done
    if empty:
        more = f", nor of {len(empty) - 1} more" if len(empty) > 1 else ""
        outcome.notice(
            f"{empty[0]}: no pixel of the frame is a measurement{more}; the result holds none"
        )


def _has_tags(stack: Stack) -> bool:
    """Whether there is more to take over than how to show the picture."""
    tags = stack.tags(0, AS_IT_IS) if stack.tags is not None else {}
    codes = {code for code, *_ in tags.get("extratags", ())}
    return "description" in tags or bool(codes - {_ORIENTATION})


def _about(source: Path, error: Exception, kind: type[DataError]) -> DataError:
    text = str(error)
    return kind(text if str(source) in text else f"{source}: {text}")


def _upscale_stack(
    stack: Stack,
    job: Job,
    resolver: Any,
    check: Check,
    empty: list[str],
    unit: str,
    memory: StreamMemory | None,
) -> int:
    """Upscale a file's frames; ``empty`` gets those without a measurement."""
    placement = AS_IT_IS
    convert = None if stack.scale is None else partial(stack.scale.convert, unit=unit)

    def fitted(index: int) -> dict[str, Any]:
        carried = stack.tags(index, placement)
        return carried if convert is None else in_temperatures(carried)

    tags = None if stack.tags is None else fitted
    first: np.ndarray | None = None
    with writing(job.target, stack.parts, tags) as write:
        for number, image in enumerate(stack.frames()):
            checked = partial(check, stack)
            place = FramePlace(job.source, number, stack.count)
            placement = _placement(image, resolver)
            result = upscale_stored(
                image, stack.name, stack.nodata, resolver, checked, convert, memory,
                nothing=partial(empty.append, str(place)),
            )  # fmt: skip
            write(result)
            first = result if first is None else first
    if job.preview is not None and first is not None and first.dtype != np.uint8:
        write_preview(job.preview, first, stack.nodata)
    return stack.count


def _placement(image: np.ndarray, resolver: Any) -> Placement:
    """Where the pixels of a file's frame lie in its result."""
    crop = resolver.camera.crop
    wanted, geometry = resolver.view(*crop.of(image).shape)
    return geometry.placement((crop.left + wanted.x, crop.top + wanted.y))


def upscale_stored(
    image: np.ndarray,
    name: str,
    nodata: float | None,
    resolver: Any,
    check: Callable[[np.ndarray, np.ndarray], None] = lambda frame, stored: None,
    convert: Callable[..., np.ndarray] | None = None,
    memory: StreamMemory | None = None,
    nothing: Callable[[], None] = lambda: None,
) -> np.ndarray:
    """Upscale a frame of any type of number, in that type.

    Args:
        image: H x W.
        name: What messages call it.
        nodata: A value that stands for no measurement, beside those that the camera's profile
            names: its pixels stay it, and others are not mixed with it.
        resolver: A ``SuperResolver``.
        check: Looks at the frame that is upscaled, and at what was stored.
        convert: Makes temperatures of a result and ``missing``, the mask of the frame's pixels
            without a measurement, or None.
        memory: Of the frames before it; None: it is looked at by itself.
        nothing: Is called where no pixel of the frame is a measurement.

    Returns:
        What ``resolver.geometry`` says of what the profile's crop leaves; where that is nothing but
        missing, that value.

    Raises:
        DataError, FrameError: Numbers that cannot be computed with, or a frame that cannot be used.
    """
    check_type(image.dtype, name)
    camera = resolver.camera
    declared = camera.missing if nodata is None else (*camera.missing, (nodata, nodata))
    missing = missing_mask(image, declared)
    if missing is None:
        frame = to_computed(image, name)
        check(frame, image)
        result = to_stored(resolver.upscale(frame, memory=memory), image.dtype)
        return result if convert is None else convert(result)
    picture, gone = camera.crop.of(image), camera.crop.of(missing)
    wanted, geometry = resolver.view(*picture.shape)
    if gone.all():
        nothing()
        same = geometry.place_values(wanted.of(picture))
        placed = geometry.place_mask(wanted.of(gone))
        return same if convert is None else convert(same, missing=placed)
    known = image.copy()
    known[missing] = picture[~gone][0]  # anything that can be computed with
    frame = to_computed(known, name)
    check(frame, known)
    result = to_stored(resolver.upscale(frame, missing=missing, memory=memory), image.dtype)
    if convert is not None:
        return convert(result, missing=geometry.place_mask(wanted.of(gone)))
    put_back(result, wanted.of(picture), wanted.of(gone), geometry)
    return result
