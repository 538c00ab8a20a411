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

"""The package's version, for whatever writes it down."""

from __future__ import annotations

import re
from pathlib import Path

_NAME = "difiisr_ros"
_MANIFEST = Path(__file__).resolve().parents[1] / "package.xml"

#: Where bug reports go: the bug tracker in package.xml, once it has one.
REPORT_TO = "the maintainer that the package.xml of your copy names"


def _version(manifest: Path) -> str:
    """What package.xml says, in a checkout; elsewhere what was installed.

    package.xml comes first: an editable install keeps the number that it was made with.
    """
    try:
        text = manifest.read_text(encoding="utf-8")
    except OSError:
        text = ""
    if f"<name>{_NAME}</name>" in text and (found := re.search(r"<version>([^<]+)<", text)):
        return found.group(1)
    from importlib import metadata  # 70 ms, which a checkout need not wait for

    try:
        return metadata.version(_NAME)
    except metadata.PackageNotFoundError:  # a copied folder
        return "unknown"


__version__ = _version(_MANIFEST)
