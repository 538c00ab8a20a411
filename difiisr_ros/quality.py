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

"""Presets of steps and guidance: what to trade for detail, in one word.

docs/guidance.md has the measurements that they are chosen from.
"""

from __future__ import annotations

from typing import Any

from difiisr_ros.errors import OptionError

CUSTOM = "custom"
"""Not a preset: num_steps and the guidance scales say it themselves."""

#: Options of :class:`difiisr_ros.options.UpscaleOptions` by preset.
PRESETS: dict[str, dict[str, Any]] = {
    "fidelity": {"num_steps": 1, "visual_scale": 0.0, "perceptual_scale": 0.0},
    "balanced": {"num_steps": 1, "visual_scale": 0.5, "perceptual_scale": 0.0},
    "detail": {"num_steps": 4, "visual_scale": 0.3, "perceptual_scale": 0.0},
}
QUALITIES = (CUSTOM, *PRESETS)


def preset(quality: str) -> dict[str, Any]:
    """The preset's options, for ``SuperResolver.load(**preset("balanced"))``; none for custom.

    Raises:
        OptionError: an unknown quality.
    """
    if quality not in QUALITIES:
        raise OptionError(f"quality must be one of {', '.join(QUALITIES)}, got {quality!r}")
    return dict(PRESETS.get(quality, {}))
