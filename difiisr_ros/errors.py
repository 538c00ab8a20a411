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

"""Errors that a user can cause, each saying what was wrong and what is accepted.

Everything derives from :class:`DifiisrError`, so that a command can turn any of them into one
line and exit code 2, and a node into one throttled log line and a counter.
"""

from __future__ import annotations


class DifiisrError(Exception):
    """Base of every error this package raises on purpose."""


class FrameError(DifiisrError, ValueError):
    """A frame (or an image message) that cannot be upscaled as it is."""


class OptionError(DifiisrError, ValueError):
    """An unknown option, or one outside its documented range."""


class DataError(DifiisrError, ValueError):
    """An input file, folder or bag that cannot be read, or an output that cannot be written."""


class OutputError(DataError):
    """An output that cannot be written, so that those after it could not be either."""


class ModelError(DifiisrError, ValueError):
    """A file that is not a usable model."""


class BackendUnavailable(DifiisrError, RuntimeError):
    """A backend that cannot run here, with the reason and what would make it run."""


class DeviceOutOfMemory(DifiisrError, RuntimeError):
    """The device has not the memory for a frame of this size; smaller tiles may fit."""


class Interrupted(DifiisrError, RuntimeError):
    """The process was asked to stop during work of minutes, which was given up."""


def first_line(error: BaseException) -> str:
    """Of what a library says, which may be many; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
