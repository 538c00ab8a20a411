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

"""HTML elements as function calls that escape everything which is not HTML already.

File names, topics and error texts come from users; in a page they are text, whatever they hold.
"""

from __future__ import annotations

import html
from collections.abc import Iterable


class Html(str):
    """A text that is HTML; every other text is escaped where it meets one."""

    __slots__ = ()


Content = str | Iterable["str | Html | None"]

_VOID = frozenset({"img", "input", "meta", "br", "hr"})


def tag(name: str, /, *children: Content | None, **attributes: object) -> Html:
    """An element.

    Args:
        name: ``div``.
        children: Texts (escaped), elements, sequences of them; None is left out.
        attributes: ``class_`` is ``class``, ``stroke_width`` is ``stroke-width``. None and False
            leave an attribute out, True gives it no value; numbers are rounded to hundredths.
    """
    parts = [f"<{name}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(f" {key}" if value is True else f' {key}="{html.escape(_text(value))}"')
    parts.append(">")
    if name not in _VOID:
        parts += [joined(*children), f"</{name}>"]
    return Html("".join(parts))


def page_head(title: str, policy: str, style: str, *more: Html) -> Html:
    """The ``head`` of a page that needs no other file.

    Args:
        policy: what the page may load and run, its Content-Security-Policy.
        style: CSS.
        more: further elements, after the viewport's.
    """
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        *more,
        tag("title", title),
        tag("style", Html(style)),
    )


def joined(*children: Content | None) -> Html:
    """Elements and texts, one after the other, without an element around them."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(html.escape(child))
        else:
            parts.append(joined(*child))
    return Html("".join(parts))


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.2f}".rstrip("0").rstrip(".")
    return str(value)
