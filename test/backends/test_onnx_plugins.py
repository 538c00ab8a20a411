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

"""Plug-in execution providers of ONNX Runtime.

ONNX Runtime's own provider for CPUs stands in for them, as a device that a plug-in offers. Where a
plug-in is installed and has hardware, it runs itself.
"""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="pip install onnxruntime")
pytest.importorskip("onnx", reason="pip install onnx")
pytest.importorskip("torch", reason="graphs of several steps are exported by PyTorch")

import onnxruntime

from difiisr_ros import SuperResolver
from difiisr_ros.backends import onnx_plugin_session, onnx_plugins, onnx_session
from difiisr_ros.backends.factory import create
from difiisr_ros.backends.graph_store import stored_graph
from difiisr_ros.backends.onnx_plugin_session import open_on_plugin
from difiisr_ros.backends.onnx_plugins import PLUGINS, PluginDevice, find_plugin_device
from difiisr_ros.backends.onnx_providers import PROVIDERS, check_provider, device_of
from difiisr_ros.errors import BackendUnavailable, OptionError
from difiisr_ros.export.facts import GraphOptions
from difiisr_ros.io.images import read_image
from support.paths import DRONE_FRAMES

pytestmark = pytest.mark.usefixtures("simplified_once")

WANTED = 1e-3
CPU_PROVIDER = "CPUExecutionProvider"
needs_plugins = pytest.mark.skipif(
    not hasattr(onnxruntime, "register_execution_provider_library"),
    reason="ONNX Runtime 1.23 is the first that takes plug-ins",
)


def offered(kind="GPU", name="Fake", vendor="Intel", **metadata):
    """As ``onnxruntime.OrtEpDevice``."""
    device = SimpleNamespace(
        type=SimpleNamespace(name=kind), vendor=vendor, vendor_id=0x8086, device_id=7, metadata={}
    )
    device.metadata.update({"is_virtual": "1"} if metadata.pop("virtual", False) else {})
    return SimpleNamespace(ep_name=name, ep_metadata={"version": "9.8", **metadata}, device=device)


class Runtime:
    """As the module ``onnxruntime``."""

    __version__ = "1.99"

    def __init__(self, *devices):
        self.devices, self.registered = devices, []

    def register_execution_provider_library(self, name, path):
        self.registered.append((name, path))

    def get_ep_devices(self):
        return self.devices


@pytest.fixture
def install(monkeypatch):
    """``install(provider, ep_name, path)``: its package is there; nothing is registered yet."""
    monkeypatch.setattr(onnx_plugins, "_registered", set())

    def made(provider, ep_name="Fake", path="/lib.so"):
        module = ModuleType(PLUGINS[provider].module)
        module.get_ep_name = lambda: ep_name
        module.get_library_path = lambda: path
        monkeypatch.setitem(sys.modules, PLUGINS[provider].module, module)

    return made


@pytest.fixture
def stand_in(install, monkeypatch):
    """The CPU's provider is what the plug-in ``openvino`` brings."""
    install("openvino", CPU_PROVIDER)
    monkeypatch.setattr(onnxruntime, "register_execution_provider_library", lambda *_: None)


def frame(height=24, width=32):
    return np.random.default_rng(0).integers(29_000, 31_000, (height, width)).astype(np.uint16)


# ---- what may be asked for --------------------------------------------------------------------


def test_an_unknown_provider_says_what_is_accepted():
    with pytest.raises(OptionError, match=r"provider must be one of auto, cpu, .* got 'vulkan'"):
        SuperResolver.load("nano", provider="vulkan")
    assert set(PLUGINS) < set(PROVIDERS)


@pytest.mark.parametrize("backend", ["torch", "tensorrt", "opencv", "bicubic"])
def test_other_backends_have_no_providers(backend):
    with pytest.raises(OptionError, match=f"needs backend onnx .or auto., got '{backend}'"):
        SuperResolver.load("nano", backend=backend, provider="webgpu")
    check_provider("auto", backend)


@pytest.mark.parametrize(
    ("provider", "device", "found"),
    [
        ("auto", "cuda:1", "cuda:1"),
        ("cpu", "auto", "cpu"),
        ("cuda", "cuda:1", "cuda:1"),
        ("tensorrt", "auto", "tensorrt"),
        ("tensorrt", "cuda:1", "tensorrt:1"),
        ("webgpu", "gpu", "gpu"),
        ("openvino", "npu:1", "npu:1"),
    ],
)
def test_provider_and_device_go_together(provider, device, found):
    assert device_of(provider, device) == found


@pytest.mark.parametrize(
    ("provider", "device"),
    [
        ("cpu", "cuda"),
        ("cuda", "tensorrt"),
        ("webgpu", "cuda"),
        ("webgpu", "npu"),
        ("openvino", "gpu:"),
        ("openvino", "cpu:1"),
        ("nv_tensorrt_rtx", "cpu"),
    ],
)
def test_provider_and_device_that_do_not(provider, device):
    with pytest.raises(OptionError, match=f"device of provider {provider} must be auto.* got"):
        SuperResolver.load("nano", provider=provider, device=device)


def test_a_plug_in_s_devices_are_no_others():
    with pytest.raises(OptionError, match=r"device must be one of auto, cpu, cuda"):
        SuperResolver.load("nano", backend="onnx", device="gpu")


def test_a_built_in_provider_names_the_backend():
    resolver = SuperResolver.load("nano", provider="cpu", strict_backend=True)
    assert (resolver.info.backend, resolver.info.device) == ("onnx", "cpu")
    assert resolver.info.library is None


# ---- what cannot be had -----------------------------------------------------------------------


def test_a_package_that_is_missing_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, PLUGINS["webgpu"].module, None)
    with pytest.raises(BackendUnavailable, match="pip install onnxruntime-ep-webgpu"):
        SuperResolver.load("nano", provider="webgpu", strict_backend=True)
    resolver = SuperResolver.load("nano", provider="webgpu", device="gpu:1")
    assert (resolver.info.backend, resolver.info.device) == ("onnx", "cpu")
    said = "device gpu:1 and provider webgpu are not available, onnx on cpu (fp32) runs instead: "
    assert resolver.info.fallback.startswith(said + "provider webgpu is not installed")
    assert resolver.upscale(frame()).shape == (96, 128)


def test_an_onnx_runtime_without_plug_ins(install):
    install("webgpu")
    with pytest.raises(
        BackendUnavailable, match=r"needs ONNX Runtime 1\.23 or newer, here is 1\.17"
    ):
        find_plugin_device(SimpleNamespace(__version__="1.17"), "webgpu", "auto")


@needs_plugins
def test_a_library_that_does_not_load(install, tmp_path):
    broken = tmp_path / "libbroken.so"
    broken.write_bytes(b"\x7fELF and no more")
    install("webgpu", path=str(broken))
    with pytest.raises(BackendUnavailable, match=r"onnxruntime-ep-webgpu does not load: .*broken"):
        SuperResolver.load("nano", provider="webgpu", strict_backend=True)
    resolver = SuperResolver.load("nano", provider="webgpu")
    assert (resolver.info.backend, resolver.info.library) == ("onnx", None)
    assert "provider webgpu is not available, onnx on cpu" in resolver.info.fallback


def test_a_package_without_its_library(install):
    install("openvino")

    def nothing():
        raise FileNotFoundError("no libfoo.so")

    sys.modules[PLUGINS["openvino"].module].get_library_path = nothing
    with pytest.raises(BackendUnavailable, match=r"openvino does not load: no libfoo\.so"):
        find_plugin_device(Runtime(), "openvino", "auto")


# ---- which device -----------------------------------------------------------------------------


def test_it_is_registered_once(install):
    install("webgpu")
    runtime = Runtime(offered())
    for _ in range(2):
        find_plugin_device(runtime, "webgpu", "auto")
    assert runtime.registered == [("difiisr_ros.webgpu", "/lib.so")]


MANY = (
    offered("CPU", FULL_DEVICE_NAME="Core"),
    offered("NPU"),
    offered("GPU", virtual=True),
    offered("GPU", "Fake.AUTO"),
    offered("GPU", FULL_DEVICE_NAME="Arc 1"),
    offered("GPU", FULL_DEVICE_NAME="Arc 2"),
    offered("GPU", "CPUExecutionProvider"),
)


@pytest.mark.parametrize(
    ("asked", "devices", "name", "hardware"),
    [
        ("auto", MANY, "gpu:0", "Arc 1"),
        ("gpu", MANY, "gpu:0", "Arc 1"),
        ("gpu:1", MANY, "gpu:1", "Arc 2"),
        ("cpu", MANY, "cpu", "Core"),
        ("npu", MANY, "npu:0", "Intel NPU 8086:0007"),
        ("auto", MANY[:4], "cpu", "Core"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(len(value)),
)
def test_graphics_come_first_and_an_npu_by_name_alone(install, asked, devices, name, hardware):
    install("openvino")
    found = find_plugin_device(Runtime(*devices), "openvino", asked)
    assert (found.name, found.kind) == (name, name.partition(":")[0])
    assert found.library == f"OpenVINO 9.8 on {hardware}, ONNX Runtime 1.99"
    assert found.handle in devices and found.execution_provider == "Fake"


def test_software_graphics_are_called_so(install):
    install("webgpu")
    found = find_plugin_device(Runtime(offered("CPU")), "webgpu", "auto")
    assert (found.name, found.library) == (
        "cpu",
        "WebGPU 9.8 on software graphics, ONNX Runtime 1.99",
    )


@pytest.mark.parametrize(
    ("asked", "devices", "has"),
    [
        ("auto", (), "none"),
        ("auto", (offered("NPU"),), "npu:0"),
        ("gpu:2", MANY, "gpu:0, gpu:1, cpu, npu:0"),
    ],
    ids=["nothing", "an NPU", "two"],
)
def test_a_device_that_is_not_there(install, asked, devices, has):
    install("openvino")
    words = f"openvino has no device {asked} here: it has {has}, and is for Intel's"
    with pytest.raises(BackendUnavailable, match=words):
        find_plugin_device(Runtime(*devices), "openvino", asked)


# ---- what runs --------------------------------------------------------------------------------


def on(provider, name):
    return PluginDevice(provider, "Fake", name, "Fake 9.8", None)


def test_openvino_is_told_the_precision_and_the_threads():
    def told(device, half, threads):
        return json.loads(device.options(half, threads)["load_config"])

    on_cpu = told(on("openvino", "cpu"), False, 3)["CPU"]
    assert on_cpu["INFERENCE_PRECISION_HINT"] == "f32" and on_cpu["INFERENCE_NUM_THREADS"] == "3"
    on_gpu = told(on("openvino", "gpu:1"), True, 3)["GPU"]
    assert on_gpu["INFERENCE_PRECISION_HINT"] == "f16" and "INFERENCE_NUM_THREADS" not in on_gpu
    assert on_gpu["CACHE_DIR"].endswith("onnxruntime-openvino")
    assert on("webgpu", "gpu:0").options(False, 3) == {}


@needs_plugins
def test_it_runs_and_says_so(stand_in):
    how = {"num_threads": 1, "strict_backend": True, "num_steps": 2, "visual_scale": 0.5}
    resolver = SuperResolver.load("lite", provider="openvino", **how)
    info = resolver.info
    assert (info.backend, info.device, info.precision) == ("onnx", "cpu", "fp32")
    assert info.library.startswith("OpenVINO ") and onnxruntime.__version__ in info.library
    wanted = SuperResolver.load("lite", provider="cpu", **how).upscale(frame())
    np.testing.assert_array_equal(resolver.upscale(frame()), wanted)


@needs_plugins
def test_a_scalar_reaches_openvino_as_a_vector(stand_in):
    data, facts = stored_graph("lite", GraphOptions(guidance="visual"))
    device = find_plugin_device(onnxruntime, "openvino", "cpu")
    session = onnx_session.GraphSession(data, facts, "lite", device)
    shapes = {i.name: i.shape for i in session._session.get_inputs()}
    assert shapes["visual_scale"] == [1] and shapes["camera"] == ["batch", 7]
    lr = np.random.default_rng(0).random((2, 1, 24, 32), dtype=np.float32)
    told = np.zeros((2, 7), np.float32)
    other = onnx_session.GraphSession(data, facts, "lite", "cpu")
    for scale in (0.0, 1.5):
        found, wanted = (s.run(lr, np.zeros(0), scale, told) for s in (session, other))
        np.testing.assert_array_equal(found, wanted)


@needs_plugins
def test_where_it_fails_on_a_frame_onnx_runtime_goes_on_without_it(stand_in, monkeypatch):
    resolver = SuperResolver.load("lite", provider="openvino", device="cpu")
    monkeypatch.setattr(
        resolver._backend, "run", lambda *_: (_ for _ in ()).throw(BackendUnavailable("lost"))
    )
    wanted = SuperResolver.load("lite", provider="cpu").upscale(frame())
    np.testing.assert_array_equal(resolver.upscale(frame()), wanted)
    assert resolver.info.library is None
    assert resolver.info.fallback == ("provider openvino is not available, onnx runs instead: lost")


def test_half_precision_is_not_for_processors(stand_in):
    with pytest.raises(BackendUnavailable, match="on cpu runs fp32 here, not fp16"):
        create("onnx", model="nano", provider="openvino", precision="fp16", strict=True)


@pytest.mark.parametrize(
    ("name", "precision"), [("gpu:0", "fp32"), ("npu:0", "fp16"), ("cpu", "fp32")]
)
def test_what_was_compared_is_the_default(monkeypatch, name, precision):
    from difiisr_ros.backends.onnx_backend import OnnxBackend

    backend = OnnxBackend("nano", plugin="openvino")
    backend.device = name
    assert backend._choose_precision() == precision


class Session:
    """As ``InferenceSession``, of which a plug-in takes nothing."""

    def get_provider_graph_assignment_info(self):
        return [SimpleNamespace(ep_name=CPU_PROVIDER)]


def test_a_plug_in_that_takes_nothing_is_not_what_runs():
    options = SimpleNamespace(
        intra_op_num_threads=0,
        add_session_config_entry=lambda *_: None,
        add_provider_for_devices=lambda *_: None,
    )
    runtime = SimpleNamespace(InferenceSession=lambda *_: Session())
    with pytest.raises(BackendUnavailable, match="openvino on gpu:0 takes nothing of the graph"):
        open_on_plugin(runtime, b"", on("openvino", "gpu:0"), options, False)


def test_what_a_plug_in_says_is_found_in_the_line():
    places = "[ONNXRuntimeError] : 11 : EP_FAIL : /src/a.cc:393 f() [ONNXRuntimeError] : 11 : "
    error = RuntimeError(f"{places}EP_FAIL : a.status == 1 was false. No supported adapters\n\n")
    assert onnx_plugin_session._said(error) == "No supported adapters"
    assert onnx_plugin_session._said(RuntimeError("as it is")) == "as it is"


@pytest.mark.parametrize(("num_steps", "layout"), [(1, {}), (2, {"preferredLayout": "NCHW"})])
def test_webgpu_runs_channels_first_where_it_would_be_wrong(num_steps, layout):
    """33 channels are read where several steps begin: a multiple of 3 and not of 4."""
    told = []
    options = SimpleNamespace(
        intra_op_num_threads=0,
        add_session_config_entry=lambda *_: None,
        add_provider_for_devices=lambda _, options: told.append(options),
    )
    runtime = SimpleNamespace(InferenceSession=lambda *_: Session())
    data, _ = stored_graph("lite", GraphOptions(num_steps=num_steps))
    with pytest.raises(BackendUnavailable):
        open_on_plugin(runtime, data, on("webgpu", "gpu:0"), options, False)
    assert told == [layout]


# ---- the plug-ins themselves ------------------------------------------------------------------


def real(provider, **options):
    """The plug-in on this machine; the test is skipped where there is none, and says why."""
    pytest.importorskip(
        PLUGINS[provider].module, reason=f"pip install {PLUGINS[provider].distribution}"
    )
    try:
        return SuperResolver.load("lite", provider=provider, strict_backend=True, **options)
    except BackendUnavailable as error:
        pytest.skip(f"no hardware of {provider}: {error}")


@pytest.mark.parametrize("provider", PLUGINS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_steps": 2},
        {"num_steps": 4, "visual_scale": 0.5},
        {"visual_scale": 0.5},
        {"scale": 2},
    ],
    ids=str,
)
def test_results_are_those_of_the_cpu(provider, options):
    resolver = real(provider, **options)
    assert resolver.info.library.startswith(PLUGINS[provider].title)
    other = SuperResolver.load("lite", provider="cpu", strict_backend=True, **options)
    file = sorted(DRONE_FRAMES.glob("*.jpg"))[0]
    native = read_image(file)[60:124, 40:120].astype(np.float32)
    extent = float(np.ptp(native))
    for given in (native, native[:40, :56]):
        difference = np.abs(resolver.upscale(given) - other.upscale(given)).max() / extent
        assert difference < WANTED
