from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import StoreUnavailable, UsageError
from meshnet.stores.kubernetes.access import Access, credentials
from tests.nobody import closed
from tests.stores.kubernetes.server import access_to

if TYPE_CHECKING:
    from pathlib import Path

POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


def host(access: Access) -> Any:
    return access.configuration()[0].host


def account(directory: Path) -> Path:
    (directory / "token").write_text("t0k3n\n")
    (directory / "ca.crt").write_text("-----BEGIN CERTIFICATE-----\n")
    return directory


@pytest.mark.parametrize(
    ("query", "kubeconfig", "context"),
    [("", "", ""), ("context=kind-a", "", "kind-a"), ("kubeconfig=/a%20b&context=c", "/a b", "c")],
)
def test_options_name_kubeconfig_and_context(query: str, kubeconfig: str, context: str) -> None:
    access = Access.read("kubernetes:", query)
    assert (access.kubeconfig, access.context) == (kubeconfig, context)


@pytest.mark.parametrize("query", ["namespace=x", "context=", "context"])
def test_options_that_are_none(query: str) -> None:
    with pytest.raises(UsageError, match="the options are context=NAME and kubeconfig=PATH"):
        Access.read("kubernetes:?x", query)


def test_in_a_pod_it_is_the_service_account(tmp_path: Path) -> None:
    access = Access(environ=POD, account=account(tmp_path))
    assert access.token_file == tmp_path / "token"
    assert host(access) == "https://10.96.0.1:443"


@pytest.mark.parametrize("said", [{"kubeconfig": "/x"}, {"context": "c"}, {"environ": {**POD, "KUBECONFIG": "/x"}}])
def test_what_is_said_goes_before_it(said: dict[str, Any]) -> None:
    assert Access(**{"environ": POD, **said}).token_file is None


def test_a_pod_without_its_account(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="automountServiceAccountToken"):
        Access(environ=POD, account=tmp_path).configuration()


def test_a_kubeconfig_by_variable_of_several_files(tmp_path: Path) -> None:
    access_to("http://one", tmp_path)
    files = os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "kubeconfig")])
    assert host(Access(environ={"KUBECONFIG": files})) == "http://one"


def test_no_kubeconfig(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="no such file: set KUBECONFIG"):
        Access(kubeconfig=str(tmp_path / "none"), environ={}).configuration()


def test_a_kubeconfig_that_may_not_be_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "closed" / "kubeconfig"
    path.parent.mkdir()
    with closed(path.parent), pytest.raises(StoreUnavailable, match=f"kubeconfig {path}: Permission denied"):
        Access(kubeconfig=str(path), environ={}).configuration()


@pytest.mark.parametrize("text", ["", "[]", "{", "clusters: 5", json.dumps({"current-context": "x"})])
def test_a_kubeconfig_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(StoreUnavailable, match=f"kubeconfig {path}: "):
        Access(kubeconfig=str(path), environ={}).configuration()


EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "interactiveMode": "Never"}
GIVEN = json.dumps({"apiVersion": EXEC["apiVersion"], "kind": "ExecCredential", "status": {"token": "t0k3n"}})


@pytest.mark.parametrize(
    ("user", "why"),
    [
        ({"args": ["-c", "echo log in >&2; echo first >&2; exit 3"]}, "exec: process returned 3. log in first"),
        ({"args": ["-c", "echo {}"]}, "exec: malformed response. missing key 'apiVersion'"),
        ({"command": "no-such"}, "[Errno 2] No such file or directory: 'no-such'"),
    ],
)
def test_who_could_not_sign_in_is_not_taken_for_somebody_who_may_not(
    tmp_path: Path, user: dict[str, Any], why: str
) -> None:
    """The server would say what anonymous may not."""
    access = access_to("http://one", tmp_path, exec=EXEC | user)
    with pytest.raises(StoreUnavailable) as refused:
        access.configuration()
    command = user.get("command", "sh")
    told = f"{command}, which signs in, gave no token and no certificate: {why}"
    assert str(refused.value) == f"kubeconfig {access.kubeconfig}: {told}"


def test_why_nobody_signed_in_is_told_once(tmp_path: Path) -> None:
    """At a terminal by the program itself; nowhere by a line of the log, which nobody keeps."""
    access = access_to("http://one", tmp_path, exec=EXEC | {"args": ["-c", "echo log in >&2; exit 1"]})
    command = [sys.executable, "-m", "meshnet", "get", "links", "--kubeconfig", access.kubeconfig]
    terminal = os.openpty()
    try:
        for stdout, before, why in (
            (subprocess.DEVNULL, "", "exec: process returned 1. log in"),
            (terminal[1], "log in\n", "its own words are above"),
        ):
            ran = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False
            )
            told = "sh, which signs in, gave no token and no certificate"
            error = f"error: kubeconfig {access.kubeconfig}, context 'x': {told}: {why}\n"
            assert (ran.returncode, ran.stderr) == (3, before + error)
    finally:
        for fd in terminal:
            os.close(fd)


def test_who_signed_in_by_a_program_has_its_token(tmp_path: Path) -> None:
    access = access_to("http://one", tmp_path, exec=EXEC | {"args": ["-c", f"echo '{GIVEN}'"]})
    assert credentials(access.configuration()[0]) == {"authorization": "Bearer t0k3n"}


def test_who_cannot_sign_in_again_is_not_who_signed_in_before(tmp_path: Path) -> None:
    """The server would say that nobody has the token, which has expired."""
    status = {"token": "t0k3n", "expirationTimestamp": "2020-01-01T00:00:00Z"}
    once = f"mkdir {tmp_path}/once || exit 1; echo '{json.dumps(json.loads(GIVEN) | {'status': status})}'"
    configuration, _ = access_to("http://one", tmp_path, exec=EXEC | {"args": ["-c", once]}).configuration()
    with pytest.raises(StoreUnavailable, match=r"^http://one: signing in again: exec: process returned 1\. .*once"):
        credentials(configuration)


def test_a_context_that_is_not_there(tmp_path: Path) -> None:
    path = access_to("http://one", tmp_path).kubeconfig
    with pytest.raises(StoreUnavailable, match="context 'other'"):
        Access(kubeconfig=path, context="other", environ={}).configuration()
