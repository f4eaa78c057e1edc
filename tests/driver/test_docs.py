"""docs/drivers.md tells of everything that a driver's author can use, and what it shows works."""

import errno
import inspect
import re
import tomllib
from pathlib import Path

import attrs
import pytest

import meshnet.driver
from meshnet.driver import (
    AcceptsStreams,
    Counts,
    DriverContext,
    LinkDriver,
    LinkEnd,
    Peer,
    SetsCarrier,
    declaration,
    hookspecs,
)
from meshnet.driver.options import decode_options, per_end
from meshnet.errors import InvalidObject, KernelError
from meshnet.model.names import Mark, parse_mark
from meshnet.model.topology import Endpoint
from meshnet.netlink import links
from meshnet.netlink.netns import dump_nsids, parse_nsid
from meshnet.testing.drivers import DriverTests
from tests.driver.test_registry import driver

PAGE = (Path(__file__).parents[2] / "docs/drivers.md").read_text()
HEADINGS = re.findall(r"^### (.*)$", PAGE, re.MULTILINE)

pytest_plugins = "pytester"


def public(cls):
    return {name: found for name, found in vars(cls).items() if inspect.isfunction(found) and name[0] != "_"}


def section(title):
    return re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^## |^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]


def block(after, language):
    return re.search(rf"{re.escape(after)}.*?^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]


@pytest.mark.parametrize(
    ("name", "function"),
    [item for cls in (LinkDriver, SetsCarrier, AcceptsStreams, Counts) for item in public(cls).items()],
)
def test_every_method_has_a_heading_with_its_signature(name, function):
    arguments = ", ".join(inspect.signature(function).parameters)
    prefix = "async def" if inspect.iscoroutinefunction(function) else "def"

    assert f"{prefix} {name}({arguments})" in HEADINGS


def test_every_method_that_is_judged_is_documented():
    assert {*declaration._ASYNC, *declaration._PLAIN} == {
        name for cls in (LinkDriver, SetsCarrier, AcceptsStreams, Counts) for name in public(cls)
    }


def test_every_hook_has_a_heading_with_its_arguments():
    hooks = {name: found for name, found in vars(hookspecs).items() if hasattr(found, "meshnet_spec")}

    assert hooks
    for name, found in hooks.items():
        assert f"{name}({', '.join(inspect.signature(found).parameters)})" in HEADINGS


def test_every_attribute_of_the_declaration_is_in_the_table():
    rows = re.findall(r"^\| `(\w+)` \|", section("Declaration"), re.MULTILINE)

    assert rows == list(LinkDriver.__annotations__)


@pytest.mark.parametrize("cls", [DriverContext, LinkEnd, Peer])
def test_everything_that_is_given_is_in_its_table(cls):
    assert re.findall(r"^\| `(\w+)` \|", section(cls.__name__), re.MULTILINE) == list(attrs.fields_dict(cls))


@pytest.mark.parametrize("name", meshnet.driver.__all__)
def test_everything_exported_is_told_of(name):
    assert re.search(rf"\b{name}\b", PAGE)


def test_every_test_of_the_kit_is_in_the_table():
    rows = re.findall(r"^\| `(test_\w+)` \|", PAGE, re.MULTILINE)

    assert sorted(rows) == sorted(name for name in dir(DriverTests) if name.startswith("test_"))


def test_the_options_shown_are_decoded_as_told():
    room = {"__name__": __name__}
    exec(block("## Options", "python"), room)
    wire = driver("wire", options=room["Options"])

    with pytest.raises(InvalidObject) as error:
        decode_options(wire, {"mode": "slow"}, "spec.links[2].options")

    assert str(error.value.problems[0]) in PAGE
    assert per_end(wire) == {"label"}


def test_marks_are_read_as_shown():
    room = {}
    exec(block("## Marks", "python"), room)
    short, long = Endpoint("default", "r1", "eth1"), Endpoint("n" * 63, "p" * 253, "i" * 15)
    marks = [parse_mark(Mark.of(endpoint, 1, "c" * 64).alias) for endpoint in (short, long)]

    assert [room["endpoint_of"](mark, ()) for mark in marks] == [short, None]
    assert room["endpoint_of"](marks[1], (short, long)) == long
    assert len(room["birth_name"](marks[0].alias)) == 15


@pytest.mark.kernel
def test_marked_devices_are_found_as_shown(meshnet_node):
    room = {}
    exec(block("## Marks", "python"), room)
    mark = Mark("default", "r1", "eth1", 1, "c1")
    pod = meshnet_node.pod("r1")
    made = [space.make_stranger("br0") for space in (meshnet_node, pod)]
    for space, ifindex in zip((meshnet_node, pod), made, strict=True):
        space.make_stranger("br1")
        space.netlink.run([links.set_link(ifindex, alias=mark.alias)])

    netlink, numbers = meshnet_node.netlink, set(map(parse_nsid, meshnet_node.netlink.dump(dump_nsids())))

    assert pod.nsid in numbers
    for nsid, ifindex in zip((None, pod.nsid), made, strict=True):
        assert [(info.ifindex, found) for info, found in room["marked"](netlink, "bridge", nsid)] == [(ifindex, mark)]
    with pytest.raises(KernelError) as error:
        list(room["marked"](netlink, "bridge", 4711))
    assert error.value.errno == errno.EINVAL


@pytest.mark.kernel
def test_the_folder_of_the_tutorial_passes_the_kit(pytester):
    for name in ("meshnet_wire", "test_wire"):
        (pytester.path / f"{name}.py").write_text(block(f"`{name}.py`:", "python"))
    (pytester.path / "test_own.py").write_text(block("For tests of your own", "python"))
    pytester.syspathinsert()

    result = pytester.runpytest("-p", "no:asyncio")

    outcomes = result.parseoutcomes()
    assert outcomes.keys() == {"passed", "skipped"}
    assert outcomes["passed"] > 20


def test_the_entry_point_of_the_tutorial_names_the_module():
    project = tomllib.loads(block("`pyproject.toml`:", "toml"))["project"]

    assert project["entry-points"]["meshnet"] == {"wire": "meshnet_wire"}
