from __future__ import annotations

from meshnet.peers.environment import prepare_grpc


def test_grpc_is_told() -> None:
    environ = {"PATH": "/bin"}
    prepare_grpc(environ)
    assert environ == {
        "PATH": "/bin",
        "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
        "GRPC_VERBOSITY": "NONE",
    }


def test_what_a_user_has_set_stays() -> None:
    own = {"GRPC_EXPERIMENTS": "event_engine_client", "GRPC_VERBOSITY": "INFO"}
    environ = dict(own)
    prepare_grpc(environ)
    assert environ == own
