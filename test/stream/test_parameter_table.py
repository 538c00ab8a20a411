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

"""The table, and that YAML and docs say the same; launch files: test_launch_files.py."""

from __future__ import annotations

import re

import pytest
import yaml

from difiisr_ros.errors import OptionError
from difiisr_ros.options import UpscaleOptions
from difiisr_ros.quality import CUSTOM, PRESETS, QUALITIES, preset
from difiisr_ros.stream.parameter_spec import Change, likely_meant
from difiisr_ros.stream.parameter_table import (
    BY_NAME,
    ENGINE,
    ENGINE_LIVE,
    TABLE,
    check_together,
    engine_options,
    not_used,
)
from support.paths import REPOSITORY

DEFAULTS = {spec.name: spec.default for spec in TABLE}


def test_names_are_unique_and_defaults_are_accepted():
    assert len(BY_NAME) == len(TABLE)
    for spec in TABLE:
        assert spec.check(spec.default) is None
        assert spec.description.endswith(".")
        assert (spec.minimum is None) == (spec.maximum is None)
    assert check_together(DEFAULTS) is None


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("num_steps", 0, "1 to"),
        ("tile_size", 5, "accepted: 0, or 32 to 65 536"),
        ("tile_size", 31, "accepted: 0, or 32 to 65 536"),
        ("tile_size", -1, "accepted: 0, or 32 to 65 536"),
        ("num_steps", True, "must be an int "),
        ("num_steps", 2.0, "int"),
        ("backend", "cuda", "torch"),
        ("stale_after", float("nan"), "0.1 to 3600"),
        ("lazy", 1, "true, false"),
        ("model", 3, "must be a string "),
        ("camera_names", "front", "must be an array of strings "),
        ("camera_names", ["front", "re/ar"], "letters, digits and underscores"),
        ("camera_names", ["front", "front"], "'front' is there twice"),
        ("camera_names", ["front", 2], "2 is none"),
        ("camera_names", [], "at least one"),
        ("scale", 3, "4, 2, 1"),
        ("scale", True, "int"),
        ("output_size", [640, 480, 3], "2 whole numbers, each 0 to 65 536"),
        ("output_size", [640, -1], "2 whole numbers"),
        ("output_size", [640, 480.0], "2 whole numbers"),
        ("output_size", [True, 480], "2 whole numbers"),
        ("output_size", "640x480", "must be an array of ints "),
        ("roi", [], "4 whole numbers"),
    ],
)
def test_wrong_values_are_named_with_what_is_accepted(name, value, accepted):
    message = BY_NAME[name].check(value)
    assert message is not None
    assert name in message
    assert repr(value) in message
    assert accepted in message


def test_what_0_switches_off_may_be_0():
    check = BY_NAME["tile_size"].check
    assert check(0) is check(32) is check(65536) is None


def test_camera_names_may_be_empty_once():
    check = BY_NAME["camera_names"].check
    assert check([""]) is None and check(["", "rear_2"]) is None
    assert check(["", ""]) is not None


def test_a_fixed_range_needs_an_extent():
    values = {**DEFAULTS, "range_mode": "fixed", "range_min": 5.0, "range_max": 5.0}
    assert "range_min" in check_together(values)
    assert check_together({**values, "range_max": 6.0}) is None


def test_engine_parameters_are_those_of_the_engine():
    known = set(UpscaleOptions.__dataclass_fields__)
    # A region is each camera's own, and given with each frame.
    assert {ENGINE[name] for name in ENGINE_LIVE} == known - {"roi"}
    for name, value in engine_options(DEFAULTS, live=True).items():
        default = getattr(UpscaleOptions(), name)
        assert default is None or default == value
    assert set(ENGINE.values()) - known == {
        "model",
        "autoencoder",
        "camera",
        "backend",
        "device",
        "precision",
        "strict_backend",
        "num_threads",
        "engine_file",
        "build_only",
        "provider",
    }


@pytest.mark.parametrize("quality", QUALITIES)
def test_a_quality_decides_steps_and_guidance_for_the_engine(quality):
    values = {**DEFAULTS, "quality": quality}
    assert check_together(values) is None
    options = engine_options(values, live=True)
    UpscaleOptions(**options)
    if quality == CUSTOM:
        assert options["num_steps"] == DEFAULTS["num_steps"]
        own = engine_options({**values, "num_steps": 3, "guidance.visual_scale": 0.25}, live=True)
        assert (own["num_steps"], own["visual_scale"]) == (3, 0.25)
        return
    assert {name: options[name] for name in preset(quality)} == preset(quality)
    for name, value in (("num_steps", 3), ("guidance.perceptual_scale", 0.1)):
        wrong = check_together({**values, name: value})
        assert f"{name} is {value}, but quality {quality} decides it" in wrong


def test_sizes_and_regions_are_checked_together():
    assert "at most" in check_together({**DEFAULTS, "output_size": [65536, 65536]})
    assert "four zeros" in check_together({**DEFAULTS, "roi": [3, 0, 0, 9]})
    assert check_together({**DEFAULTS, "output_size": [640, 0], "roi": [3, 0, 9, 9]}) is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"scale": 2}, ()),
        ({"output_size": [640, 0]}, ()),
        ({"output_size": [640, 480], "output_fit": "crop"}, ()),
        ({"scale": 2, "output_size": [640, 0]}, ("scale 2, because output_size decides it",)),
        ({"output_fit": "crop"}, ("output_fit crop, because output_size is not set",)),
        (
            {"output_fit": "crop", "output_size": [640, 0]},
            ("output_fit crop, because output_size sets one side",),
        ),
    ],
)
def test_what_is_set_and_not_read_is_named(values, words):
    assert not_used({**DEFAULTS, **values}) == words


def test_presets_name_only_options():
    for options in PRESETS.values():
        assert set(options) == {"num_steps", "visual_scale", "perceptual_scale"}
    with pytest.raises(OptionError, match="custom, fidelity, balanced, detail, got 'best'"):
        preset("best")


def test_presets_are_those_of_the_page():
    text = (REPOSITORY / "docs" / "guidance.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \|", text, re.MULTILINE)
    said = {name: (float(steps), float(scale)) for name, steps, scale in rows}
    assert said == {n: (p["num_steps"], p["visual_scale"]) for n, p in PRESETS.items()}
    assert all(options["perceptual_scale"] == 0 for options in PRESETS.values())


def test_yaml_has_every_parameter_with_its_default():
    text = (REPOSITORY / "config" / "super_resolution.yaml").read_text()
    values = yaml.safe_load(text)["/**"]["ros__parameters"]
    assert values == DEFAULTS
    assert list(values) == list(DEFAULTS)
    for spec in TABLE:
        assert type(values[spec.name]) is type(spec.default), spec.name
        words = " ".join(re.sub(r"^ *# ?", "", line) for line in text.splitlines())
        assert spec.description in words, spec.name
        assert f"{spec.type_name}; {spec.accepted};" in text, spec.name


def test_docs_have_every_parameter_as_it_is():
    text = (REPOSITORY / "docs" / "super_resolution_node.md").read_text()
    section = text.split("<!-- parameters:super_resolution_node -->")[1].split("<!-- /")[0]
    groups = dict(zip(Change, section.split("\n**")[1:], strict=True))
    for spec in TABLE:
        (line,) = re.findall(
            rf"^- `{re.escape(spec.name)}` \(`(.*)$", groups[spec.change], re.MULTILINE
        )
        default, rest = line.split("`", 1)
        assert yaml.safe_load(default) == spec.default, spec.name
        assert rest.endswith(f"): {spec.description}"), spec.name
        if not (spec.accepted.startswith("any ") or spec.type_name == "bool"):
            assert rest.startswith(f"; {spec.accepted})"), spec.name


def test_something_is_live_and_the_model_is_not():
    assert BY_NAME["num_steps"].change is Change.LIVE
    assert BY_NAME["model"].change is Change.CONFIGURE
    assert BY_NAME["autostart"].change is Change.START


def test_misspelt_names_are_known_and_other_nodes_names_are_not():
    known = [spec.name for spec in TABLE]
    for slip, meant in (("num_step", "num_steps"), ("modle", "model"), ("bakend", "backend")):
        assert likely_meant(slip, known) == meant
    for others in ("model_type", "image_reliability", "use_namespace", "robot_base_frame", "rate"):
        assert likely_meant(others, known) is None
