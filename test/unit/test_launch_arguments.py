"""Texts of the command line become values, or a message that says what is accepted."""

from __future__ import annotations

import pytest

from difiisr_ros.errors import OptionError
from difiisr_ros.ros.launch_arguments import (
    NODE_PARAMETERS,
    camera_names,
    given_parameters,
    of_parameters,
)


def value(name, text):
    (argument,) = of_parameters(name)
    return argument.value(text)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("num_steps", "4", 4),
        ("stale_after", "2", 2.0),
        ("stale_after", "1e1", 10.0),
        ("lazy", "true", True),
        ("lazy", "False", False),
        ("model", "007", "007"),
        ("backend", "torch", "torch"),
    ],
)
def test_texts_become_values_of_the_parameters_type(name, text, expected):
    result = value(name, text)
    assert result == expected and type(result) is type(expected)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("num_steps", "many", r"num_steps:=many: must be of type int, accepted: 1 to 1 000"),
        ("num_steps", "2.5", r"num_steps:=2\.5: must be of type int"),
        ("num_steps", "0", r"num_steps:=0: num_steps is 0; accepted: 1 to 1 000"),
        ("stale_after", "nan", r"stale_after:=nan: .*accepted: 0\.1 to 3600"),
        ("lazy", "yes", r"lazy:=yes: must be of type bool, accepted: true, false"),
        ("backend", "cuda", r"backend:=cuda: .*accepted: auto, torch, bicubic"),
    ],
)
def test_wrong_texts_are_named_with_what_is_accepted(name, text, said):
    with pytest.raises(OptionError, match=said):
        value(name, text)


def test_only_what_was_given_is_set_and_only_on_its_own_node():
    arguments = of_parameters("model", "num_steps", "lazy")
    texts = {"model": "", "num_steps": "3", "lazy": ""}
    assert given_parameters(arguments, texts, NODE_PARAMETERS) == {"num_steps": 3}
    assert given_parameters(arguments, texts, {}) == {}


def test_an_argument_that_is_set_unless_given_needs_a_text():
    (argument,) = of_parameters("backend", defaults={"backend": "torch"})
    assert argument.default == "torch"
    assert argument.accepted_texts == argument.choices
    (unset,) = of_parameters("backend")
    assert unset.accepted_texts == ("", *argument.choices)
    assert unset.description.endswith("Empty: as in params_file.")


def test_camera_names():
    assert camera_names("front, rear,cam_2") == ["front", "rear", "cam_2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not a name"),
        ("front,,rear", "'' is not a name"),
        ("2nd", "'2nd' is not a name"),
        ("front rear", "'front rear' is not a name; accepted are letters"),
        ("front,rear,front", "front is there twice"),
    ],
)
def test_names_that_topics_cannot_have(text, said):
    with pytest.raises(OptionError, match=said):
        camera_names(text)
