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

"""What a JPEG says of itself, by its segments; the picture is decoded elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field

_STANDALONE = {0x01, *range(0xD0, 0xD8)}
_SOF = {0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
#: Application segments that no program but the camera maker's own fills with data.
_MAKERS = {*range(0xE3, 0xED), 0xEF}


@dataclass
class Jpeg:
    """The segments of a JPEG, and what follows from them."""

    whole: bool = False
    """Whether its end mark is there."""
    bits: int = 0
    width: int = 0
    height: int = 0
    channels: int = 0
    applications: list[tuple[int, bytes]] = field(default_factory=list)
    """Marker (0xE0 to 0xEF) and content of the application segments."""
    after: bytes = b""
    """What comes after the end mark."""

    @property
    def flir(self) -> bytes:
        """The FFF container of a FLIR camera, or nothing.

        It is cut over APP1 segments: ``FLIR``, 0, 1, number, last number, data.
        """
        chunks = [
            (content[6], content[8:])
            for marker, content in self.applications
            if marker == 0xE1 and content[:5] == b"FLIR\0" and len(content) > 8
        ]
        return b"".join(data for _, data in sorted(chunks, key=lambda chunk: chunk[0]))

    @property
    def other_raw_data(self) -> str:
        """What looks like another maker's raw frame, in words, or nothing: as many bytes as pixels.

        DJI's are in APP3 and following segments, others' after the picture's end.
        """
        pixels = max(self.width * self.height, 1)
        in_segments = sum(len(c) for marker, c in self.applications if marker in _MAKERS)
        if in_segments >= pixels:
            return f"{in_segments} bytes in the maker's own segments"
        if len(self.after) >= pixels and self.after[:2] != b"\xff\xd8":
            return f"{len(self.after)} bytes after the picture"
        return ""

    @property
    def beside(self) -> list[str]:
        """What it holds beside the picture, in a few words each."""
        found = []
        for marker, content in self.applications:
            if marker == 0xE1 and content[:4] == b"Exif":
                found.append("EXIF")
            elif marker == 0xE1 and content[:5] == b"http:":
                found.append("XMP")
            elif marker == 0xE2 and content[:3] == b"ICC":
                found.append("colour profile")
        if self.after[:2] == b"\xff\xd8":
            found.append("further pictures")
        return list(dict.fromkeys(found))


def parse_jpeg(data: bytes) -> Jpeg:
    """Read the segments of a JPEG, as far as they are there."""
    jpeg, at = Jpeg(), 2
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a fill byte
            at += 1
            continue
        if marker == 0xD9:
            jpeg.whole, jpeg.after = True, data[at + 2 :]
            break
        if marker in _STANDALONE:
            at += 2
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : end]
        if 0xE0 <= marker <= 0xEF:
            jpeg.applications.append((marker, content))
        elif marker in _SOF and len(content) >= 6:
            jpeg.bits, jpeg.channels = content[0], content[5]
            jpeg.height = int.from_bytes(content[1:3], "big")
            jpeg.width = int.from_bytes(content[3:5], "big")
        at = _end_of_scan(data, end) if marker == 0xDA else end
    return jpeg


def _end_of_scan(data: bytes, at: int) -> int:
    """Where the next marker is: within a scan, 0xFF is followed by 0 or by a restart mark."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return len(data)
        if data[at + 1] == 0 or data[at + 1] in _STANDALONE:
            at += 2
        else:
            return at
