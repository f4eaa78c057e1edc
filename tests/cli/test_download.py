from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from meshnet.cli import download as download_module
from meshnet.cli.download import download
from meshnet.errors import MeshnetError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@contextlib.contextmanager
def answering(*parts: bytes, pause_s: float = 0.0) -> Iterator[str]:
    """Have a server that says this to the first who asks, and hangs up; give its URL."""
    ended = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            for part in parts:
                connection.sendall(part)
                ended.wait(pause_s)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/x.yml"
        ended.set()
        thread.join(10)


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 4\r\n\r\nkind",
        OK + b"Connection: close\r\n\r\nkind",
        CHUNKED + b"2\r\nki\r\n2\r\nnd\r\n0\r\n\r\n",
    ],
)
def test_all_of_it_is_returned(answer: bytes) -> None:
    with answering(answer) as url:
        assert download(url) == b"kind"


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (OK + b"Content-Length: 10\r\n\r\nkind", "cut off after 4 bytes: 6 are missing"),
        (CHUNKED + b"8\r\nkind", "IncompleteRead"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no answer in HTTP"),
        (b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/x.yml\r\n\r\n", "unknown url type: ftp"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n", "'file:///etc/passwd' is not allowed"),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", "404"),
        (b"", "http"),
    ],
)
def test_what_is_not_all_of_it_is_an_error(answer: bytes, told: str) -> None:
    with answering(answer) as url, pytest.raises(MeshnetError, match=told) as raised:
        download(url)
    assert str(raised.value).startswith(url)


def test_a_server_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download_module, "LIMIT_S", 0.3)
    parts = [OK + b"Content-Length: 1000\r\n\r\n", *[b"x"] * 1000]
    with answering(*parts, pause_s=0.02) as url, pytest.raises(MeshnetError, match="not all of it came within"):
        download(url)


@pytest.mark.parametrize("url", ["http://[::1/x", "http://localhost:abc/x", "http://localhost/a b", "http://a..b/x"])
def test_what_is_no_url_is_wrong_use(url: str) -> None:
    with pytest.raises(UsageError, match="no URL"):
        download(url)
