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

"""Which room may know which: the engine knows no ROS, and importing the package costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import difiisr_ros

PACKAGE = Path(difiisr_ros.__file__).parent
#: Module -> what it stands for. Everything with one of these roots is ROS.
ROS_ROOTS = {
    "ament_index_python", "bond", "builtin_interfaces", "cv_bridge", "diagnostic_msgs",
    "diagnostic_updater", "geometry_msgs", "image_transport", "launch", "launch_ros",
    "launch_testing", "lifecycle_msgs", "message_filters", "rcl_interfaces", "rclpy", "ros2cli",
    "rosbag2_py", "rosidl_runtime_py", "sensor_msgs", "std_msgs", "std_srvs", "vision_msgs",
    "yolo_msgs",
}  # fmt: skip
#: Files of the package's own folder that stand on nothing but each other.
BASE = {
    "allocator",
    "atomic_write",
    "errors",
    "long_work",
    "onednn",
    "openmp",
    "quality",
    "version",
}
#: Files of the package's own folder that belong together -> what this test calls them.
TOGETHER = {
    **dict.fromkeys(BASE, "base"),
    "options": "options",
    "memory_limit": "options",
    "stream_memory": "options",
    "frame_runner": "pipeline",
    "batch_frame": "pipeline",
    "frame_arguments": "pipeline",
}
#: Room -> the rooms that it may know, directly or through others. Only ``ros`` knows ``ros``.
MAY_KNOW: dict[str, set[str]] = {"base": set(), "core": {"base"}}
MAY_KNOW["options"] = {"base", "core"}
MAY_KNOW["messages"] = {"base", "core", "options"}
MAY_KNOW["scene"] = {"base", "core"}
MAY_KNOW["io"] = {"base", "core", "options", "messages", "scene"}
MAY_KNOW["models"] = {"base", "core"}
MAY_KNOW["export"] = {"base", "core", "options", "models"}
MAY_KNOW["backends"] = {"base", "core", "options", "models", "export"}
MAY_KNOW["pipeline"] = MAY_KNOW["backends"] | {"backends"}
MAY_KNOW["stream"] = MAY_KNOW["pipeline"] | {"pipeline", "messages", "io", "scene"}
MAY_KNOW["lab"] = MAY_KNOW["stream"]
MAY_KNOW["ros"] = MAY_KNOW["stream"] | {"stream"}
MAY_KNOW["commands"] = MAY_KNOW["stream"] | {"stream", "lab", "face"}
MAY_KNOW["cli"] = MAY_KNOW["commands"] | {"commands"}
MAY_KNOW["face"] = MAY_KNOW["pipeline"] | {"pipeline"}
#: Files of ros/ that import no ROS themselves: main.py imports the nodes when an executable runs,
#: so that it can say what is missing.
WITHOUT_ROS = {"__init__.py", "main.py"}


def _files() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 20
    return files


def _module(file: Path) -> str:
    parts = (PACKAGE.name, *file.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(file): file for file in _files()}
MODULE_NAMES = set(MODULES) - {PACKAGE.name}


@cache
def _imports(file: Path, *, top_level_only: bool = False) -> set[str]:
    """Full names of the modules that a file imports, also inside functions."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if not top_level_only else _executed_on_import(tree)
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and node.value in MODULE_NAMES:
            names.add(node.value)  # for importlib, or for python -m
    return names


def _executed_on_import(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _executed_on_import(child)


def _graph() -> dict[str, set[str]]:
    """Module -> the package's modules that it imports. That Python runs the face first, whatever
    is imported, does not count: it is lazy. Who imports from it imports all that it offers.
    """
    graph = {}
    for module, file in MODULES.items():
        found = {n if n in MODULES else n.rpartition(".")[0] for n in _imports(file)}
        graph[module] = (found & set(MODULES)) - {module}
    return graph


GRAPH = _graph()


def _room(module: str) -> str:
    first = module.split(".")[1] if "." in module else "face"
    return TOGETHER.get(first, first)


def _folder(module: str) -> str:
    """Its folder; of a file in the package's own folder, itself."""
    file = MODULES[module]
    return module if file.parent == PACKAGE else str(file.parent.relative_to(PACKAGE))


def _paths_from(module: str) -> dict[str, list[str]]:
    """Every module that can be reached -> one way there."""
    paths = {module: [module]}
    waiting = [module]
    while waiting:
        here = waiting.pop()
        for there in GRAPH[here] - set(paths):
            paths[there] = [*paths[here], there]
            waiting.append(there)
    return paths


def _circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


@pytest.mark.parametrize("room", sorted({_room(module) for module in MODULES}))
def test_a_room_reaches_no_other_room_than_it_may(room):
    wrong = [
        " -> ".join(path)
        for module in MODULES
        if _room(module) == room
        for reached, path in _paths_from(module).items()
        if _room(reached) not in {room, *MAY_KNOW[room]}
    ]
    assert not wrong, "\n".join(sorted(wrong, key=len)[:5])


def test_no_files_import_each_other_in_a_circle():
    assert not _circle(GRAPH)


def test_no_folders_import_each_other_in_a_circle():
    folders: dict[str, set[str]] = {_folder(module): set() for module in MODULES}
    for module, imported in GRAPH.items():
        folders[_folder(module)] |= {_folder(other) for other in imported} - {_folder(module)}
    assert not _circle(folders)


@pytest.mark.parametrize("file", _files(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_files_in_the_ros_folder_import_ros_and_no_others_do(file):
    found = {name for name in _imports(file) if name.partition(".")[0] in ROS_ROOTS}
    if file.parent == PACKAGE / "ros" and file.name not in WITHOUT_ROS:
        assert found, f"{file.relative_to(PACKAGE)} needs no ROS: stream/ is its place"
    else:
        assert not found, f"{file.relative_to(PACKAGE)} imports {sorted(found)}"


@pytest.mark.parametrize(
    "file", sorted(PACKAGE.glob("*/**/__init__.py")), ids=lambda f: f.parent.name
)
def test_a_folder_has_no_code_of_its_own(file):
    """Whatever imports one of its files runs it, which no arrow shows."""
    (only,) = ast.parse(file.read_text(encoding="utf-8")).body
    assert isinstance(only, ast.Expr), "more than a docstring"


@pytest.mark.parametrize(
    "file",
    [
        f
        for f in _files()
        if _room(_module(f)) in ("ros", "stream", "messages", "scene", "io", "commands")
    ],
    ids=lambda f: str(f.relative_to(PACKAGE)),
)
def test_torch_is_imported_only_when_it_is_needed(file):
    heavy = {"torch", "onnxruntime", "tensorrt", "ray"}
    found = {n for n in _imports(file, top_level_only=True) if n.partition(".")[0] in heavy}
    assert not found


def _modules_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_the_package_imports_neither_torch_nor_ros_nor_numpy():
    loaded = _modules_after("import difiisr_ros; difiisr_ros.__version__; dir(difiisr_ros)")
    assert not loaded & {"torch", "rclpy", "numpy", "cv2"}


@pytest.mark.parametrize("room", ["commands", "ros"])
def test_no_command_and_no_node_waits_for_torch_before_it_is_needed(room):
    modules = [m for m in MODULES if _room(m) == room]
    if room == "ros":
        pytest.importorskip("rclpy", reason="rclpy is not installed")
        modules = [f"difiisr_ros.ros.{name}" for name in ("node", "frame_player", "monitor")]
    loaded = _modules_after(f"import {', '.join(modules)}")
    assert set(modules) <= loaded
    assert "torch" not in loaded


def test_the_engine_is_imported_without_ros():
    loaded = _modules_after("from difiisr_ros import SuperResolver; SuperResolver.load")
    assert "difiisr_ros.pipeline" in loaded
    assert not loaded & ROS_ROOTS


def test_a_backend_that_needs_no_torch_does_not_load_it():
    loaded = _modules_after(
        "from difiisr_ros import SuperResolver; SuperResolver.load(backend='bicubic')"
    )
    assert "difiisr_ros.backends.bicubic" in loaded
    assert "torch" not in loaded


def test_bicubic_needs_no_torch():
    loaded = _modules_after(
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\nfrom difiisr_ros import SuperResolver\n"
        "out = SuperResolver.load(backend='bicubic').upscale(np.full((3, 5), 7, np.uint16))\n"
        "assert out.shape == (12, 20) and (out == 7).all()"
    )
    assert "difiisr_ros.backends.bicubic" in loaded


def test_unknown_attribute_is_an_attribute_error():
    with pytest.raises(AttributeError, match="SuperResolvr"):
        _ = difiisr_ros.SuperResolvr
    assert "SuperResolver" in dir(difiisr_ros)
