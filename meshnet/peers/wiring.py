"""Options of every gRPC connection between daemons, and channels: mutual TLS, one connection each, no surprises."""

from __future__ import annotations

import ipaddress
import resource
from typing import TYPE_CHECKING

import grpc

from meshnet.driver.context import LARGEST_MESSAGE
from meshnet.peers.messages import MAX_MESSAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshnet.peers.keyfile import KeyPair

SERVICE = "meshnet.Peers"
_MOST_CONNECTIONS = 4096
_ROOM = 64 << 10
_KEEPALIVE = (
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.keepalive_timeout_ms", 2000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)
_COMMON = (
    *_KEEPALIVE,
    ("grpc.enable_http_proxy", 0),  # peers are on the underlay, whatever the environment says of proxies
    # Windows are as large as a message and no larger: they would grow with what a slow reader leaves in them.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", LARGEST_MESSAGE),
    ("grpc.max_metadata_size", 8 << 10),
    ("grpc.absolute_max_metadata_size", 16 << 10),
)
_SERVER = (
    *_COMMON,
    ("grpc.so_reuseport", 0),  # else a second daemon on the port would get half of the calls
    ("grpc.max_receive_message_length", LARGEST_MESSAGE + _ROOM),
    ("grpc.max_send_message_length", LARGEST_MESSAGE + _ROOM),
    ("grpc.max_concurrent_streams", 1024),
    ("grpc.max_connection_idle_ms", 60_000),
    ("grpc.server_handshake_timeout_ms", 5000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.settings_timeout", 5000),
)
_CHANNEL = (
    *_COMMON,
    ("grpc.use_local_subchannel_pool", 1),  # a connection of its own
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
)


def server_options() -> tuple[tuple[str, int], ...]:
    """Return the options of a server; half of the descriptors that this process may open are nobody else's."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (*_SERVER, ("grpc.max_allowed_incoming_connections", min(_MOST_CONNECTIONS, descriptors // 2)))


def target(address: str, port: int) -> str:
    """Return where gRPC dials, without asking any resolver. Raises ValueError when it is no IP address."""
    version = ipaddress.ip_address(address).version
    return f"ipv4:{address}:{port}" if version == 4 else f"ipv6:[{address}]:{port}"


def session_channel(where: str, own: KeyPair, node: str, trusted: Iterable[str]) -> grpc.aio.Channel:
    """Return a channel to one node that takes that node's certificates (PEM) alone."""
    return _channel(where, own, node, trusted, MAX_MESSAGE)


def stream_channel(where: str, own: KeyPair, node: str, trusted: Iterable[str]) -> grpc.aio.Channel:
    """As `session_channel`, for the messages of streams."""
    return _channel(where, own, node, trusted, LARGEST_MESSAGE + _ROOM)


def _channel(where: str, own: KeyPair, node: str, trusted: Iterable[str], largest: int) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials("".join(trusted).encode(), own.key.encode(), own.certificate.encode())
    options = [
        *_CHANNEL,
        ("grpc.ssl_target_name_override", node),
        ("grpc.max_receive_message_length", largest),
        ("grpc.max_send_message_length", largest),
    ]
    return grpc.aio.secure_channel(where, credentials, options)
