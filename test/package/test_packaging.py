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

"""The package as colcon, rosdep and pip see it: everything they read agrees."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

import difiisr_ros
from difiisr_ros import version

EXECUTABLES = {
    "difiisr", "super_resolution_node", "frame_player_node", "sr_monitor_node",
    "detection_mapper_node", "thermal_detector_node",
}  # fmt: skip
#: rosdep keys that are known to exist: ROS packages of every supported distribution, and keys of
#: rosdistro's python.yaml. One that does not exist stops `rosdep install` for a whole workspace.
ROSDEP_KEYS = {
    "ament_index_python", "diagnostic_msgs", "launch", "launch_ros", "launch_testing",
    "launch_testing_ros", "lifecycle_msgs", "python3-numpy", "python3-opencv", "python3-pil",
    "python3-psutil", "python3-pytest", "python3-pytest-timeout", "python3-scipy",
    "python3-skimage", "python3-tqdm", "python3-yaml", "rcl_interfaces", "rclpy", "ros2launch",
    "rosgraph_msgs", "sensor_msgs", "std_msgs", "std_srvs", "vision_msgs",
}  # fmt: skip


@pytest.fixture(scope="module")
def manifest(repository) -> ElementTree.Element:
    return ElementTree.parse(repository / "package.xml").getroot()


@pytest.fixture(scope="module")
def setup_arguments(repository) -> dict[str, object]:
    """What setup.py hands to setup(), read without running it; computed values are left out."""
    tree = ast.parse((repository / "setup.py").read_text())
    call = next(
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setup"
    )
    values = {}
    for keyword in call.keywords:
        try:
            values[keyword.arg] = ast.literal_eval(keyword.value)
        except ValueError:
            continue
    return values


def test_one_version_everywhere(repository, manifest, setup_arguments):
    number = manifest.findtext("version")
    assert re.fullmatch(r"\d+\.\d+\.\d+", number)
    assert setup_arguments["version"] == number
    assert difiisr_ros.__version__ == number
    changes = (repository / "CHANGELOG.rst").read_text()
    released = re.findall(r"^(\d+\.\d+\.\d+) \(\d{4}-\d{2}-\d{2}\)\n-+$", changes, re.MULTILINE)
    assert released[0] == number, "the newest entry of CHANGELOG.rst"
    # What catkin_prepare_release turns into the next one.
    entries = re.findall(r"^(\S.*)\n-+$", changes, re.MULTILINE)
    assert entries[0] == "Forthcoming" and entries[1].startswith(number)


def test_the_version_is_what_package_xml_says_and_elsewhere_what_was_installed(
    tmp_path, monkeypatch
):
    manifest = tmp_path / "package.xml"
    manifest.write_text("<name>difiisr_ros</name>\n<version>7.8.9</version>")
    assert version._version(manifest) == "7.8.9"
    monkeypatch.setattr(metadata, "version", {"difiisr_ros": "4.5.6"}.__getitem__)
    assert version._version(tmp_path / "missing.xml") == "4.5.6"
    manifest.write_text("<name>another</name>\n<version>7.8.9</version>")
    assert version._version(manifest) == "4.5.6"

    def not_installed(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", not_installed)
    assert version._version(tmp_path / "missing.xml") == "unknown"


def test_manifest(repository, manifest):
    assert manifest.get("format") == "3"
    assert manifest.findtext("name") == "difiisr_ros"
    assert manifest.findtext("export/build_type") == "ament_python"
    license_tag = manifest.find("license")
    assert license_tag.text == "Apache-2.0"
    assert "Apache License" in (repository / license_tag.get("file")).read_text()


def test_who_maintains_it_can_be_written_to(manifest, setup_arguments):
    """An address of the documentation's own domains reaches nobody."""
    people = [*manifest.findall("maintainer"), *manifest.findall("author")]
    emails = {person.get("email") for person in people}
    assert emails == {setup_arguments["maintainer_email"], setup_arguments["author_email"]}
    for email in emails:
        assert re.fullmatch(r"[^@\s]+@[^@\s]+", email)
        assert not re.search(r"@(.+\.)?example\.(org|com|net)$", email), email


def test_every_dependency_has_a_rosdep_key(manifest):
    tags = ("depend", "build_depend", "exec_depend", "test_depend", "buildtool_depend")
    keys = [element.text for tag in tags for element in manifest.findall(tag)]
    assert set(keys) <= ROSDEP_KEYS
    assert len(keys) == len(set(keys))


def test_every_ros_package_that_the_nodes_import_is_declared(repository, manifest):
    declared = {element.text for element in manifest.findall("exec_depend")}
    imported = set()
    for file in (repository / "difiisr_ros" / "ros").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    assert "rclpy" in imported
    assert imported & ROSDEP_KEYS <= declared


def test_every_library_that_the_package_imports_is_declared(repository):
    names = {
        "PIL": "pillow", "cv2": "opencv-contrib-python-headless", "skimage": "scikit-image",
        "yaml": "pyyaml",
    }  # fmt: skip
    # bond comes with Nav2, which alone needs it.
    from_ros = {"launch", "launch_ros", "rclpy", "ament_index_python", "bond"}
    beside = {"torchvision"}  # for LPIPS alone, which says so
    ours = {"difiisr_ros", *sys.stdlib_module_names, *from_ros, *beside}
    declared = set(re.findall(r'"([\w-]+)[>=]', (repository / "setup.py").read_text()))
    imported = set()
    for file in (repository / "difiisr_ros").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
            elif isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
    libraries = {n for n in imported - ours if not n.endswith(("_msgs", "_srvs", "_interfaces"))}
    assert {names.get(name, name) for name in libraries} <= declared


def test_executables(repository, setup_arguments):
    scripts = dict(
        re.split(r"\s*=\s*", line) for line in setup_arguments["entry_points"]["console_scripts"]
    )
    assert set(scripts) == EXECUTABLES
    for target in scripts.values():
        module, function = target.split(":")
        source = Path(importlib.util.find_spec(module).origin).read_text()
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), target


def test_ros2_run_finds_the_executables(repository):
    config = configparser.ConfigParser()
    config.read(repository / "setup.cfg")
    assert config["install"]["install_scripts"] == "$base/lib/difiisr_ros"
    assert config["develop"]["script_dir"] == "$base/lib/difiisr_ros"


def test_what_make_installs_is_pinned(repository):
    lines = (repository / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    names = set()
    pin = re.compile(r"([\w.-]+)(\[\w+\])?==[\w.]+( ; python_version [<>=]+ \"[\d.]+\")?")
    for line in wanted:
        match = pin.fullmatch(line)
        assert match, line
        names.add(match.group(1))
    setup_py = (repository / "setup.py").read_text()
    required = re.findall(r'^    "([\w-]+)>=', setup_py, re.MULTILINE)
    assert "onnxruntime" in required and not {"torch", "scipy", "scikit-image"} & set(required)
    assert set(required) <= names


def test_licence_and_attribution(repository):
    text = (repository / "LICENSE").read_text()
    assert "Apache License" in text and "END OF TERMS AND CONDITIONS" in text
    notice = (repository / "NOTICE").read_text()
    assert "HIT-UAV" in notice and "CC BY 4.0" in notice


def test_wheel_holds_weights_launch_files_and_scripts(repository, copy_sources, tmp_path):
    """Built in a copy: setuptools leaves build/ and egg-info beside setup.py."""
    if importlib.util.find_spec("pip") is None:
        pytest.skip("this Python has no pip")
    source = copy_sources(tmp_path / "source")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(tmp_path), str(source)], capture_output=True, text=True
    )
    if "bdist_wheel" in done.stderr:
        pytest.skip("this setuptools cannot build wheels without the wheel package")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = next(name for name in names if name.endswith(".dist-info/METADATA"))
        described = archive.read(info).decode()
        entry_points = archive.read(info.replace("METADATA", "entry_points.txt")).decode()
    assert "difiisr_ros/weights/lite.safetensors" in names
    assert {f"difiisr_ros/weights/{model}.onnx" for model in ("lite", "nano")} <= set(names)
    assert "difiisr_ros/lab/report/page.css" in names
    assert "difiisr_ros/py.typed" in names
    assert not any(name.startswith(("test/", "tools/", "build/")) for name in names)
    share = f"difiisr_ros-{difiisr_ros.__version__}.data/data/share/"
    assert share + "ament_index/resource_index/packages/difiisr_ros" in names
    assert share + "difiisr_ros/package.xml" in names
    installed = {Path(name).name for name in names if name.startswith(share)}
    for folder in ("launch", "config"):
        files = {file.name for file in (repository / folder).iterdir() if file.is_file()}
        assert files and files <= installed
    assert all(name in entry_points for name in EXECUTABLES)
    # pip installs what the command needs (colcon does not: see setup.py).
    assert "Requires-Dist: torch" in described
    assert any(name.endswith("/NOTICE") for name in names)
