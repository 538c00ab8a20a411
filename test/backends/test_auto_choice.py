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

"""`auto`: the fastest backend, by a measurement that is made once and only on a quiet machine."""

from __future__ import annotations

import json
import re
import sys

import numpy as np
import pytest

from difiisr_ros import SuperResolver
from difiisr_ros.backends import auto_choice, auto_plugins, machine_load
from difiisr_ros.backends.auto_choice import (
    candidates,
    choice_key,
    choose,
    load_fastest,
    measure,
)
from difiisr_ros.backends.bicubic import BicubicBackend
from difiisr_ros.errors import BackendUnavailable, ModelError

pytestmark = [
    pytest.mark.needs("torch", "onnx", "onnxruntime"),
    pytest.mark.usefixtures("simplified_once"),
]

ASKED = {"device": "auto", "precision": "auto", "num_threads": 0}


class Fake(BicubicBackend):
    device = "cpu"

    def __init__(self, name):
        self.name, self.closed, self.runs = name, False, 0

    def run(self, lr, *others):
        self.runs += 1
        return np.zeros((1, 1, 4 * lr.shape[2], 4 * lr.shape[3]), np.float32)

    def close(self):
        self.closed = True


class Loader:
    """What `create` hands over; records what is loaded, and on which device."""

    def __init__(self, broken=()):
        self.asked, self.made, self.broken = [], {}, dict(broken)

    def __call__(self, name, device=None):
        self.asked.append((name, device))
        if name in self.broken:
            raise self.broken[name]
        self.made[name] = Fake(name)
        return self.made[name]


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """Both libraries are there, nothing else runs, onnx is twice as fast; returns the settings."""
    settings = {"times": {"torch": 0.02, "onnx": 0.01}, "busy": [0.0, 0.0], "measured": 0}

    class Others:
        def share(self):
            return settings["busy"].pop(0) if settings["busy"] else 0.0

    def measured(loaded):
        settings["measured"] += 1
        return {name: settings["times"][name] for name in loaded}

    monkeypatch.delenv(auto_choice.SWITCH)
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path))
    monkeypatch.setattr(auto_choice, "is_installed", lambda module: True)
    monkeypatch.setattr(auto_choice, "OtherProcesses", Others)
    monkeypatch.setattr(auto_choice, "measure", measured)
    return settings


def fastest(loader, model="lite", **asked):
    return load_fastest(loader, model, {**ASKED, **asked}).name


def test_the_fastest_runs_and_is_remembered(machine, tmp_path):
    loader = Loader()
    assert fastest(loader) == "onnx"
    assert loader.made["torch"].closed and not loader.made["onnx"].closed
    (file,) = tmp_path.glob("auto/*.json")
    entry = json.loads(file.read_text())
    assert entry["backend"] == "onnx" and entry["seconds"] == machine["times"]
    assert entry["key"]["num_threads"] == 0 and "versions" in entry["key"]
    again = Loader()
    assert fastest(again) == "onnx"
    assert again.asked == [("onnx", None)] and machine["measured"] == 1


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({"torch": 1.0, "onnx": 0.91}, "torch"),
        ({"torch": 1.0, "onnx": 0.89}, "onnx"),
        ({"torch": 1.0, "onnx": 2.0}, "torch"),
        ({"torch": 1.0, "onnx": 0.8, "other": 0.7}, "other"),
    ],
)
def test_torch_stays_unless_another_is_faster_by_a_tenth(seconds, chosen):
    assert choose(seconds) == chosen


@pytest.mark.parametrize(
    "change",
    [{"device": "cpu"}, {"precision": "fp32"}, {"num_threads": 2}],
    ids=lambda c: next(iter(c)),
)
def test_every_condition_has_its_own_choice(machine, change):
    assert fastest(Loader()) == "onnx"
    machine["times"] = {"torch": 0.01, "onnx": 0.02}
    assert fastest(Loader(), **change) == "torch"
    assert fastest(Loader()) == "onnx"


def test_versions_processor_and_model_are_conditions(monkeypatch, tmp_path):
    from difiisr_ros.models.model_files import model_path

    key = choice_key("lite", ASKED)
    other = tmp_path / "m.safetensors"
    other.write_bytes(model_path("lite").read_bytes() + b" ")
    assert choice_key(str(other), ASKED)["model_sha256"] != key["model_sha256"]
    assert key["processor"] and key["cores"] >= 1 and "numpy" not in key["versions"]
    monkeypatch.setattr(auto_choice, "_DISTRIBUTIONS", ("numpy", "no-such-distribution"))
    assert choice_key("lite", ASKED)["versions"] == {"numpy": np.__version__}
    with pytest.raises(ModelError, match="neither 'lite' nor 'nano' nor a file"):
        choice_key("none", ASKED)


@pytest.mark.parametrize("busy", [[0.5], [0.0, 0.5]], ids=["before", "meanwhile"])
def test_a_busy_machine_decides_nothing(machine, busy, tmp_path):
    machine["busy"] = busy
    assert fastest(Loader()) == "torch"
    assert not list(tmp_path.glob("auto/*.json"))
    machine["busy"] = []
    assert fastest(Loader()) == "onnx"


def test_it_can_be_switched_off(machine, monkeypatch):
    monkeypatch.setenv(auto_choice.SWITCH, "0")
    loader = Loader()
    assert fastest(loader) == "torch"
    assert loader.asked == [("torch", None)] and machine["measured"] == 0


def test_one_candidate_is_not_measured(machine, monkeypatch):
    monkeypatch.setattr(auto_choice, "is_installed", lambda module: module == "torch")
    loader = Loader()
    assert fastest(loader) == "torch"
    assert loader.asked == [("torch", None)] and machine["measured"] == 0
    assert fastest(Loader(), model="graph.onnx") == "onnx"


def test_the_others_are_tried_on_the_device_of_the_first(monkeypatch):
    monkeypatch.setattr(Fake, "device", "cuda:0")
    loader = Loader({"onnx": BackendUnavailable("no CUDAExecutionProvider")})
    assert fastest(loader) == "torch"
    assert loader.asked == [("torch", None), ("onnx", "cuda:0")]


@pytest.mark.parametrize("measured", [True, False])
def test_where_the_first_does_not_run_another_has_what_was_asked_for(monkeypatch, measured):
    """As a PyTorch for CPUs beside ONNX Runtime for GPUs."""
    if not measured:
        monkeypatch.setenv(auto_choice.SWITCH, "0")
    no_device = BackendUnavailable("no device")
    assert fastest(Loader({"torch": no_device})) == "onnx"
    with pytest.raises(BackendUnavailable, match="no device"):
        fastest(Loader({"torch": no_device, "onnx": BackendUnavailable("neither")}))


def test_a_choice_that_no_longer_runs_is_said(caplog):
    assert fastest(Loader()) == "onnx"
    assert fastest(Loader({"onnx": BackendUnavailable("gone")})) == "torch"
    assert "onnx was the fastest, and does not run now: gone" in caplog.text


@pytest.mark.parametrize("text", ["", "[]", '{"backend": "onnx"}', '{"backend": 3, "key": {}}'])
def test_a_damaged_choice_is_made_again(machine, text, tmp_path):
    assert fastest(Loader()) == "onnx"
    (file,) = tmp_path.glob("auto/*.json")
    file.write_text(text)
    assert fastest(Loader()) == "onnx"
    assert machine["measured"] == 2


def test_without_a_folder_it_is_measured_every_time(machine, monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DIFIISR_CACHE", str(tmp_path / "file"))
    assert fastest(Loader()) == "onnx" and fastest(Loader()) == "onnx"
    assert machine["measured"] == 2 and "choice of a backend is not kept" in caplog.text


def test_without_torch_a_graph_must_be_there_or_torch_is_asked_for(monkeypatch):
    monkeypatch.setattr(auto_choice, "is_installed", lambda module: module == "onnxruntime")
    assert candidates("lite") == ("onnx",)
    loader = Loader({"onnx": BackendUnavailable("not exported yet")})
    assert fastest(loader) == "torch"  # whose own error says how it is installed
    assert [name for name, _ in loader.asked] == ["onnx", "torch"]


class Plugin(Fake):
    """As ONNX Runtime on a plug-in provider; its results differ by ``difference``."""

    device, difference, max_steps = "gpu:0", 0.0, 15

    def run(self, lr, noise, num_steps, consistency):
        return super().run(lr) + (self.difference if num_steps == 2 else 0.0)


@pytest.fixture
def plugin(machine, monkeypatch):
    """WebGPU's plug-in is installed, and is by far the fastest."""
    monkeypatch.setattr(auto_plugins, "is_there", lambda provider: provider == "webgpu")
    machine["times"] = {"torch": 0.02, "onnx": 0.01, "onnx webgpu": 0.001}
    made = Plugin("onnx on webgpu")

    class WithPlugin(Loader):
        def __call__(self, name, device=None, provider=None):
            if provider is None:
                return super().__call__(name, device)
            assert (name, device, provider) == ("onnx", None, "webgpu")
            return made

    made.loader = WithPlugin
    return made


def test_a_plug_in_that_is_faster_and_equal_runs_and_is_remembered(machine, plugin):
    for _ in range(2):
        assert fastest(plugin.loader()) == plugin.name and not plugin.closed
    assert machine["measured"] == 1


def test_a_plug_in_beside_onnx_runtime_alone_is_compared(machine, plugin, monkeypatch):
    monkeypatch.setattr(auto_choice, "is_installed", lambda module: module == "onnxruntime")
    assert fastest(plugin.loader()) == plugin.name
    assert fastest(Loader(), model="graph.onnx") == "onnx"  # may hold something else


def test_a_plug_in_that_is_not_faster_is_not_taken(machine, plugin):
    machine["times"]["onnx webgpu"] = 0.0185
    machine["times"]["onnx"] = 0.03
    assert fastest(plugin.loader()) == "torch" and plugin.closed


@pytest.mark.parametrize(
    ("attribute", "value", "words"),
    [
        ("difference", 2e-3, r"2 step\(s\) differ from the CPU's by 0\.002 of the range"),
        ("difference", float("nan"), "differ from the CPU's by nan"),
        ("device", "cpu", "it computes on the CPU, by software graphics"),
    ],
)
def test_a_plug_in_that_is_not_what_is_wanted(plugin, monkeypatch, caplog, attribute, value, words):
    monkeypatch.setattr(Plugin, attribute, value)
    with caplog.at_level("INFO"):
        assert fastest(plugin.loader()) == "onnx"
    assert plugin.closed and re.search(f"onnx webgpu is not taken: .*{words}", caplog.text)


@pytest.mark.parametrize("asked", [{"device": "cuda"}, {"precision": "bf16"}], ids=str)
def test_a_plug_in_that_cannot_do_what_is_asked_is_not_loaded(plugin, asked):
    assert fastest(plugin.loader(), **asked) == "onnx"
    assert plugin.runs == 0


def test_the_measurement_takes_turns_and_little_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(auto_choice.time, "perf_counter", lambda: now[0])

    class Timed(Fake):
        def run(self, lr, *others):
            order.append(self.name)
            now[0] += {"torch": 0.05, "onnx": 0.03}[self.name]
            return super().run(lr)

    order: list[str] = []
    found = measure({name: Timed(name) for name in ("torch", "onnx")})
    assert found == pytest.approx({"torch": 0.05, "onnx": 0.03})
    assert order[:6] == ["torch", "torch", "onnx", "onnx", "torch", "torch"]
    assert now[0] < auto_choice._BUDGET_S + 0.2


def test_a_camera_of_usual_size_decides_and_not_a_small_one(monkeypatch):
    """What nano was seen to take: PyTorch more for a frame, ONNX Runtime more for a pixel."""
    now = [0.0]
    monkeypatch.setattr(auto_choice.time, "perf_counter", lambda: now[0])

    class Timed(Fake):
        def run(self, lr, *others):
            frame, pixel = {"torch": (6e-3, 0.19e-6), "onnx": (0.0, 0.33e-6)}[self.name]
            now[0] += frame + pixel * lr.size
            return super().run(lr)

    assert choose(measure({name: Timed(name) for name in ("torch", "onnx")})) == "torch"
    assert 6e-3 + 0.19e-6 * 160 * 120 > 0.33e-6 * 160 * 120  # a small one would say the reverse


def test_what_is_measured_is_a_scene(monkeypatch):
    frames = []
    monkeypatch.setattr(Fake, "run", lambda self, lr, *others: frames.append(lr))
    measure({"torch": Fake("torch")})
    frame = frames[0][0, 0]
    steps = np.abs(np.diff(frame, axis=1))
    assert frame.dtype == np.float32 and np.median(steps) < 0.02 < 0.9 < np.ptp(frame) < 1.2


def test_through_the_resolver(monkeypatch):
    """The real backends, and times that make each the fastest."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for winner in ("onnx", "torch"):
        times = {"torch": 1.0, "onnx": 0.5 if winner == "onnx" else 2.0}
        monkeypatch.setattr(auto_choice, "measure", lambda loaded, t=times: t)
        resolver = SuperResolver.load(device="cpu", num_threads=1 + (winner == "onnx"))
        assert resolver.info.backend == winner and resolver.info.fallback is None
        resolver.close()


def test_the_share_of_other_processes(monkeypatch, tmp_path):
    stat, own = tmp_path / "stat", [1.0]
    monkeypatch.setattr(machine_load, "_STAT", stat)
    monkeypatch.setattr(machine_load.os, "sysconf", lambda name: 100)
    monkeypatch.setattr(machine_load.time, "process_time", lambda: own[0])

    def ticks(user, nice, system, idle, iowait):
        stat.write_text(f"cpu  {user} {nice} {system} {idle} {iowait} 0 0 0 0 0\ncpu0 9 9 9 9\n")

    ticks(1000, 0, 0, 5000, 0)
    others = machine_load.OtherProcesses()
    assert others.share() == 0.0
    ticks(1100, 50, 0, 5040, 10)  # 2 s in all, 1.5 s of them used,
    own[0] = 2.1  # 1.1 s by us
    assert others.share() == pytest.approx(0.2)
    stat.unlink()
    assert others.share() == 0.0
    assert machine_load.OtherProcesses().share() == 0.0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/stat")
def test_this_machine_says_its_load():
    others = machine_load.OtherProcesses()
    sum(range(3_000_000))
    assert 0.0 <= others.share() <= 1.0
