from __future__ import annotations

from meshnet.peers.polling import prefer_few_threads


def test_grpc_is_told() -> None:
    environ = {"PATH": "/bin"}
    prefer_few_threads(environ)
    assert environ == {"PATH": "/bin", "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener"}


def test_what_a_user_has_set_stays() -> None:
    environ = {"GRPC_EXPERIMENTS": "event_engine_client"}
    prefer_few_threads(environ)
    assert environ == {"GRPC_EXPERIMENTS": "event_engine_client"}
