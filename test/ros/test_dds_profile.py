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

"""The Fast DDS profile: set unless the user set one; too little memory for it is told."""

from __future__ import annotations

import os
import shutil
from collections import namedtuple

import pytest

from difiisr_ros.ros import dds_profile

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def environment(monkeypatch):
    for name in (*dds_profile.VARIABLES, "RMW_IMPLEMENTATION"):
        # setenv first: what the code under test sets must be undone, too.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    return monkeypatch


def test_it_is_set_for_both_generations_of_fast_dds(environment):
    said = dds_profile.use_large_image_profile()
    assert {os.environ[name] for name in dds_profile.VARIABLES} == {str(dds_profile.find_profile())}
    assert str(dds_profile.find_profile()) in said


@pytest.mark.parametrize("variable", dds_profile.VARIABLES)
def test_the_users_own_stays(environment, variable):
    environment.setenv(variable, "/my/profile.xml")
    assert f"/my/profile.xml, as set in {variable}" in dds_profile.use_large_image_profile()
    assert sum(name in os.environ for name in dds_profile.VARIABLES) == 1


def test_another_middleware_needs_none(environment):
    environment.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    assert "not needed by rmw_cyclonedds_cpp" in dds_profile.use_large_image_profile()
    assert not any(name in os.environ for name in dds_profile.VARIABLES)


@pytest.mark.parametrize(("megabytes", "lacks"), [(64, True), (72, False), (1000, False)])
def test_a_container_with_too_little_shared_memory_is_told_what_to_do(
    environment, tmp_path, megabytes, lacks
):
    environment.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, megabytes << 20))
    profile = dds_profile.find_profile()
    said = dds_profile.lack_of_shared_memory(profile, tmp_path)
    assert ("64 MB free and it takes 72" in said and "--ipc=host" in said) == lacks
    assert bool(said) == lacks
    assert dds_profile.lack_of_shared_memory(profile, tmp_path / "none") == ""
