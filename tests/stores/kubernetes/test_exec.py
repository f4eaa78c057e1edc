from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import NotFound, StoreUnavailable
from meshnet.stores.kubernetes.exec import STATUS, STDERR, STDOUT, Ran, _proxy, _tls, exec_request, run_in_pod
from tests.stores.kubernetes.server import HANG_UP, Reply, Server, access_to, status
from tests.stores.pod_server import SUCCESS, PodServer, failure

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = ["meshnet", "daemon", "--ask", "a b&c"]
REQUEST = exec_request("meshnet", "meshnet-x", "main", COMMAND)


def run(url: str, tmp_path: Path, limit_s: float = 10.0) -> Ran:
    configuration, _ = access_to(url, tmp_path).configuration()
    return run_in_pod(configuration, REQUEST, limit_s)


def test_output_comes_in_pieces_and_the_status_last(tmp_path: Path) -> None:
    long = b"x" * 5000
    messages = [(STDOUT, b""), (STDOUT, b'{"a": '), (STDERR, b"note\n"), (STDOUT, b"1}"), (STDOUT, long)]
    with PodServer(*messages, (STATUS, SUCCESS)) as server:
        assert run(server.url, tmp_path) == Ran(0, b'{"a": 1}' + long, b"note\n")

    asked = {"container": ["main"], "stdout": ["true"], "stderr": ["true"], "command": COMMAND}
    assert server.asked == [asked]
    assert "authorization: Bearer s3cret" in server.headers


def test_a_token_of_two_lines_is_no_header_more(tmp_path: Path) -> None:
    configuration, _ = access_to("http://127.0.0.1:1", tmp_path, token="s3cret\nX: y").configuration()
    with pytest.raises(StoreUnavailable, match="must be one line of ASCII"):
        run_in_pod(configuration, REQUEST, 10.0)


def test_a_command_that_fails_has_its_exit_code(tmp_path: Path) -> None:
    with PodServer((STDERR, b"error: no\n"), (STATUS, failure(3))) as server:
        assert run(server.url, tmp_path) == Ran(3, b"", b"error: no\n")


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([(STDOUT, b"{")], "ended without telling how"),
        ([(STATUS, b'{"status": "Failure", "message": "no such container"}')], "no such container"),
        ([(STATUS, b'{"status": "Failure", "details": null}')], "failed"),
    ],
)
def test_a_command_that_never_ran_is_no_answer(messages: list[tuple[int, bytes]], told: str, tmp_path: Path) -> None:
    with PodServer(*messages) as server, pytest.raises(StoreUnavailable, match=f"Pod meshnet/meshnet-x.*{told}"):
        run(server.url, tmp_path)


def test_who_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    late = pytest.raises(StoreUnavailable, match=r"no answer within 0\.3 s")
    with PodServer((STDOUT, b"{"), hold=True) as server, late:
        run(server.url, tmp_path, 0.3)


@pytest.mark.parametrize(
    ("reply", "kind", "told"),
    [
        (Reply(403, status(403, "Forbidden", "no")), StoreUnavailable, "may not get pods/exec"),
        (Reply(404, status(404, "NotFound", kind="pods", name="meshnet-x")), NotFound, "does not exist"),
        (Reply(500, status(500, "", "error dialing backend")), StoreUnavailable, "500.*error dialing backend"),
        (Reply(200, {}), StoreUnavailable, "200"),
        (HANG_UP, StoreUnavailable, "Pod meshnet/meshnet-x"),
    ],
)
def test_refusals_are_our_errors(reply: Reply, kind: type[Exception], told: str, tmp_path: Path) -> None:
    with Server(reply) as server, pytest.raises(kind, match=told):
        run(server.url, tmp_path)


def test_nobody_listens(tmp_path: Path) -> None:
    with Server(Reply()) as server:
        url = server.url
    with pytest.raises(StoreUnavailable, match=r"pods/exec at the API server .*connection refused"):
        run(url, tmp_path)


@pytest.mark.parametrize(("verified", "checks"), [(True, True), (False, False)])
def test_tls_is_as_the_client_has_it(verified: bool, checks: bool, tmp_path: Path) -> None:
    configuration, _ = access_to("https://127.0.0.1:1", tmp_path).configuration()
    configuration.verify_ssl = verified
    assert _tls(configuration).check_hostname is checks


@pytest.mark.parametrize(
    ("proxy", "options"),
    [
        ("http://p:3128", {"http_proxy_host": "p", "http_proxy_port": 3128}),
        ("http://u:w%40@p", {"http_proxy_host": "p", "http_proxy_port": 80, "http_proxy_auth": ("u", "w@")}),
    ],
)
def test_a_proxy_is_as_the_client_has_it(proxy: str, options: dict[str, Any], tmp_path: Path) -> None:
    configuration, _ = access_to("https://127.0.0.1:1", tmp_path).configuration()
    configuration.proxy = proxy
    assert _proxy(configuration) == options | {"http_no_proxy": ["-"]}


def test_no_proxy_is_as_the_client_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{other.getsockname()[1]}")
        configuration, _ = access_to(f"http://127.0.0.1:{server.getsockname()[1]}", tmp_path).configuration()
        with pytest.raises(StoreUnavailable, match="no answer"):
            run_in_pod(configuration, REQUEST, 0.3)
        asked, _, _ = select.select([server, other], [], [], 0)
    assert asked == [server]
