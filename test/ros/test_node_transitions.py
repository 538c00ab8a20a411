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

"""Every lifecycle transition after every other, 50 times and more: answered right, nothing left.

Transitions that are not possible in a state are asked for as often as the others: up to Jazzy they
end an rclpy lifecycle node (ros2/rclpy #1209).
"""

from __future__ import annotations

import gc
import itertools
import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.parameter import Parameter
from sensor_msgs.msg import Image

from difiisr_ros.ros.node import SuperResolutionNode
from support.node_harness import Graph, scene
from support.waiting import DEADLINE, wait_for

TRANSITIONS = ("configure", "activate", "deactivate", "cleanup")
#: (state, transition): the state after it. Whatever is not here must be refused.
POSSIBLE = {
    ("unconfigured", "configure"): "inactive",
    ("inactive", "activate"): "active",
    ("active", "deactivate"): "inactive",
    ("inactive", "cleanup"): "unconfigured",
    **{(state, "shutdown"): "finalized" for state in ("unconfigured", "inactive", "active")},
}


def every_order(symbols: Sequence[str], length: int) -> list[str]:
    """A sequence that has every sequence of ``length`` symbols in it once, its end and beginning
    joined (de Bruijn): each symbol that has been tried least often after the last few comes next.
    """
    sequence = [symbols[0]] * (length - 1)
    seen: set[tuple[str, ...]] = set()
    while True:
        last = sequence[len(sequence) - length + 1 :]
        new = [s for s in reversed(symbols) if (*last, s) not in seen]
        if not new:
            return sequence[length - 1 :]
        seen.add((*last, new[0]))
        sequence.append(new[0])


def test_every_order_is_every_order():
    walk = every_order(TRANSITIONS, 5)
    assert len(walk) == 4**5
    joined = walk + walk[:4]
    windows = {tuple(joined[i : i + 5]) for i in range(len(walk))}
    assert windows == set(itertools.product(TRANSITIONS, repeat=5))
    pairs = Counter(itertools.pairwise(walk))
    assert len(pairs) == 16
    assert min(pairs.values()) >= 50


def held(node) -> dict[str, int]:
    """What the process and the node hold that could leak, but memory."""
    gc.collect()
    return {
        "publishers": len(list(node.publishers)),
        "subscriptions": len(list(node.subscriptions)),
        "timers": len(list(node.timers)),
        "services": len(list(node.services)),
        "managed entities": len(node._managed_entities),
        "waitables": len(list(node.waitables)),
        "entities of the default group": len(node.default_callback_group.entities),
        "parameters": len(node._parameters),
        "threads": threading.active_count(),
        "threads of the process": len(os.listdir("/proc/self/task")),
        "file descriptors": len(os.listdir("/proc/self/fd")),
    }


def resident_megabytes() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def device_megabytes(device: str) -> float:
    if device != "cuda":
        return 0.0
    import torch

    return torch.cuda.memory_allocated() / 2**20


def walk(graph: Graph, transitions: Sequence[str], ask) -> None:
    """Ask for each of them; the answer and the state must be those of the table above."""
    for name in transitions:
        state = graph.node.state_label
        after = POSSIBLE.get((state, name))
        assert ask(name) == (after is not None), f"{name} while {state}"
        assert graph.node.state_label == (after or state), f"after {name} while {state}"
        if after == "active":
            graph.send(scene())  # it may be in work when the next transition comes


def back_to_unconfigured(graph: Graph) -> None:
    for name in ("deactivate", "cleanup"):
        graph.transition(name)
    assert graph.node.state_label == "unconfigured"


def cuda(order: int):
    """The torch backend on a GPU, skipped where there is none."""
    try:
        import torch

        missing = not torch.cuda.is_available()
    except ImportError:
        missing = True
    skip = pytest.mark.skipif(missing, reason="torch sees no CUDA device")
    return pytest.param("torch", "cuda", order, marks=skip)


@pytest.mark.parametrize(
    ("backend", "device", "order"),
    [
        ("bicubic", "cpu", 4),
        ("torch", "cpu", 4),
        pytest.param("bicubic", "cpu", 5, marks=pytest.mark.slow),
        pytest.param("torch", "cpu", 5, marks=pytest.mark.slow),
        cuda(5),
    ],
)
def test_no_order_of_transitions_leaves_anything_behind(backend, device, order):
    """Frames come in meanwhile. A length of 5 has each ordered pair 64 times.

    Memory: half the weights of the lite model (0.5 MB), left behind by each of the 85 times that
    it is configured, would be more than the bound; the allocator's own noise is 5 MB.
    """
    with Graph(autostart=False, wait_active=False, backend=backend, device=device) as graph:
        graph.publisher = graph.tester.create_publisher(Image, "image_raw", 1)
        graph.subscribe(Image, "sr/image_raw", graph.images)
        walk(graph, every_order(TRANSITIONS, 3), graph.transition)
        back_to_unconfigured(graph)
        graph.images.clear()
        before, megabytes = held(graph.node), resident_megabytes()
        on_device = device_megabytes(device)
        walk(graph, every_order(TRANSITIONS, order), graph.transition)
        back_to_unconfigured(graph)
        graph.images.clear()
        wait_for(lambda: held(graph.node) == before, f"as before: {before}")
        assert resident_megabytes() - megabytes < 20
        assert device_megabytes(device) - on_device < 0.1
        # It still works.
        for name in ("configure", "activate"):
            assert graph.transition(name)
        graph.matched()
        assert graph.roundtrip(scene()).width == 128


IDS = {name: getattr(Transition, f"TRANSITION_{name.upper()}") for name in TRANSITIONS}


@pytest.mark.parametrize("by", ["id", "label"])
def test_every_order_by_service(by):
    """As ``ros2 lifecycle set`` asks; at the end shutdown, after which nothing is possible."""
    with Graph(autostart=False, wait_active=False) as graph:
        graph.publisher = graph.tester.create_publisher(Image, "image_raw", 1)
        client = graph.tester.create_client(ChangeState, "/super_resolution/change_state")
        assert client.wait_for_service(DEADLINE)

        def ask(name: str) -> bool:
            wanted = Transition(label=name)
            if by == "id" and name in IDS:  # shutdown's depends on the state
                wanted = Transition(id=IDS[name])
            future = client.call_async(ChangeState.Request(transition=wanted))
            wait_for(future.done, f"an answer to {name}")
            return future.result().success

        walk(graph, every_order(TRANSITIONS, 3), ask)
        walk(graph, ("shutdown", *TRANSITIONS, "shutdown"), ask)
        assert graph.node.state_label == "finalized"


def test_shutdown_after_every_order_frees_everything():
    """18 nodes one after the other, each shut down where some transitions have brought it."""
    with Graph(autostart=False, wait_active=False) as graph:
        before = megabytes = None
        longer = [("configure", "activate", last) for last in ("deactivate", "cleanup")]
        for count, path in enumerate([*itertools.product(TRANSITIONS, repeat=2), *longer]):
            node = SuperResolutionNode(
                f"one_of_{count}",
                context=graph.context,
                parameter_overrides=[
                    Parameter("autostart", value=False),
                    Parameter("backend", value="bicubic"),
                ],
            )
            graph.executor.add_node(node)
            for name in (*path, "shutdown"):
                state = node.state_label
                assert graph.in_executor(node.transition, name) == ((state, name) in POSSIBLE)
            assert node.state_label == "finalized"
            for name in (*TRANSITIONS, "shutdown"):
                assert not graph.in_executor(node.transition, name)
            assert node._upscaler is None
            graph.executor.remove_node(node)
            graph.in_executor(node.destroy_node)
            if count == 4:
                before, megabytes = held(graph.node), resident_megabytes()
        wait_for(lambda: held(graph.node) == before, "nothing is left of 13 nodes")
        assert resident_megabytes() - megabytes < 20
