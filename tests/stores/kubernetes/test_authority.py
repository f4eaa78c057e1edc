"""The authority that a service account names may be replaced while a daemon runs."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from meshnet.model.resource import Kind
from meshnet.stores.kubernetes.access import Access
from meshnet.stores.kubernetes.door import Door, Unreachable
from meshnet.stores.kubernetes.request import Place
from tests.stores.kubernetes.server import access_to

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Answers(http.server.BaseHTTPRequestHandler):
    """Has one answer, and ends the connection: the next request needs a new one."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[[int], int]]:
    """A function: serve with a certificate of that number, on the port that is returned, the same each time."""
    running: list[http.server.ThreadingHTTPServer] = []

    def serve(number: int) -> int:
        port = end(running)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Answers)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(tmp_path, number))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        running.append(server)
        return int(server.server_address[1])

    yield serve
    end(running)


def end(running: list[http.server.ThreadingHTTPServer]) -> int:
    """End the server that runs; return its port, 0 when there was none."""
    if not running:
        return 0
    server = running.pop()
    server.shutdown()
    server.server_close()
    return int(server.server_address[1])


def certificate(directory: Path, number: int) -> Path:
    """Make a certificate that vouches for itself, with its key, unless it is there."""
    path = directory / f"{number}.pem"
    if not path.exists():
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"authority {number}")])
        now = datetime.datetime.now(datetime.UTC)
        made = (
            x509.CertificateBuilder(name, name, key.public_key(), number)
            .not_valid_before(now - datetime.timedelta(1))
            .not_valid_after(now + datetime.timedelta(1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        text = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain) + made.public_bytes(encoding)
        path.write_bytes(text)
    return path


def trust(account: Path, number: int) -> None:
    """Name an authority in a service account, as kubelet does: by another file of that name."""
    text = certificate(account.parent, number).read_text()
    (account / "new").write_text(text[text.index("-----BEGIN CERTIFICATE") :])
    (account / "new").replace(account / "ca.crt")


def test_an_authority_that_is_replaced_is_believed_from_then_on(tmp_path: Path, serving: Callable[[int], int]) -> None:
    account = tmp_path / "account"
    account.mkdir()
    (account / "token").write_text("t0k3n")
    trust(account, 1)
    port = serving(1)
    pod = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(port)}
    door, request = Door(Access(environ=pod, account=account), 2), Place(Kind.TOPOLOGY, "default", "r1").get()
    assert door.ask(request).status == 200

    assert serving(2) == port
    with pytest.raises(Unreachable):
        door.ask(request)
    trust(account, 2)
    assert door.ask(request).status == 200
    door.close()


def test_an_authority_that_shall_not_be_asked_for_is_no_word_at_every_command(
    tmp_path: Path, serving: Callable[[int], int]
) -> None:
    access = access_to(f"https://127.0.0.1:{serving(1)}", tmp_path)
    config = json.loads(Path(access.kubeconfig).read_text())
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    Path(access.kubeconfig).write_text(json.dumps(config))
    door = Door(access, 2)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert door.ask(Place(Kind.TOPOLOGY, "default", "r1").get()).status == 200
    door.close()
    assert warned == []
