"""Whatever a peer sends, the kernel gets nothing of it that is not right, and every frame is accounted for."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from meshnet_grpcwire.batch import MessageError, pack, parse
from meshnet_grpcwire.counters import Counters
from meshnet_grpcwire.port_socket import PortSocket
from meshnet_grpcwire.virtio import HEADER
from meshnet_grpcwire.writer import FrameWriter, Sending

pytestmark = pytest.mark.kernel

FLAGS = st.sampled_from([0, 1, 2, 3, 0xFF])
KINDS = st.sampled_from([0, 1, 3, 4, 5, 0x81, 2, 0xFF])
SMALL = st.one_of(st.integers(0, 120), st.sampled_from([1448, 0xFFFF]))
HEADERS = st.one_of(
    st.binary(min_size=10, max_size=10),
    st.builds(HEADER.pack, FLAGS, KINDS, SMALL, SMALL, SMALL, SMALL),
)
TYPES = st.sampled_from([b"\x08\x00", b"\x86\xdd", b"\x81\x00\x00\x05\x08\x00", b"\x88\xb5", b"\x81\x00"])
IPV4 = bytes.fromhex("4500003c00010000400600000a0001010a000102") + bytes(40)
BODIES = st.one_of(st.binary(max_size=200), st.just(IPV4), st.just(IPV4 * 40), st.just(bytes(9000)))
FRAMES = st.builds(lambda head, kind, body: head + b"\x02" * 12 + kind + body, HEADERS, TYPES, BODIES)


@pytest.fixture
def port(nodes):
    cable = nodes.cable()
    for end in cable.ends:
        end.unpatch()
    with ThreadPoolExecutor(1) as closer:
        port = PortSocket(cable.ends[1].port.ifindex, buffer=1 << 20, closer=closer)
        yield port
        nodes.run(port.close())


def test_headers_that_are_all_wrong_take_turns_too(port):
    """A message may have thousands of them: looking at them is work as well."""
    counters, writer = Counters(), FrameWriter()
    parts = [HEADER.pack(0xFF, 0, 0, 0, 0, 0) + bytes(14)] * 600
    message = pack([len(part) for part in parts], parts)
    sending = Sending(parse(message))

    writer.write(port.fileno(), message, sending, counters)
    assert counters.received_dropped_header == 256

    while not sending.done:
        writer.write(port.fileno(), message, sending, counters)
    assert counters.received_dropped_header == 600


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FRAMES, min_size=1, max_size=30))
def test_every_frame_is_sent_or_counted(port, parts):
    counters, writer = Counters(), FrameWriter()
    message = pack([len(part) for part in parts], parts)
    try:
        sending = Sending(parse(message))
    except MessageError:
        assert min(map(len, parts)) < 24
        return

    while not sending.done:
        writer.write(port.fileno(), message, sending, counters)

    counted = counters.as_dict()
    dropped = sum(count for name, count in counted.items() if name.startswith("received_dropped"))
    assert counted["received_frames"] + dropped == len(parts)
    assert counted["received_dropped_port_down"] == 0
