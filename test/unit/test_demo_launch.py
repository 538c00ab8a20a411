"""demo.launch.py, run with stand-ins for launch, which has no release on PyPI."""

from __future__ import annotations

import importlib.util
import sys
import types

import pytest

from difiisr_ros.ros.frame_player_parameters import BY_NAME


class Thing:
    """Stands for any class of launch: keeps what it was made of."""

    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs

    def perform(self, context):
        return context[self.args[0]]


class PackageNotFoundError(LookupError):
    pass


@pytest.fixture
def demo_launch(repository, monkeypatch):
    """The launch file as a module, and the set of packages that seem to be installed."""
    installed = set()

    def get_package_prefix(name):
        if name not in installed:
            raise PackageNotFoundError(name)
        return "/opt/ros"

    names = {
        "launch": ["LaunchDescription"],
        "launch.actions": [
            "DeclareLaunchArgument", "IncludeLaunchDescription", "LogInfo", "OpaqueFunction",
        ],
        "launch.launch_description_sources": ["PythonLaunchDescriptionSource"],
        "launch.substitutions": ["LaunchConfiguration", "PathJoinSubstitution"],
        "launch_ros": [],
        "launch_ros.actions": ["Node"],
        "launch_ros.substitutions": ["FindPackageShare"],
        "ament_index_python": [],
        "ament_index_python.packages": [],
    }  # fmt: skip
    for module_name, classes in names.items():
        module = types.ModuleType(module_name)
        for name in classes:
            setattr(module, name, type(name, (Thing,), {}))
        monkeypatch.setitem(sys.modules, module_name, module)
    packages = sys.modules["ament_index_python.packages"]
    packages.PackageNotFoundError = PackageNotFoundError
    packages.get_package_prefix = get_package_prefix
    path = repository / "launch" / "demo.launch.py"
    spec = importlib.util.spec_from_file_location("demo_launch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, installed


def actions(module, monkeypatch, display=":0", **given):
    """What the launch file would start with these arguments."""
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    (entities,) = module.generate_launch_description().args
    *declared, function = entities
    defaults = {d.args[0]: d.kwargs["default_value"] for d in declared}
    assert all(d.kwargs["description"] for d in declared)
    assert set(given) <= set(defaults)
    return function.kwargs["function"]({**defaults, **given})


def executables(started):
    return [a.kwargs["executable"] for a in started if "executable" in a.kwargs]


def test_it_starts_what_is_installed_with_parameters_that_exist(
    demo_launch, monkeypatch, repository
):
    module, _ = demo_launch
    started = actions(module, monkeypatch, source="/a/bag", rate="9", width="320", view="none")
    assert executables(started) == ["sr_monitor_node", "frame_player_node"]
    setup = (repository / "setup.py").read_text()
    assert all(f'"{name} = difiisr_ros.ros.' in setup for name in executables(started))
    (parameters,) = started[2].kwargs["parameters"]
    assert parameters["source"] == "/a/bag" and parameters["width"] == 320
    for name, value in parameters.items():
        assert BY_NAME[name].check(value) is None
    include = started[0]
    ((_, *path),) = include.args[0].args[0].args
    assert (repository / "/".join(path)).is_file()
    node_launch = (repository / "/".join(path)).read_text()
    for name, _value in include.kwargs["launch_arguments"]:
        assert f'"{name}": (' in node_launch


@pytest.mark.parametrize(
    ("there", "view", "expected"),
    [
        ({"image_view", "rviz2"}, "auto", ["image_view", "image_view"]),
        ({"rqt_image_view"}, "auto", ["rqt_image_view", "rqt_image_view"]),
        ({"rviz2"}, "auto", ["rviz2"]),
        ({"image_view", "rviz2"}, "rviz2", ["rviz2"]),
        ({"image_view"}, "none", []),
        ({"image_view"}, "rviz2", []),
        (set(), "auto", []),
    ],
)
def test_viewers_are_started_where_installed(
    demo_launch, monkeypatch, there, view, expected, repository
):
    module, installed = demo_launch
    installed |= there
    started = actions(module, monkeypatch, view=view)
    assert executables(started)[2:] == expected
    said = [a.kwargs["msg"] for a in started if "msg" in a.kwargs]
    if not expected and view != "none":
        assert said and "not installed" in said[0]
    if "rviz2" in expected:
        config = started[-1].kwargs["arguments"][1].args[0]
        assert (repository / "/".join(config[1:])).is_file()


def test_no_display_and_no_such_viewer(demo_launch, monkeypatch):
    module, installed = demo_launch
    installed.add("rviz2")
    started = actions(module, monkeypatch, display="")
    assert executables(started)[2:] == [] and "no display" in started[-1].kwargs["msg"]
    with pytest.raises(ValueError, match="view:=vlc; accepted are auto"):
        actions(module, monkeypatch, view="vlc")
