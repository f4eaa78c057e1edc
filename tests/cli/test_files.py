from __future__ import annotations

import http.server
import io
import json
import threading
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.files import WrongFiles, read_files, read_topologies
from meshnet.errors import MeshnetError, UsageError
from meshnet.model.documents import BadText
from tests.cli.objects import link, topology

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "files" / "1.yml"
    path.parent.mkdir()
    path.write_text(json.dumps(topology("r1", link(1, "r2"))))
    return path


def test_a_directory_is_its_yaml_and_json_files_in_order(file: Path) -> None:
    (file.parent / "2.json").write_text(json.dumps(topology("r2")))
    (file.parent / "notes.txt").write_text("not: [yaml")

    assert [document.name for document in read_files([str(file.parent)])] == ["r1", "r2"]


def test_stdin_is_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(topology("r1")).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    (document,) = read_files(["-"])

    assert document.where("metadata.name") == "<stdin>:1"


class Endless(io.BytesIO):
    """What never ends, as `yes |` or a device; all of it fits nowhere."""

    def __init__(self, begin: bytes) -> None:
        self._begin = begin

    def readable(self) -> bool:
        return True

    def read(self, size: int | None = -1) -> bytes:
        assert size is not None
        assert size > 0
        return (self._begin + "€".encode() * size)[:size]


@pytest.mark.parametrize("begin", [b"", b"#", b"##", b"\xef\xbb\xbf", b"\xef\xbb\xbf#", b"\xef\xbb\xbf##"])
def test_of_what_has_no_end_no_more_is_read_than_anybody_takes(monkeypatch: pytest.MonkeyPatch, begin: bytes) -> None:
    """Wherever in a character that ends."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Endless(begin)))

    with pytest.raises(MeshnetError, match="<stdin>:1:1: must not be larger than 16 MiB"):
        read_files(["-"])


def test_a_url_is_a_file(file: Path) -> None:
    def handler(*args: object) -> http.server.SimpleHTTPRequestHandler:
        return Quiet(*args, directory=str(file.parent))  # type: ignore[arg-type]

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}"
        (document,) = read_files([f"{url}/1.yml"])
        with pytest.raises(MeshnetError, match="404"):
            read_files([f"{url}/nothing.yml"])
        server.shutdown()
        thread.join(10)

    assert document.name == "r1"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        pass


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x.yml: No such file"):
        read_files([str(tmp_path / "x.yml")])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("kind: Pod\n# \N{LATIN SMALL LETTER E WITH ACUTE}".encode("latin-1"), ":2:3: not text: must be UTF-8"),
        (b'{"kind": "\xff"}', ":1:11: not text: must be UTF-8"),
        (
            "kind: Pod".encode("utf-16"),
            ":1:1: not text: must be UTF-8, and this is UTF-16 (PowerShell: Out-File -Encoding utf8)",
        ),
    ],
)
def test_what_is_no_text_is_named_with_its_place(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "x.yml"
    path.write_bytes(content)
    with pytest.raises(BadText) as caught:
        read_files([str(path)])
    assert str(caught.value) == f"{path}{told}"


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \.yml"):
        read_files([str(tmp_path)])


def test_other_kinds_are_named_and_left_out(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file.open("a") as yaml:
        yaml.write("\n---\nkind: Pod\napiVersion: v1\nmetadata: {name: r1}\n")

    (one,) = read_topologies([str(file)], "lab", quiet=False)

    assert one["metadata"]["namespace"] == "default"
    assert capsys.readouterr().err == "skipped, since no Topology: Pod r1\n"


def test_a_topology_without_a_namespace_gets_the_one_given(tmp_path: Path) -> None:
    document = topology("r1")
    del document["metadata"]["namespace"]
    (tmp_path / "1.json").write_text(json.dumps(document))

    (one,) = read_topologies([str(tmp_path)], "lab", quiet=True)

    assert one["metadata"]["namespace"] == "lab"


def test_nothing_is_returned_when_one_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, peer in (("r1", "r2"), ("r2", "Not A Name")):
        (tmp_path / f"{name}.json").write_text(json.dumps(topology(name, link(1, peer))))
    with pytest.raises(WrongFiles, match="1 error"):
        read_topologies([str(tmp_path)], "default", quiet=True)
    assert "spec.links[0].peer_pod" in capsys.readouterr().err


def test_files_without_a_topology_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "1.yml").write_text("kind: Pod\napiVersion: v1\nmetadata: {name: r1}\n")
    with pytest.raises(UsageError, match="no Topology"):
        read_topologies([str(tmp_path)], "default", quiet=True)


def test_a_topology_of_another_group_is_another_kind(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with file.open("a") as yaml:
        yaml.write("\n---\nkind: Topology\napiVersion: kueue.x-k8s.io/v1beta1\nmetadata: {name: racks}\n")

    (one,) = read_topologies([str(file)], "lab", quiet=False)

    assert one["metadata"]["name"] == "r1"
    assert capsys.readouterr().err == "skipped, since no Topology: Topology racks of kueue.x-k8s.io/v1beta1\n"


@pytest.mark.parametrize(
    ("head", "what"),
    [
        ("apiVersion: networkop.co.uk/v1beta1\nkind: topology", "kind: 'topology': must be Topology"),
        ("kind: Pod", "apiVersion: is required"),
    ],
)
def test_what_an_api_server_would_not_know_is_wrong_and_not_skipped(
    file: Path, capsys: pytest.CaptureFixture[str], head: str, what: str
) -> None:
    """As for `check`, so that a Topology whose kind is misspelt is not left out of what is applied."""
    with file.open("a") as yaml:
        yaml.write(f"\n---\n{head}\nmetadata: {{name: r2}}\n")

    with pytest.raises(WrongFiles, match="1 error"):
        read_topologies([str(file)], "lab", quiet=False)
    assert what in capsys.readouterr().err


def test_stdin_that_is_closed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="standard input is closed"):
        read_files(["-"])


def test_a_name_that_cannot_be_looked_at_says_so() -> None:
    with pytest.raises(UsageError, match=r"^x{300}: File name too long$"):
        read_files(["x" * 300])


def test_check_tells_of_files_in_the_order_in_which_they_were_given(machine: Machine, tmp_path: Path) -> None:
    for name, text in (("good", "a: 1\n"), ("late", "a: 1\n\n\nb: [1,\n"), ("early", "a: [1,\n")):
        (tmp_path / f"{name}.yml").write_text(text)
    ran = machine.run("check", *(str(tmp_path / f"{name}.yml") for name in ("good", "late", "early")))
    told = [line.removeprefix(f"{tmp_path}/").partition(":")[0] for line in ran.out.splitlines()]
    # what could not be read may be why others are wrong
    assert list(dict.fromkeys(told)) == ["late.yml", "early.yml", "good.yml"]
