"""Options: core's split off, the driver's typed, and everything wrong told by path, value and what would be right."""

import datetime
import decimal
import enum
from typing import Any, Literal

import attrs
import pytest

from meshnet.driver import Attachment, NoOptions
from meshnet.driver.options import CoreOptions, decode_options, option_names, options_problem, per_end
from meshnet.errors import InvalidObject, Problem
from tests.driver.test_registry import driver

PATH = "spec.links[2].options"


class Mode(enum.Enum):
    FAST = "fast"
    SAFE = "safe"


@attrs.frozen
class Shaper:
    rate: int
    burst: int = 0


@attrs.frozen
class Options:
    mode: Mode = Mode.FAST
    queues: int = attrs.field(default=1, validator=attrs.validators.ge(1))
    ratio: float = 1.0
    tag: str | None = attrs.field(default=None, metadata={"per_end": True})
    trace: bool = False
    shapers: list[Shaper] = attrs.Factory(list)


WIRE = driver("wire", options=Options)


def problems(options, wire=WIRE):
    with pytest.raises(InvalidObject) as error:
        decode_options(wire, options, PATH, object="Topology default/r1")
    assert str(error.value).startswith("Topology default/r1: ")
    return list(error.value.problems)


def test_cores_option_is_split_off_and_the_rest_is_the_drivers():
    options = {"offload": True, "mode": "safe", "queues": 4, "ratio": 2, "tag": "x", "shapers": [{"rate": 5}]}

    core, own = decode_options(WIRE, options, PATH)

    assert core == CoreOptions(offload=True)
    assert own == Options(Mode.SAFE, 4, 2.0, "x", False, [Shaper(5)])


def test_no_options_are_all_defaults():
    assert decode_options(WIRE(), {}, PATH) == (CoreOptions(), Options())
    assert decode_options(driver("bare"), {}, PATH) == (CoreOptions(), NoOptions())


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"colour": 1}, Problem(f"{PATH}.colour", 1, "driver wire has no such option; it has offload, mode, queues, "
                                "ratio, tag, trace, shapers")),
        ({"mode": "slow"}, Problem(f"{PATH}.mode", "slow", "right would be one of fast, safe")),
        ({"mode": 1}, Problem(f"{PATH}.mode", 1, "right would be one of fast, safe")),
        ({"queues": "4"}, Problem(f"{PATH}.queues", "4", "right would be a whole number")),
        ({"queues": True}, Problem(f"{PATH}.queues", True, "right would be a whole number")),
        ({"ratio": "x"}, Problem(f"{PATH}.ratio", "x", "right would be a number")),
        ({"tag": 3}, Problem(f"{PATH}.tag", 3, "right would be a string")),
        ({"trace": "no"}, Problem(f"{PATH}.trace", "no", "right would be true or false")),
        ({"offload": "yes"}, Problem(f"{PATH}.offload", "yes", "right would be true or false")),
        ({"shapers": [{"rate": 1}, {}]}, Problem(f"{PATH}.shapers[1].rate", None, "required")),
        ({"shapers": [{"rate": 1, "x": 2}]}, Problem(f"{PATH}.shapers[0].x", 2, "driver wire has no such option; it "
                                                     "has rate, burst")),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_path(options, problem):
    assert problems(options) == [problem]


def test_a_validator_of_the_drivers_own_is_heard():
    (problem,) = problems({"queues": 0})

    assert "'queues' must be >= 1: 0" in problem.right


def test_everything_that_is_wrong_is_told_at_once():
    told = problems({"offload": 1, "mode": "slow", "nothing": None})

    assert {problem.path for problem in told} == {f"{PATH}.offload", f"{PATH}.mode", f"{PATH}.nothing"}


def test_cores_option_is_refused_where_there_is_no_port():
    direct = driver("direct", attachment=Attachment.DIRECT)

    (problem,) = problems({"offload": True}, direct)

    assert problem.path == f"{PATH}.offload"
    assert "driver direct makes the interface itself and has no port" in problem.right
    assert option_names(direct) == ()


def test_per_end_options_are_those_marked():
    assert per_end(WIRE) == frozenset({"tag"})
    assert per_end(driver("bare")()) == frozenset()


@attrs.frozen
class Tree:
    name: str = ""
    branches: "list[Tree]" = attrs.Factory(list)


def options_of(hint):
    return driver("wire", options=attrs.make_class("Timed", {"x": attrs.field(default=None, type=hint)}))


@pytest.mark.parametrize(
    "hint",
    [
        datetime.datetime,
        datetime.datetime | None,
        list[datetime.datetime],
        dict[str, list[decimal.Decimal | None]],
        int | str,
        pytest.param(object(), id="no type"),  # each worker's has another name
    ],
    ids=str,
)
def test_a_field_that_nothing_can_be_decoded_for_is_the_drivers_fault(hint):
    problem = options_problem(options_of(hint))

    assert "options has the field x of type " in problem or "cannot be decoded: " in problem


def test_such_a_field_further_in_is_told_with_its_path():
    @attrs.frozen
    class Inner:
        when: datetime.datetime | None = None

    inner = attrs.make_class("Outer", {"all": attrs.field(factory=list, type=list[Inner])})

    assert "the field all.when of type " in options_problem(driver("wire", options=inner))


@pytest.mark.parametrize(
    "hint",
    [bool, int, float, str, Mode, Mode | None, Shaper | None, list[Shaper], tuple[int, ...], tuple[int, str], set[str],
     frozenset[int], dict[str, int], Literal["a", "b"], Any, Tree, dict[str, Any], list],
    ids=str,
)  # fmt: skip
def test_what_can_be_decoded_is_no_problem(hint):
    assert options_problem(options_of(hint)) is None
    assert options_problem(WIRE) is None
