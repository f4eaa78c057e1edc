"""Certificates that a cluster's parts prove themselves by."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.cluster.machine.certificates import Authority
from tests.cluster.machine.errors import ClusterError

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")


def test_a_certificate_is_the_authoritys_and_says_who_it_is(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    path = authority.issue("user", "system:node:n1", ("system:nodes", "a/b=c"), ("DNS:n1", "IP:10.99.0.11"))
    subprocess.run(["openssl", "verify", "-CAfile", str(authority.certificate), str(path)], check=True, timeout=30)
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    subject = [(attribute.oid, attribute.value) for attribute in certificate.subject]
    groups = [(NameOID.ORGANIZATION_NAME, group) for group in ("system:nodes", "a/b=c")]
    assert subject == [*groups, (NameOID.COMMON_NAME, "system:node:n1")]
    sans = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(san.value) for san in sans] == ["n1", "10.99.0.11"]


def test_an_authority_that_is_there_goes_on(tmp_path: Path) -> None:
    first = Authority(tmp_path).certificate.read_bytes()
    again = Authority(tmp_path)
    assert again.certificate.read_bytes() == first
    path = again.issue("late", "late")
    subprocess.run(["openssl", "verify", "-CAfile", str(again.certificate), str(path)], check=True, timeout=30)


def test_a_failure_of_openssl_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="openssl req"):
        Authority(tmp_path).issue("bad", "bad", sans=("no-such-kind:x",))
