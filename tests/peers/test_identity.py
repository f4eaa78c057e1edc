"""A node's key and certificate: made once, kept, renewed; what is broken is said."""

from __future__ import annotations

import ssl

import pytest
from cryptography import x509

from meshnet.errors import MeshnetError
from meshnet.peers import identity as module
from meshnet.peers.identity import Identity
from meshnet.peers.pins import Pins, fingerprint

DAY = 86400.0


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    def make(node="node-1", **settings):
        return Identity(tmp_path / "identity", node, now=clock, **settings)

    return make


def read(pem):
    return x509.load_pem_x509_certificate(pem.encode())


def test_it_is_made_once(make, tmp_path):
    first = make()
    assert make().current == first.current
    assert make().certificates() == (first.current.certificate,)
    path = tmp_path / "identity/current.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [file.name for file in path.parent.iterdir()] == ["current.pem"]


def test_it_is_not_made_to_be_loaded(make, monkeypatch):
    first = make()
    monkeypatch.setattr(module, "make_certificate", None)
    assert make().current == first.current


def test_the_key_is_in_no_text_of_it(make):
    assert "PRIVATE" not in repr(make().current)


@pytest.mark.parametrize("node", ["node-1", "10.1.2.3", "fe80--1.example", "n" * 63 + ".example.org"])
def test_the_certificate_is_of_the_node(make, node):
    certificate = read(make(node).current.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [node]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_clock_that_is_a_day_behind_takes_it(make, clock):
    certificate = read(make().current.certificate)
    assert certificate.not_valid_before_utc.timestamp() == clock.now - DAY
    assert certificate.not_valid_after_utc.timestamp() > clock.now + 3000 * DAY


def test_it_is_renewed_in_steps(make, clock, tmp_path):
    told = []
    identity = make(rotate_days=90, published_s=600)
    identity.listen(lambda: told.append(identity.certificates()))
    old = identity.current
    clock.now += 80 * DAY
    identity.advance()
    assert told == []

    clock.now += 11 * DAY
    identity.advance()
    assert identity.current == old
    ((current, following),) = told
    assert current == old.certificate
    identity.published(identity.certificates())
    clock.now += 599
    identity.advance()
    assert len(told) == 1

    clock.now += 2
    identity.advance()
    assert identity.current.certificate == following
    assert told[1:] == [(following, old.certificate)]
    clock.now += 599
    identity.advance()
    assert len(told) == 2

    clock.now += 2
    identity.advance()
    assert told[2:] == [(following,)]
    assert [file.name for file in (tmp_path / "identity").iterdir()] == ["current.pem"]
    clock.now += 80 * DAY
    identity.advance()
    assert len(told) == 3


def test_nodes_that_came_up_together_are_not_renewed_together(clock, tmp_path):
    def days_until_renewal(identity):
        begun = clock.now
        while len(identity.certificates()) == 1:
            clock.now += DAY / 4
            identity.advance()
        days, clock.now = (clock.now - begun) / DAY, begun
        return days

    nodes = [Identity(tmp_path / str(number), "n", rotate_days=90, now=lambda: clock.now) for number in range(30)]
    days = [days_until_renewal(identity) for identity in nodes]

    assert len(set(days)) > 10
    assert 81 <= min(days) <= max(days) <= 90.25


def test_a_renewal_goes_on_after_a_restart(make, clock):
    identity = make(published_s=600)
    identity.rotate()
    identity.rotate()
    old, following = identity.certificates()
    identity.published((old, following))
    clock.now += 599
    identity = make(published_s=600)
    assert identity.certificates() == (old, following)
    identity.published((old, following))
    clock.now += 599
    identity.advance()
    assert identity.certificates() == (old, following)
    clock.now += 1
    identity.advance()
    assert identity.certificates() == (following, old)
    identity = make(published_s=600)
    assert identity.certificates() == (following, old)
    clock.now += 601
    identity.advance()
    assert identity.certificates() == make().certificates() == (following,)


def test_what_is_not_published_is_not_used(make, clock):
    identity = make(published_s=600)
    identity.rotate()
    old, following = identity.certificates()

    def used_after(seconds):
        clock.now += seconds
        identity.advance()
        return identity.current.certificate

    assert used_after(6000) == old
    identity.published((old, following))
    assert used_after(599) == old
    identity.published((old,))
    assert used_after(6000) == old
    identity.published((old, following))
    assert used_after(300) == old
    identity.published((old, following))
    assert used_after(300) == following


def test_a_crash_between_the_steps_is_made_good(make, clock, tmp_path):
    identity = make(published_s=600)
    identity.rotate()
    directory = tmp_path / "identity"
    old, following = identity.certificates()
    crashed = (directory / "next.pem").read_bytes()
    identity.published((old, following))
    clock.now += 601
    identity.advance()
    (directory / "next.pem").write_bytes(crashed)
    (directory / "next.pem").chmod(0o600)
    assert make(published_s=600).certificates() == (following, old)
    assert not (directory / "next.pem").exists()


def test_it_is_renewed_never_if_so_set(make, clock):
    identity = make(rotate_days=0)
    clock.now += 3000 * DAY
    identity.advance()
    assert len(identity.certificates()) == 1


BROKEN = pytest.mark.parametrize("broken", [b"nonsense", b"\xff\x00\xfe", b"Node: node-1\nMade: 7\n"])


@BROKEN
def test_a_broken_file_is_named_and_left_alone(make, tmp_path, broken):
    make()
    path = tmp_path / "identity/current.pem"
    path.write_bytes(broken)
    with pytest.raises(MeshnetError, match=f"{path}: .*remove it"):
        make()
    assert path.read_bytes() == broken


@BROKEN
def test_a_renewal_that_is_broken_keeps_no_node_from_its_identity(make, tmp_path, broken, caplog):
    first = make()
    for name in ("next", "previous"):
        (tmp_path / f"identity/{name}.pem").write_bytes(broken)
    again = make()
    assert again.certificates() == (first.current.certificate,)
    assert "next.pem: " in caplog.text
    assert "previous.pem: " in caplog.text
    assert "remove it" not in caplog.text
    again.rotate()
    assert len(make().certificates()) == 2


def test_a_time_that_no_calendar_has_is_named(make, tmp_path):
    make()
    path = tmp_path / "identity/current.pem"
    path.write_text(path.read_text().replace("Made: ", "Made: 9999"))
    with pytest.raises(MeshnetError, match=r"current\.pem: "):
        make()


def test_a_truncated_file_is_named(make, tmp_path):
    make()
    path = tmp_path / "identity/current.pem"
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(MeshnetError, match=r"current\.pem: "):
        make()


def test_the_key_of_another_certificate_is_named(make, tmp_path):
    first = make()
    path = tmp_path / "identity/current.pem"
    other = Identity(tmp_path / "other", "node-1")
    path.write_text(path.read_text().replace(first.current.certificate, other.current.certificate))
    with pytest.raises(MeshnetError, match=r"current.pem: its key and certificate do not fit"):
        make()


def test_the_identity_of_another_node_is_named(make):
    make("node-1")
    with pytest.raises(MeshnetError, match="identity of node node-1, and this is node-2"):
        make("node-2")


def test_an_empty_file_is_made_anew(make, tmp_path):
    first = make()
    (tmp_path / "identity/current.pem").write_bytes(b"")
    assert make().current != first.current


def test_a_key_that_others_can_read_is_theirs_no_longer(make, tmp_path):
    make()
    path = tmp_path / "identity/current.pem"
    path.chmod(0o644)
    make()
    assert path.stat().st_mode & 0o777 == 0o600


def test_pins_know_certificates_however_they_are_laid_out(make, tmp_path):
    pem = make().current.certificate
    pins = Pins()
    assert pins.set("node-1", [f"\n{pem}\n\n", pem, "nonsense", ""]) == 2
    assert list(pins.of("node-1")) == [fingerprint(pem)]
    assert [ssl.PEM_cert_to_DER_cert(held) for held in pins.all()] == [ssl.PEM_cert_to_DER_cert(pem)]
    other = Identity(tmp_path / "other", "node-1").current.certificate
    middle = len(pem) // 2
    der = ssl.PEM_cert_to_DER_cert(pem)
    longer = ssl.DER_cert_to_PEM_cert(der + b"more")
    shorter = ssl.DER_cert_to_PEM_cert(der[:-1])
    broken = [pem[:middle] + "\n" + pem[middle + 8 :], pem + other, longer, shorter, longer + pem]
    assert pins.set("node-1", [other, *broken]) == 5
    assert list(pins.of("node-1")) == [fingerprint(other)]
    assert pins.set("node-1", [pem] * 9 + [other]) == 0
    assert list(pins.of("node-1")) == [fingerprint(pem)]
    pins.set("node-1", ())
    assert pins.of("node-1") == {}
    assert pins.all() == []


def test_one_that_was_made_while_the_clock_was_ahead_is_replaced(make, clock, caplog):
    clock.now += 3 * DAY
    first = make().current
    clock.now -= 3 * DAY
    identity = make(published_s=600)

    identity.advance()
    assert "by this node's clock it is not valid" in caplog.text
    clock.now += 599
    identity.advance()
    assert identity.certificates() == (first.certificate,)
    clock.now += 2
    identity.advance()
    _, following = identity.certificates()
    identity.advance()
    assert identity.current == first  # no peer knows the next one yet
    identity.published(identity.certificates())
    identity.advance()

    assert identity.current.certificate == following
    assert read(following).not_valid_before_utc.timestamp() < clock.now
    clock.now += 601
    identity.advance()
    assert identity.certificates() == (following,)


def test_one_that_was_renewed_while_the_clock_was_ahead_is_replaced(make, clock):
    identity = make(published_s=600)
    clock.now += 100 * DAY
    identity.advance()
    identity.published(identity.certificates())
    clock.now += 601
    identity.advance()
    used = identity.current
    clock.now -= 100 * DAY

    for _ in range(3):
        identity.advance()
        identity.published(identity.certificates())
        clock.now += 601

    assert identity.current != used
    assert abs(identity.current.made - clock.now) < 3600


def test_a_clock_that_is_wrong_for_a_moment_costs_no_certificate(make, clock):
    identity = make(published_s=600)
    before = identity.certificates()
    clock.now -= 1000 * DAY
    identity.advance()
    clock.now += 100
    identity.advance()
    clock.now += 1000 * DAY
    identity.advance()
    clock.now -= 1000 * DAY
    identity.advance()
    clock.now += 500
    identity.advance()

    assert identity.certificates() == before


def test_a_clock_that_is_set_back_within_a_renewal_delays_it_no_longer_than_that(make, clock):
    identity = make(published_s=600)
    identity.rotate()
    identity.published(identity.certificates())
    old, following = identity.certificates()
    clock.now -= DAY / 2
    for _ in range(3):
        identity.advance()
        clock.now += 601

    assert identity.certificates() == (following,)
    assert old != following


@pytest.mark.parametrize("restarted", [False, True])
def test_a_renewal_that_a_clock_that_was_ahead_began_is_given_up(make, clock, restarted):
    identity = make(published_s=600)
    before = identity.current
    clock.now += 100 * DAY
    identity.advance()
    identity.published(identity.certificates())
    clock.now += 60
    clock.now -= 100 * DAY
    if restarted:
        identity = make(published_s=600)
    for _ in range(5):
        identity.advance()
        identity.published(identity.certificates())
        clock.now += 300

    assert identity.current == before
    assert identity.certificates() == (before.certificate,)
