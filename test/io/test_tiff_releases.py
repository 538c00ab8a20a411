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

"""Releases of tifffile without what we use: the same files are written and read."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile

from difiisr_ros.io.tiff_releases import unpacked, write_arguments
from support.tiff_files import packed_tiff

FRAME = np.random.default_rng(1).integers(29237, 30261, (12, 16), dtype=np.uint16)

ARGUMENTS = {
    "compression": "zlib",
    "compressionargs": {"level": 1},
    "resolution": ((288, 1), (288, 1)),
    "resolutionunit": 3,
    "metadata": None,
}


class Old:
    """As in Ubuntu 22.04's release."""

    def write(self, data, compression=None, resolution=None, metadata=None):
        """Never called: the release is told by its arguments."""


class New:
    """As from 2022.7 on."""

    def write(self, data, compression=None, compressionargs=None, resolution=None,
              resolutionunit=None, metadata=None):  # fmt: skip
        """Never called: the release is told by its arguments."""


def test_an_older_release_gets_them_in_its_own_way(monkeypatch):
    monkeypatch.setattr(tifffile, "TiffWriter", Old)
    assert write_arguments(ARGUMENTS) == {
        "compression": ("zlib", 1),
        "resolution": ((288, 1), (288, 1), 3),
        "metadata": None,
    }
    assert ARGUMENTS["compressionargs"] == {"level": 1}, "those of the next page"
    monkeypatch.setattr(tifffile, "TiffWriter", New)
    assert write_arguments(ARGUMENTS) == ARGUMENTS


def test_the_installed_release_takes_them():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(FRAME, **write_arguments(ARGUMENTS))
    file.seek(0)
    with tifffile.TiffFile(file) as tiff:
        (page,) = tiff.pages
        assert page.tags[296].value == 3 and page.tags[282].value == (288, 1)
        assert page.compression == 8
        np.testing.assert_array_equal(page.asarray(), FRAME)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_samples_are_taken_apart(bits):
    image = FRAME[:, :13] % (1 << bits)  # rows that do not end with a byte
    with tifffile.TiffFile(io.BytesIO(packed_tiff(image, bits))) as tiff:
        values = unpacked(tiff, tiff.pages[0])
    assert values.dtype == np.uint16
    np.testing.assert_array_equal(values, image)


def test_other_pages_and_cut_off_ones_are_left_to_others():
    with tifffile.TiffFile(io.BytesIO(packed_tiff(FRAME % 1024, 10))) as tiff:
        page = tiff.pages[0]
        assert unpacked(tiff, page) is not None
        page.databytecounts = (page.databytecounts[0] - 1,)
        assert unpacked(tiff, page) is None
