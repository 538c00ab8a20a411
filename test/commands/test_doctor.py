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

"""`difiisr doctor`: what runs here, why the rest does not, how fast; an exit code for scripts."""

from __future__ import annotations

import json
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from difiisr_ros.backends import factory
from difiisr_ros.cli import main
from difiisr_ros.commands import doctor
from difiisr_ros.errors import BackendUnavailable
from difiisr_ros.version import REPORT_TO, __version__


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(doctor, "_SECONDS", 0.0)


def test_what_runs_and_what_does_not(tmp_path, capsys, caplog):
    torch = pytest.importorskip("torch")
    file = tmp_path / "doctor.json"
    assert main(["doctor", "--model", "nano", "--json", str(file)]) == 0
    out, found = capsys.readouterr().out, json.loads(file.read_text())
    assert found["versions"]["difiisr_ros"] == __version__ and __version__ in out
    assert set(found["backends"]) == set(factory.BACKENDS) - {"auto"}
    assert found["backends"]["torch"]["runs"] and found["backends"]["bicubic"]["runs"]
    for name, entry in {**found["backends"], **found["precisions"]}.items():
        assert entry["runs"] == (entry["why_not"] is None), name
        assert f"  {name} " in out and (entry["runs"] or entry["why_not"] in out)
    if not torch.cuda.is_available():
        assert found["precisions"]["fp16"]["why_not"] == "fp16 is not for CPUs; use bf16 or fp32"
    assert list(found["frames_per_second"]) == ["160x120", "320x256", "640x512"]
    assert all(rate > 0 for rate in found["frames_per_second"].values())
    assert found["default"]["fallback"] is None
    assert REPORT_TO in out and found["report_to"] == REPORT_TO
    assert "not available" not in caplog.text  # what was only tried is no warning


def test_plug_ins_that_are_installed_are_tried(tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(doctor, "is_there", lambda provider: provider == "webgpu")
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_webgpu", None)
    file = tmp_path / "doctor.json"
    assert main(["doctor", "--model", "nano", "--json", str(file)]) == 0
    (name, found), *others = json.loads(file.read_text())["plugins"].items()
    assert name == "webgpu" and not found["runs"] and not others
    assert (
        "  onnx, provider webgpu: no: provider webgpu is not installed" in capsys.readouterr().out
    )


def test_without_any_network_it_ends_with_1(monkeypatch, capsys):
    def broken(*_args, **_kwargs):
        raise BackendUnavailable("no library\nof forty lines")

    for name in ("_torch", "_onnx", "_tensorrt", "_opencv"):
        monkeypatch.setattr(factory, name, broken)
    assert main(["doctor", "--model", "nano"]) == 1
    out = capsys.readouterr().out
    assert "  torch        no: no library\n" in out and "bicubic on cpu" in out


def test_a_library_that_breaks_is_the_answer_and_not_the_end(monkeypatch, capsys):
    def broken(*_args, **_kwargs):
        raise OSError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(factory, "_onnx", broken)
    assert doctor._try("nano", backend="onnx") == {
        "runs": False,
        "why_not": "OSError: libcudart.so.12: cannot open shared object file",
    }


def test_the_address_is_the_packages(repository):
    package = ElementTree.parse(repository / "package.xml").getroot()
    urls = [url.text for url in package.findall("url") if url.get("type") == "bugtracker"]
    if urls:
        assert urls == [REPORT_TO]
    else:  # none that is invented, but where it is
        assert "maintainer" in REPORT_TO and "package.xml" in REPORT_TO
        assert "@" not in REPORT_TO and "//" not in REPORT_TO
        assert package.find("maintainer") is not None


@pytest.mark.parametrize(("seconds", "runs"), [(9.0, 1), (1.9, 2), (0.1, 9)])
def test_slow_sizes_are_run_as_often_as_there_is_time(monkeypatch, seconds, runs):
    monkeypatch.setattr(doctor, "_SECONDS", 0.75)
    now = [0.0]
    calls = []

    def run():
        calls.append(now[0])
        now[0] += seconds + (not calls[1:]) * 0.01  # the first allocates

    monkeypatch.setattr(doctor.time, "perf_counter", lambda: now[0])
    assert doctor._seconds_of(run) == pytest.approx(seconds + (runs == 1) * 0.01)
    assert len(calls) == runs
