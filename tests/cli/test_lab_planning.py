"""``lab up`` before anything starts: whatever is wrong in the files is told with its line, and nothing else happens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli import check, exitcodes
from meshnet.cli.lab.planning import make_plan
from meshnet.cli.main import parse
from meshnet.driver.registry import Registry
from meshnet.errors import MeshnetError
from tests.cli.objects import labels, link, topology

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.cli.conftest import Machine

WRONG = (None, 3, "text", [], [[]], {"a": []})


@pytest.fixture(autouse=True)
def no_lab(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is not refused, as it should be, starts nothing that would stay."""
    monkeypatch.setattr("meshnet.lab.launch.launch", lambda *_: pytest.fail("a lab is started"))


def some(kind: str, name: str, version: str = "v1", **more: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, **more}


DOCUMENTS = [
    topology("r1", link(1, "r2", driver="not-installed", options={"a": 1})),
    topology("r2", link(1, "r1", options={"a": 1})),
    some("Pod", "r1", spec={"containers": [{"name": "c"}]}),
    some("StatefulSet", "s", "apps/v1", spec={"replicas": 1, "template": {"spec": {}}}),
    some("ConfigMap", "m", data={"a": "1"}),
    some("Topology", "r1", "example.com/v1", spec={"links": [{"peer_pod": "r2"}]}),
    {"apiVersion": "v1", "kind": "List", "items": [some("Service", "x")]},
]


def paths(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a value but itself, down to the fields of a link."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield (*at, key)
        if len(at) < 4:
            yield from paths(each, (*at, key))


def with_wrong(value: Any, path: Sequence[Any], wrong: Any) -> Any:
    """The value with something else at a path."""
    if not path:
        return wrong
    copy = value.copy()
    copy[path[0]] = with_wrong(copy[path[0]], path[1:], wrong)
    return copy


def write(path: Path, documents: Sequence[Any]) -> str:
    path.write_text("\n---\n".join(map(json.dumps, documents)))
    return str(path)


def test_what_is_made_wrong_below_is_right(tmp_path: Path) -> None:
    file = write(tmp_path / "all.yml", DOCUMENTS)

    assert check.run(parse(["check", file])) == exitcodes.DONE
    plan = make_plan(parse(["lab", "up", file]), "lab")
    assert [each["metadata"]["name"] for each in plan.topologies] == ["r1", "r2"]
    assert plan.pods.keys() == {("default", "r1"), ("default", "s-0")}


@pytest.mark.parametrize("path", list(paths(DOCUMENTS)), ids=lambda path: ".".join(map(str, path)))
def test_what_is_of_a_wrong_type_is_an_error_of_ours_or_none(tmp_path: Path, path: tuple[Any, ...]) -> None:
    for number, wrong in enumerate(WRONG):
        file = write(tmp_path / f"{number}.yml", with_wrong(DOCUMENTS, path, wrong))
        for run in (lambda file: check.run(parse(["check", file])), lambda file: make_plan(_up(file), "lab")):
            try:
                run(file)
            except MeshnetError:
                pass
            except Exception as error:
                raise AssertionError(f"{wrong!r}") from error


def _up(file: str) -> Any:
    return parse(["lab", "up", "--driver", "veth", file] if Registry.load().find("veth") else ["lab", "up", file])


HEAD = "apiVersion: networkop.co.uk/v1beta1\nkind: Topology\nmetadata: {name: r1}\n"
SPEC_RIGHT = "must be a map with the list 'links'"
FOUND = [
    (f"{HEAD}spec: [1]\n", "4: error: Topology default/r1: spec: [1]: " + SPEC_RIGHT),
    (f"{HEAD}spec: text\n", "4: error: Topology default/r1: spec: 'text': " + SPEC_RIGHT),
    (f"{HEAD}spec:\n  links: 3\n", "5: error: Topology default/r1: spec.links: 3: must be a list of links"),
    (
        "apiVersion: v1\nkind: [Pod]\nmetadata: {name: r1}\n",
        "2: error: Topology default/r1: kind: is required: a string that says what this is",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata: text\n",
        "3: error: Service default/?: metadata: 'text': must be a mapping",
    ),
    (
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: 5\n",
        "4: error: Service default/?: metadata.name: 5: must be a string (in quotes)",
    ),
    (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: r1}\nspec:\n  containers:\n  - name: a\n    command: x\n",
        "7: error: Pod default/r1: spec.containers[0].command: 'x': must be a list",
    ),
    ("apiVersion: v1\nkind: List\nitems: 3\n", "3: error: List default/?: items: 3: must be a list"),
    (
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: r1\n  namespace: []\n",
        "5: error: Pod default/r1: metadata.namespace: []: must be a string (in quotes)",
    ),
]


@pytest.mark.parametrize(("text", "found"), FOUND)
@pytest.mark.parametrize("command", [("check",), ("lab", "up")], ids=" ".join)
def test_it_is_told_with_file_and_line(
    machine: Machine, tmp_path: Path, command: tuple[str, ...], text: str, found: str
) -> None:
    path = tmp_path / "wrong.yml"
    path.write_text(text)
    ran = machine.run(*command, str(path))

    assert ran.code == exitcodes.FAILED
    assert f"{path}:{found}" in (ran.out + ran.err).splitlines()
    if command != ("check",):
        assert ran.err.splitlines()[-1].endswith("error(s) in the files: nothing was started")


def test_every_pod_that_is_wrong_is_told_at_its_own_line(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "pods.yml"
    path.write_text("---\n".join(f"apiVersion: v1\nkind: {kind}\nmetadata: 3\n" for kind in ("Pod", "Service", "Pod")))
    ran = machine.run("lab", "up", str(path))

    assert ran.code == exitcodes.FAILED
    assert [line.split(": ")[0] for line in ran.err.splitlines()[:-1]] == [f"{path}:{n}" for n in (3, 3, 7, 11, 11)]


@pytest.mark.parametrize(
    "words",
    [
        ("--place", "r1"),
        ("--place", "r1=n7"),
        ("--nodes", "0"),
        ("--driver", "nonsense"),
        ("--underlay-mtu", "9"),
        ("--underlay-delay", "-1"),
        ("/no/such/file",),
    ],
    ids=" ".join,
)
def test_wrong_use(machine: Machine, tmp_path: Path, words: tuple[str, ...]) -> None:
    ran = machine.run("lab", "up", *words, write(tmp_path / "r1.yml", [some("Pod", "r1")]))

    assert (ran.code, " ".join(words) in ran.err) == (exitcodes.WRONG_USE, True), ran.err


@pytest.mark.parametrize(
    ("words", "right"),
    [
        (("--nodes", "two"), "a whole number"),
        (("--underlay-mtu", "1.5k"), "a whole number"),
        (("--underlay-delay", "20ms"), "a number of milliseconds"),
    ],
)
def test_what_is_no_number_is_told_with_what_would_be_right(
    machine: Machine, tmp_path: Path, words: tuple[str, str], right: str
) -> None:
    ran = machine.run("lab", "up", *words, write(tmp_path / "r1.yml", [some("Pod", "r1")]))

    assert ran.code == exitcodes.WRONG_USE
    assert f"{words[0]}: '{words[1]}': must be {right}" in ran.err


def labelled(driver: str | None = None) -> list[dict[str, Any]]:
    """Two pods, and a link with an option that is not the same at both ends."""
    named = {"driver": driver} if driver else {}
    one, two = link(1, "r2", options={"label": "a"}, **named), link(1, "r1", options={"label": "b"})
    return [topology("r1", one), topology("r2", two), some("Pod", "r1"), some("Pod", "r2")]


@pytest.mark.parametrize("driver", [None, "named"])
def test_an_option_that_is_per_end_may_differ(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: str | None
) -> None:
    monkeypatch.setattr(Registry, "load", lambda: Registry.of(labels("named", per_end=True)))
    file = write(tmp_path / "all.yml", labelled(driver))

    assert len(make_plan(parse(["lab", "up", file]), "lab").pods) == 2
    assert machine.run("check", file).code == exitcodes.DONE


def test_another_option_may_not(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "load", lambda: Registry.of(labels("named", per_end=False)))
    ran = machine.run("lab", "up", write(tmp_path / "all.yml", labelled()))

    assert ran.code == exitcodes.FAILED
    assert "options.label is 'b' at default/r2:eth1 and 'a' at default/r1:eth1" in ran.err


def test_drivers_are_not_imported_where_no_link_leans_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Registry, "load", lambda: pytest.fail("they are imported"))
    documents = [topology("r1", link(1, "r2")), topology("r2", link(1, "r1")), some("Pod", "r1")]

    assert make_plan(parse(["lab", "up", write(tmp_path / "all.yml", documents)]), "lab").pods
