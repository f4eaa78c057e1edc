import json
import socket
import threading

import pytest

from meshnet.cni.client import QueryError, ask, listens
from meshnet.errors import DaemonUnreachable
from tests.cni.daemon import Daemon, answer, hang_up, hang_up_later, raw


def test_a_question_and_its_answer(socket_path):
    with Daemon(socket_path, answer(b'[{"pod": "r1"}]')) as daemon:
        assert ask(socket_path, "links") == [{"pod": "r1"}]
    assert daemon.seen[0].env == {"MESHNET_QUERY": "links"}
    assert daemon.seen[0].body == b""


def test_an_empty_answer_is_nothing(socket_path):
    with Daemon(socket_path, answer(b"")):
        assert ask(str(socket_path), "links") is None


def test_a_socket_that_is_left_over_is_no_daemon(socket_path):
    assert not listens(socket_path)
    with Daemon(socket_path, answer(b"")):
        assert listens(socket_path)
    with socket.socket(socket.AF_UNIX) as left:
        socket_path.unlink(missing_ok=True)
        left.bind(str(socket_path))
    assert not listens(socket_path)


def test_a_large_answer_arrives_whole(socket_path):
    links = [{"uid": uid, "why": "x" * 100} for uid in range(20_000)]
    with Daemon(socket_path, answer(json.dumps(links).encode())):
        assert ask(socket_path, "links", timeout_s=20) == links


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"code": 999, "msg": "no such query"}', "no such query"),
        (b'{"other": 1}', '{"other": 1}'),
        (b"not known\n", "not known"),
        (b"", "no reason given"),
    ],
)
def test_a_refusal_is_in_the_daemons_words(socket_path, body, said):
    with Daemon(socket_path, answer(body, code=1)), pytest.raises(QueryError) as caught:
        ask(socket_path, "nothing")
    assert str(caught.value) == f"daemon at {socket_path}: nothing: {said}"


def test_a_query_that_the_daemon_does_not_know_is_told_as_it_tells_it(socket_path):
    body = b'{"error": "query \'nothing\': one of links, health"}'
    with Daemon(socket_path, answer(body, code=1)), pytest.raises(QueryError) as caught:
        ask(socket_path, "nothing")
    assert str(caught.value) == f"daemon at {socket_path}: query 'nothing': one of links, health"


@pytest.mark.parametrize(
    ("behave", "said"),
    [
        (hang_up, "not whole|Connection reset|Broken pipe"),
        (hang_up_later, "not whole"),
        (raw(b"0[1, 2"), "not whole"),
        (raw(b"x"), "not whole"),
        (raw(b"0" + b"[" * 100_000), "not whole"),
        (raw(b"0\xff"), "not whole"),
    ],
)
def test_half_an_answer_is_none(socket_path, behave, said):
    with Daemon(socket_path, behave), pytest.raises(DaemonUnreachable, match=said) as caught:
        ask(socket_path, "links")
    assert str(socket_path) in str(caught.value)


def test_nobody_there(socket_path):
    with pytest.raises(DaemonUnreachable, match="No such file") as caught:
        ask(socket_path, "links")
    assert str(socket_path) in str(caught.value)


def test_nobody_listening(socket_path):
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(socket_path))
    with pytest.raises(DaemonUnreachable, match="Connection refused"):
        ask(socket_path, "links")


def test_a_daemon_that_does_not_accept_is_not_waited_for(socket_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as queued:
        listener.bind(str(socket_path))
        listener.listen(0)
        queued.connect(str(socket_path))
        with pytest.raises(DaemonUnreachable, match="no answer"):
            ask(socket_path, "links", timeout_s=0.2)


def test_a_path_longer_than_a_socket_may_have():
    with pytest.raises(DaemonUnreachable, match="too long"):
        ask("/" + "x" * 200, "links")


@pytest.mark.parametrize("beginning", [b"", b'0["half'])
def test_a_daemon_that_hangs_is_not_waited_for(socket_path, beginning):
    over = threading.Event()

    def behave(daemon, conn, _number):
        daemon.receive(conn)
        conn.sendall(beginning)
        over.wait(20)

    with Daemon(socket_path, behave):
        with pytest.raises(DaemonUnreachable, match=r"no answer to 'links' within 0\.2 s"):
            ask(socket_path, "links", timeout_s=0.2)
        over.set()
