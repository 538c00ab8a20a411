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

"""Launch files as modules where launch, which has no release on PyPI, is not installed."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LAUNCH_FILES = ("super_resolution", "multi_camera", "replay_evaluation", "demo")

MODULES = (
    "ament_index_python", "ament_index_python.packages", "diagnostic_msgs", "diagnostic_msgs.msg",
    "launch", "launch.actions", "launch.condition", "launch.event", "launch.event_handler",
    "launch.event_handlers", "launch.events", "launch.events.process", "launch.launch_context",
    "launch.logging",
    "launch.substitutions", "launch_ros", "launch_ros.actions", "launch_ros.parameter_descriptions",
    "launch_ros.ros_adapters", "launch_ros.substitutions", "std_msgs", "std_msgs.msg",
)  # fmt: skip

#: Parts of our package that import launch.
OURS = tuple(f"difiisr_ros.ros.launch_{part}" for part in ("actions", "node", "replay"))

#: Actions that start a ROS node.
NODES = ("Node", "LifecycleNode", "SuperResolutionNode", "DeclaredNode")


class Context(dict[str, str]):
    """Stands for a LaunchContext: the arguments that were given."""

    @property
    def launch_configurations(self) -> dict[str, str]:
        """The same, as a LaunchContext has them."""
        return self


class Thing:
    """Stands for any class of launch: keeps what it was made of."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def perform(self, context: dict[str, str]) -> str:
        """What LaunchConfiguration does."""
        return context[self.args[0]]

    def execute(self, context: dict[str, str]) -> list[Any]:
        """What an action does."""
        return []

    @property
    def node_name(self) -> str:
        """What a node's action has once it is executed."""
        return "/" + f"{self.kwargs['namespace']}/{self.kwargs['name']}".strip("/")

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["kwargs"][name]
        except KeyError:
            raise AttributeError(name) from None


def kind(thing: Any) -> str:
    """The name of the class that something stands for."""
    return type(thing).__name__


def _stand_in(name: str) -> types.ModuleType:
    module = types.ModuleType(name)

    def __getattr__(attribute: str) -> type:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        made = type(attribute, (Thing,), {})
        setattr(module, attribute, made)
        return made

    module.__getattr__ = __getattr__  # type: ignore[method-assign]
    return module


def _logger(name: str) -> logging.Logger:
    """One that passes on what it is told: a loaded launch's own of this name does not."""
    return logging.getLogger(f"stand_ins.{name}")


@contextlib.contextmanager
def launch_file(repository: Path, name: str, installed: tuple[str, ...] = ()) -> Iterator[Any]:
    """The launch file of this name as a module; ``installed`` are the ROS packages there are."""

    class PackageNotFoundError(LookupError):
        pass

    def get_package_prefix(package: str) -> str:
        if package not in installed:
            raise PackageNotFoundError(package)
        return "/opt/ros"

    before = {key: sys.modules.pop(key, None) for key in (*MODULES, *OURS)}
    try:
        sys.modules.update({key: _stand_in(key) for key in MODULES})
        packages = sys.modules["ament_index_python.packages"]
        packages.PackageNotFoundError = PackageNotFoundError  # type: ignore[attr-defined]
        packages.get_package_prefix = get_package_prefix  # type: ignore[attr-defined]
        packages.get_package_share_directory = get_package_prefix  # type: ignore[attr-defined]
        sys.modules["launch.logging"].get_logger = _logger  # type: ignore[attr-defined]
        path = repository / "launch" / f"{name}.launch.py"
        spec = importlib.util.spec_from_file_location(f"{name}_launch", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        for key, old in before.items():
            sys.modules.pop(key, None)
            if old is not None:
                sys.modules[key] = old


def declared(module: Any) -> dict[str, Any]:
    """The arguments that a launch file declares: keyword arguments by name."""
    (entities,) = module.generate_launch_description().args
    return {d.args[0]: d.kwargs for d in entities if kind(d) == "DeclareLaunchArgument"}


def started(module: Any, **given: str) -> list[Any]:
    """The actions that a launch file takes with these arguments."""
    (entities,) = module.generate_launch_description().args
    arguments = {argument.name: argument for argument in module.ARGUMENTS}
    texts = {name: argument.default for name, argument in arguments.items()}
    assert set(given) <= set(texts)
    context = Context(texts, **given)
    (taken,) = [e for e in entities if kind(e) != "DeclareLaunchArgument" and _holds(e, context)]
    if kind(taken) == "OpaqueFunction":
        actions = taken.kwargs["function"](context)
        return [
            *(more for a in actions if kind(a) in NODES for more in a.execute(context)),
            *actions,
        ]
    return [*taken.execute(context), taken]


def _holds(entity: Any, context: Context) -> bool:
    """Whether an entity has no condition, or one that holds."""
    condition = entity.kwargs.get("condition")
    return condition is None or condition.kwargs["predicate"](context)


def nodes(actions: list[Any]) -> dict[str, Any]:
    """The ROS nodes among them: keyword arguments by namespace and name."""
    found = [a.kwargs for a in actions if kind(a) in NODES]
    named = {f"{k.get('namespace', '')}/{k.get('name', k['executable'])}": k for k in found}
    assert len(named) == len(found)
    return named


def plain(parameters: list[Any] | None) -> dict[str, Any]:
    """A node's parameters with ``ParameterValue`` taken off; its texts must say that they are.

    Files of parameters are left out.
    """
    values = [item for item in parameters or [] if isinstance(item, dict)]
    assert len(values) <= 1 and all(values), "an empty file would be written for it"
    return {key: _plain(value) for item in values for key, value in item.items()}


def _plain(value: Any) -> Any:
    assert not isinstance(value, (str, list)), "launch would guess the type of a bare text"
    if kind(value) == "ParameterValue":
        (plain,) = value.args
        expected = list[type(plain[0])] if isinstance(plain, list) else str
        assert value.kwargs == {"value_type": expected}
        return plain
    return value
