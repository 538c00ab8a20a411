"""Which part may import which: the engine knows no ROS, and importing the package costs nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import difiisr_ros

PACKAGE = Path(difiisr_ros.__file__).parent
#: Module -> what it stands for. Everything with one of these roots is ROS.
ROS_ROOTS = {
    "ament_index_python", "builtin_interfaces", "cv_bridge", "diagnostic_msgs",
    "diagnostic_updater", "geometry_msgs", "image_transport", "launch", "launch_ros",
    "launch_testing", "lifecycle_msgs", "message_filters", "rcl_interfaces", "rclpy", "ros2cli",
    "rosbag2_py", "rosidl_runtime_py", "sensor_msgs", "std_msgs", "std_srvs",
}  # fmt: skip
#: Folder -> our own parts that it must not import. Arrows point one way: ros, evaluation, training
#: and commands know the pipeline, which knows backends and core, which know models.
FORBIDDEN = {
    "core": {"backends", "pipeline", "models", "ros", "evaluation", "training", "commands", "cli"},
    "models": {"backends", "pipeline", "ros", "evaluation", "training", "commands", "cli"},
    "backends": {"pipeline", "ros", "evaluation", "training", "commands", "cli"},
    "export": {"backends", "pipeline", "ros", "evaluation", "training", "commands", "cli"},
    "io": {"backends", "pipeline", "models", "ros", "evaluation", "training", "commands", "cli"},
    "evaluation": {"ros", "cli"},
    "detection": {"ros", "training", "cli"},
    "features": {"backends", "pipeline", "ros", "evaluation", "training", "commands", "cli"},
    "bench": {"ros", "evaluation", "training", "commands", "cli"},
    "calibration": {"backends", "pipeline", "models", "ros", "training", "commands", "cli"},
    "training": {"ros", "evaluation", "commands", "cli"},
    "ros": {"training", "evaluation", "commands", "cli"},
}


def _files() -> list[Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    assert len(files) > 20
    return files


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
    return names


def _executed_on_import(node: ast.AST):
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from _executed_on_import(child)


@pytest.mark.parametrize("file", _files(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_only_the_ros_folder_imports_ros(file):
    if file.relative_to(PACKAGE).parts[0] == "ros":
        return
    found = {name for name in _imports(file) if name.partition(".")[0] in ROS_ROOTS}
    assert not found, f"{file.relative_to(PACKAGE)} imports {sorted(found)}"


@pytest.mark.parametrize("file", _files(), ids=lambda f: str(f.relative_to(PACKAGE)))
def test_arrows_point_one_way(file):
    folder = file.relative_to(PACKAGE).parts[0]
    own = {
        name.split(".")[1]
        for name in _imports(file)
        if name.startswith("difiisr_ros.") and len(name.split(".")) > 1
    }
    assert not own & FORBIDDEN.get(folder, set())


def test_the_rule_for_ros_is_not_empty():
    inside = set().union(*(_imports(file) for file in (PACKAGE / "ros").rglob("*.py")))
    assert any(name.partition(".")[0] == "rclpy" for name in inside)


@pytest.mark.parametrize(
    "file",
    [f for f in _files() if f.relative_to(PACKAGE).parts[0] in ("ros", "io", "commands")],
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
