from __future__ import annotations

import pytest

from meshnet.cli.main import main, parse
from meshnet.errors import UsageError


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("get links -n ns1 r2", {"what": "links", "name": "r2", "namespace": "ns1"}),
        ("get -o json topologies a", {"what": "topologies", "name": "a", "output": "json"}),
        ("get topologies -o json a --lab x", {"name": "a", "output": "json", "lab": "x"}),
        ("delete topology -n default r1 r2", {"named": ["topology", "r1", "r2"], "namespace": "default"}),
        ("check a.yml -o json b.yml", {"files": ["a.yml", "b.yml"], "output": "json"}),
        ("check a.yml -o json -- -b.yml", {"files": ["a.yml", "-b.yml"], "output": "json"}),
        ("wait --for up a:eth1 --timeout 3 b:eth1", {"places": ["a:eth1", "b:eth1"], "timeout": 3.0}),
        ("lab up a.yml --wait 5 b.yml", {"files": ["a.yml", "b.yml"], "wait": 5.0}),
        ("lab pods -o json r1", {"pod": "r1", "output": "json"}),
        ("lab exec r1 -q -- ls -q --", {"name": "r1", "quiet": True, "after_dashes": ["ls", "-q", "--"]}),
    ],
)
def test_names_stand_before_and_after_options(line: str, expected: dict[str, object]) -> None:
    args = vars(parse(line.split()))
    assert {name: args[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("line", "what", "command"),
    [
        ("get links a b", "b", "meshnet get"),
        ("get links --bogus", "--bogus", "meshnet get"),
        ("check a.yml --bogus -o json", "--bogus", "meshnet check"),
        ("lab up a.yml --bogus", "--bogus", "meshnet lab up"),
        ("lab exec --bogus r1 -- ls", "--bogus", "meshnet lab exec"),
        ("--bogus get links", "--bogus", "meshnet"),
    ],
)
def test_words_that_mean_nothing_point_to_the_help_of_their_command(line: str, what: str, command: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert str(caught.value) == f"unrecognized arguments: {what} (see `{command} --help`)"


@pytest.mark.parametrize("line", ["wait a:eth1", "check -o json"])
def test_what_is_required_stays_so(line: str) -> None:
    with pytest.raises(UsageError, match="the following arguments are required"):
        parse(line.split())


@pytest.mark.parametrize("line", ["get --help", "get links -n x -h", "get -qh"])
def test_the_help_tells_every_argument(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(line.split())
    assert "WHAT [NAME]" in capsys.readouterr().out
