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

"""What was given to a node as parameters that it does not have. No ROS here."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

from difiisr_ros.stream.parameter_spec import likely_meant

#: What ROS itself reads of any node.
_OF_ROS = re.compile(r"use_sim_time|start_type_description_service|qos_overrides\..*")
_MOST_NAMED = 20


def unknown_notes(
    given: Iterable[str], known: Collection[str], other_names: Mapping[str, str] | None = None
) -> list[str]:
    """What to warn of, in words: a line for each name that is like a known one, one for all others.

    rcl hands a node the parameters of every section of a file that fits its name, ``/**`` among
    them, and launch's ``SetParameter`` those of every node: what is another node's cannot be told
    from a slip of the pen. So all names are told, but those that resemble none in a single line:
    who shares a file among nodes reads over it, and who has misspelt one finds it.

    Args:
        given: names of the overrides.
        known: those of the node's parameters.
        other_names: what else known ones may be called, and their names.
    """
    names = [name for name in given if name not in known and not _OF_ROS.fullmatch(name)]
    notes, others = [], []
    for name in names:
        close = nearest_parameter(name, known, other_names)
        if close is None:
            others.append(name)
        else:
            notes.append(f"parameter '{name}' does not exist; did you mean '{close}'?")
    if others:
        more = len(others) - _MOST_NAMED
        named = ", ".join(others[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        notes.append(
            f"not used, as this node has no such parameters: {named}; --help lists its own"
        )
    return notes


def nearest_parameter(
    name: str, known: Collection[str], other_names: Mapping[str, str] | None = None
) -> str | None:
    """The parameter that a wrong name stands for; None where there is none like it.

    One that is called so elsewhere, else one of a like spelling, else one that has all of its
    words: ``steps`` is ``num_steps``.
    """
    found = (other_names or {}).get(name) or likely_meant(name, known)
    if found is not None:
        return found
    words = _words(name)
    return likely_meant(name, [other for other in known if words <= _words(other)], likeness=0.0)


def _words(name: str) -> set[str]:
    return set(re.split(r"[._]", name.lower()))
