"""The life of wires: streams that come, jam, end and are replaced, and ports that go down and up."""

import asyncio
import os
import struct
import subprocess
import threading

import attrs
import pytest
from meshnet_grpcwire import opener
from meshnet_grpcwire.batch import LARGEST_BATCH, pack
from meshnet_grpcwire.virtio import GSO_TCPV6, HEADER, LONGEST_WHOLE, NEEDS_CSUM

from meshnet.driver import LinkError, Socket
from meshnet.netlink import links
from meshnet.testing.frames import SOURCE, UNICAST, FrameSocket

pytestmark = pytest.mark.kernel

PLAIN = bytes(HEADER.size)


def frame(text, size=100):
    return UNICAST + SOURCE + b"\x88\xb5" + text.encode().ljust(size, b".")


def sent_from(station):
    return FrameSocket(station.interface, station.namespace.fd)


def passes(cable, text, *, back=False):
    """Whether a frame passes from left to right, or back."""
    sender, receiver = (cable.far, cable.near) if back else (cable.near, cable.far)
    with sent_from(sender) as out, sent_from(receiver) as into:
        out.send(frame(text))
        return arrives(into, frame(text))


def until(into, wanted, timeout=2.0):
    """What comes in up to that frame, or up to silence."""
    came = []
    while wanted not in came and (frame := into.receive(timeout)) is not None:
        came.append(frame)
    return came


def arrives(into, wanted):
    return wanted in until(into, wanted)


def flood(station, count, size=1400):
    with sent_from(station) as out:
        for number in range(count):
            out.send(frame(f"flood {number}", size))


def enlarge(station):
    """Let a pod's TCP make frames of more than 64 KiB."""
    with station.namespace.entered():
        subprocess.run(["ip", "link", "set", station.interface, "gso_max_size", "150000"], check=True)


def super_frame(size):
    """A TCP segment over IPv6, of any size, that a card is to cut; as a kernel has it, with its header."""
    tcp = struct.pack("!HHIIBBHHH", 5000, 5001, 1, 1, 5 << 4, 0x10, 1000, 0, 0)
    packet = struct.pack("!IHBB", 6 << 28, 0, 6, 64) + bytes(15) + b"\x01" + bytes(15) + b"\x02" + tcp
    header = HEADER.pack(NEEDS_CSUM, GSO_TCPV6, 14 + len(packet), 1428, 14 + 40, 16)
    return header + (UNICAST + SOURCE + b"\x86\xdd" + packet).ljust(size, b".")


def taken(cable):
    """How many of the left pod's frames are sent, or were dropped since they were too many for the socket."""
    counted = cable.ends[0].counters
    return counted["sent_frames"] + counted["sent_dropped_backlog"]


class TestStreams:
    def test_only_the_lower_end_opens_one(self, nodes):
        nodes.cable("r2:eth1", "r1:eth1")

        assert [str(endpoint) for endpoint in nodes.streams] == ["default/r1:eth1"]
        assert nodes.opened == 1

    def test_one_that_ends_is_opened_again_at_once(self, nodes):
        cable = nodes.cable()

        nodes.loop.call(cable.stream.close)

        nodes.within(lambda: nodes.opened == 2 and cable.carried)
        assert passes(cable, "again")
        assert passes(cable, "and back", back=True)

    def test_a_new_one_replaces_the_old(self, nodes):
        """A peer that lost it without our notice opens another: that is the one that counts."""
        cable = nodes.cable()
        old = cable.stream
        mine, theirs = nodes.make_stream()

        nodes.serve(cable.ends[1], theirs)
        nodes.within(lambda: old.ended)
        nodes.streams.clear()
        nodes.serve(cable.ends[0], mine)

        nodes.within(lambda: cable.carried)
        assert passes(cable, "by the new one")
        assert cable.ends[0].counters["streams"] >= 2

    def test_many_new_ones_at_a_time_leave_one(self, nodes):
        cable = nodes.cable()
        pairs = [nodes.make_stream() for _ in range(8)]

        nodes.serve(cable.ends[1], *(theirs for _, theirs in pairs))

        nodes.within(lambda: cable.carried and nodes.opened >= 2 and all(mine.ended for mine, _ in pairs))
        assert passes(cable, "by one of ours")

    def test_a_restarted_daemon_takes_up_its_wires(self, nodes):
        cable = nodes.cable()

        for end in cable.ends:
            nodes.restart(end.endpoint.pod)
            assert nodes.run(nodes.driver(end.endpoint.pod).inspect()) == []
            assert end.patch() == end.splice
            nodes.within(lambda: cable.carried)
            assert passes(cable, f"after {end.endpoint}")
        assert nodes.changes == []

    def test_one_for_no_wire_of_ours_is_ended(self, nodes):
        cable = nodes.cable()
        mine, theirs = nodes.make_stream()
        end = cable.ends[1]

        stranger = attrs.evolve(end.peer, interface="eth9")
        nodes.run(nodes.driver(end.endpoint.pod).accept_stream(end.endpoint, stranger, theirs))

        assert mine.ended
        assert cable.carried
        assert nodes.opened == 1

    def test_what_is_no_message_ends_it(self, nodes):
        cable = nodes.cable()
        ended = cable.stream

        nodes.run(ended.write(b"\x02" + bytes(7)))

        nodes.within(lambda: ended.ended and cable.carried)
        assert cable.ends[1].counters["bad_messages"] == 1
        assert passes(cable, "by the next")

    def test_frames_that_waited_long_are_not_sent(self, nodes, monkeypatch):
        """A cable does not keep what is sent while it is cut."""
        monkeypatch.setattr("meshnet_grpcwire.wire.STALE_S", 0.05)
        cable = nodes.cable()
        nodes.refuse = "StreamRefused"
        nodes.loop.call(cable.stream.close)
        nodes.within(lambda: not cable.ends[0].wire._carrying)

        with sent_from(cable.near) as out, sent_from(cable.far) as into:
            out.send(frame("too early"))
            nodes.run(asyncio.sleep(0.1))
            nodes.refuse = ""
            nodes.within(lambda: cable.carried, 10)
            came = []

            def another_comes():  # on a slow machine the first has waited long, too
                out.send(frame("in time"))
                came.extend(until(into, frame("in time"), 0.2))
                return frame("in time") in came

            nodes.within(another_comes)
        assert frame("too early") not in came

    def test_of_a_full_socket_nothing_that_waited_long_is_sent(self, nodes, monkeypatch):
        """It holds far more than one that nobody reads would take."""
        monkeypatch.setattr("meshnet_grpcwire.wire.STALE_S", 0.05)
        cable = nodes.cable()
        nodes.loop.call(cable.stream.jam)
        flood(cable.near, 8000, size=60)
        nodes.refuse = "StreamRefused"
        nodes.loop.call(cable.stream.close)
        nodes.within(lambda: not cable.ends[0].wire._carrying)
        nodes.run(asyncio.sleep(0.1))
        sent = cable.ends[0].counters["sent_frames"]

        nodes.refuse = ""
        nodes.within(lambda: cable.carried, 10)
        nodes.within(lambda: passes(cable, "in time"))

        assert cable.ends[0].counters["sent_frames"] - sent < 100

    def test_a_moment_without_one_loses_nothing(self, nodes):
        cable = nodes.cable()
        nodes.refuse = "StreamRefused"
        nodes.loop.call(cable.stream.close)
        nodes.within(lambda: not cable.ends[0].wire._carrying)

        with sent_from(cable.near) as out, sent_from(cable.far) as into:
            out.send(frame("in between"))
            nodes.refuse = ""
            assert arrives(into, frame("in between"))


class TestBackPressure:
    def test_frames_wait_in_the_socket_and_are_dropped_there(self, nodes):
        """Not in our memory: a stream that is stuck has taken a few batches, and no more are made."""
        nodes.settings = {"receive_buffer": str(1 << 18)}
        cable = nodes.cable()
        stream = cable.stream
        nodes.loop.call(stream.jam)

        flood(cable.near, 4000)

        counted = nodes.within(lambda: found if (found := cable.ends[0].counters)["sent_dropped_backlog"] else None)
        assert stream.writes <= 6
        assert counted["sent_frames"] < 4000
        nodes.loop.call(stream.jam, False)
        assert nodes.within(lambda: passes(cable, "afterwards"))

    def test_frames_that_wait_do_not_keep_the_loop_busy(self, nodes):
        cable = nodes.cable()
        port = cable.ends[0].wire._port
        nodes.loop.call(cable.stream.jam)

        flood(cable.near, 500)

        nodes.within(lambda: port._loop is None)
        nodes.loop.call(cable.stream.jam, False)
        assert nodes.within(lambda: passes(cable, "afterwards"))

    def test_without_a_stream_the_kernel_keeps_little(self, nodes):
        cable = nodes.cable()
        nodes.refuse = "StreamRefused"
        nodes.loop.call(cable.stream.close)
        nodes.within(lambda: not cable.ends[0].wire._carrying)

        flood(cable.near, 3000)

        assert cable.ends[0].counters["sent_dropped_backlog"] > 1500

    def test_a_batch_has_a_mebibyte_at_most(self, nodes):
        cable = nodes.cable(mtu=9500)
        stream = cable.stream
        nodes.loop.call(stream.jam)
        flood(cable.near, 600, size=9000)

        nodes.loop.call(stream.jam, False)

        nodes.within(lambda: taken(cable) >= 600)
        assert LARGEST_BATCH / 8 < stream.largest <= LARGEST_BATCH

    def test_a_dead_wire_delays_no_other(self, nodes):
        dead, alive = nodes.cable(), nodes.cable("r1:eth2", "r3:eth1", uid=2)
        stream = dead.stream
        nodes.loop.call(stream.jam)
        flood(dead.near, 3000)

        assert passes(alive, "past the dead one")
        assert passes(alive, "and back", back=True)

    def test_a_wire_that_ends_delays_no_other(self, nodes, monkeypatch):
        """The kernel takes some 10 ms to let go of its socket."""
        cable = nodes.cable()
        fd, close, closed_by = cable.ends[0].wire._port.fileno(), os.close, []

        def note(given):
            if given == fd:
                closed_by.append(threading.get_ident())
            close(given)

        monkeypatch.setattr("os.close", note)
        cable.ends[0].unpatch()

        (thread,) = nodes.within(lambda: closed_by)
        assert thread != nodes.loop.call(threading.get_ident)

    def test_wires_that_are_full_take_turns(self, nodes):
        """A batch, then it is the others' turn: however full one is, no other waits for all of it."""
        order = []
        cables = [nodes.cable(f"r1:eth{uid}", f"r{uid + 1}:eth1", uid=uid) for uid in (1, 2, 3)]
        for cable in cables:
            nodes.loop.call(cable.stream.jam)
            # Held by its writer, so that all begin alike: after a batch that tells of load a wire would pause a little.
            flood(cable.near, 1)
            nodes.within(lambda stream=cable.stream: stream.waiting)
            flood(cable.near, 1500)

        nodes.loop.call(begin, cables, order)

        nodes.within(lambda: all(taken(cable) >= 1501 for cable in cables))
        shared = order[: 3 * min(order.count(uid) for uid in (1, 2, 3))]
        assert len(shared) >= 9
        assert max(run_length(shared, uid) for uid in (1, 2, 3)) <= 3


def begin(cables, order):
    """Let all streams flow at once, and note whose message each is; none makes a writer wait."""
    for cable in cables:
        stream, uid = cable.stream, cable.ends[0].uid
        stream.endless = True
        stream.noted = lambda uid=uid: order.append(uid)
    for cable in cables:
        cable.stream.jam(False)


def run_length(order, uid):
    """The most messages of one wire in a row."""
    longest = now = 0
    for other in order:
        now = now + 1 if other == uid else 0
        longest = max(longest, now)
    return longest


class TestPorts:
    def test_a_port_that_was_down_works_on(self, nodes):
        cable = nodes.cable()
        stream = cable.stream

        for _ in range(3):
            for end in cable.ends:
                end.set_up(False)
            for end in cable.ends:
                end.set_up(True)
            cable.near.settle()
            cable.far.settle()
            assert passes(cable, "up again")
            assert passes(cable, "up again, back", back=True)

        assert cable.stream is stream
        assert nodes.opened == 1

    def test_the_news_that_a_port_was_down_costs_no_frame(self, nodes):
        """The kernel tells it once, to whoever asks next; while nobody reads that is who writes."""
        cable = nodes.cable()
        nodes.loop.call(cable.stream.peer.jam)
        flood(cable.far, 2000)
        cable.ends[1].set_up(False)
        cable.ends[1].set_up(True)
        cable.far.settle()

        assert passes(cable, "the first since")
        assert cable.ends[1].counters["received_dropped_port_down"] == 0

    def test_what_others_send_to_the_pod_goes_to_the_pod_alone(self, nodes):
        cable = nodes.cable()

        with FrameSocket(cable.ends[0].port.name) as node, sent_from(cable.near) as pod, sent_from(cable.far) as into:
            node.send(frame("from the node"))
            assert arrives(pod, frame("from the node"))
            pod.send(frame("from the pod"))
            came = until(into, frame("from the pod"))
        assert came[-1] == frame("from the pod")
        assert frame("from the node") not in came

    def test_frames_for_a_port_that_is_down_are_counted(self, nodes):
        cable = nodes.cable()
        cable.ends[0].set_up(False)  # its pod looks for neighbours, and shall not be counted
        cable.ends[1].set_up(False)
        before = cable.ends[1].counters["received_dropped_port_down"]

        nodes.run(cable.stream.write(pack([len(PLAIN + frame("x"))] * 3, [PLAIN + frame("x")] * 3)))

        nodes.within(lambda: cable.ends[1].counters["received_dropped_port_down"] == before + 3)
        assert cable.carried

    def test_frames_that_are_too_long_are_counted(self, nodes):
        cable = nodes.cable()
        parts = [PLAIN + frame("long", 1700), PLAIN + frame("short", 100)]

        with sent_from(cable.far) as into:
            nodes.run(cable.stream.write(pack([len(part) for part in parts], parts)))
            assert arrives(into, frame("short", 100))
        assert cable.ends[1].counters["received_dropped_too_long"] == 1

    @pytest.mark.parametrize("longer", [1, 20, 2000])
    def test_frames_above_64_kib_are_counted_and_end_nothing(self, nodes, longer):
        """A pod's TCP makes them when its interface's `gso_max_size` was raised (BIG TCP)."""
        cable = nodes.cable()
        enlarge(cable.near)
        stream = cable.stream

        with sent_from(cable.near) as out, sent_from(cable.far) as into:
            out._socket.setsockopt(263, 15, 1)  # PACKET_VNET_HDR
            out.send(super_frame(LONGEST_WHOLE + longer))
            out.send(PLAIN + frame("right"))
            assert arrives(into, frame("right"))
        assert cable.ends[0].counters["sent_dropped_too_long"] == 1
        assert cable.ends[1].counters["bad_messages"] == 0
        assert cable.stream is stream
        assert not stream.ended

    def test_frames_with_a_wrong_header_are_counted(self, nodes):
        """The rest of the message goes through."""
        cable = nodes.cable()
        parts = [HEADER.pack(1, 0, 0, 0, 5000, 16) + frame("wrong"), PLAIN + frame("right")]

        with sent_from(cable.far) as into:
            nodes.run(cable.stream.write(pack([len(part) for part in parts], parts)))
            assert arrives(into, frame("right"))
        assert cable.ends[1].counters["received_dropped_header"] == 1

    def test_what_passes_is_counted(self, nodes):
        cable = nodes.cable()
        before, after = (end.counters for end in cable.ends)
        assert passes(cable, "one")

        sent, received = (end.counters for end in cable.ends)
        assert sent["sent_frames"] > before["sent_frames"]
        assert sent["sent_bytes"] >= before["sent_bytes"] + len(frame("one"))
        assert received["received_frames"] > after["received_frames"]
        assert received["received_bytes"] >= after["received_bytes"] + len(frame("one"))


class TestPatch:
    def test_again_changes_nothing(self, nodes):
        cable = nodes.cable()
        wires, stream = [end.wire for end in cable.ends], cable.stream

        assert [end.patch() for end in cable.ends] == [end.splice for end in cable.ends]

        assert [end.wire for end in cable.ends] == wires
        assert cable.stream is stream
        assert not stream.ended

    def test_an_edited_link_keeps_its_stream_and_is_what_the_next_is_opened_for(self, nodes):
        cable = nodes.cable()
        for end in cable.ends:
            end.mtu = 9000
            end.patch()
        assert nodes.opened == 1

        nodes.loop.call(cable.stream.close)

        nodes.within(lambda: nodes.opened == 2)
        assert nodes.opened_for.mtu == 9000

    def test_a_new_sandbox_of_the_peer_gets_a_new_stream(self, nodes):
        cable = nodes.cable()
        old = cable.stream

        cable.ends[0].peer_epoch = 2
        cable.ends[0].patch()

        assert old.ended
        nodes.within(lambda: cable.carried)
        assert passes(cable, "with the new sandbox")

    def test_a_new_port_gets_a_new_socket(self, nodes):
        """The pod was made anew; what its old sandbox had is removed later, and takes nothing with it."""
        cable = nodes.cable()
        end = cable.ends[0]
        old_link = end.link()
        nodes.node.netlink.run([links.delete_link(end.port.ifindex)])
        end.epoch = 2
        end.make_port()

        end.patch()
        nodes.call("unpatch", old_link)
        nodes.splicer.splice(end.port, Socket())
        end.set_up(True)

        nodes.within(lambda: cable.carried)
        cable.near.settle()
        cable.far.settle()
        assert passes(cable, "from the new port")
        assert passes(cable, "to the new port", back=True)

    def test_unpatch_ends_all_of_it(self, nodes):
        cable = nodes.cable()
        stream = cable.stream

        for end in cable.ends:
            end.unpatch()
            end.unpatch()

        assert stream.ended
        assert all(nodes.run(driver.inspect()) == [] for driver in nodes.drivers.values())
        assert all(driver._openers == {} for driver in nodes.drivers.values())

    def test_a_peer_that_is_not_known_yet_is_a_reason(self, nodes):
        cable = nodes.cable()
        cable.ends[0].unpatch()

        with pytest.raises(LinkError, match="default/r1:eth1: the peer's node has not told of its end") as error:
            cable.ends[0].patch(receive_id=0)

        assert error.value.reason == "PeerUnknown"

    def test_a_port_that_is_gone_is_a_reason(self, nodes):
        cable = nodes.cable()
        end = cable.ends[0]
        end.unpatch()
        end.port.ifindex = 1 << 30

        with pytest.raises(LinkError, match="open a packet socket on port") as error:
            end.patch()

        assert error.value.reason == "KernelRefused"
        assert nodes.run(nodes.driver("r1").inspect()) == []

    def test_an_old_sandboxs_unpatch_leaves_the_new_ones(self, nodes):
        cable = nodes.cable()
        end = cable.ends[0]
        old = end.link()
        end.epoch = 2
        end.patch()

        nodes.call("unpatch", old)

        nodes.within(lambda: cable.carried)
        assert passes(cable, "still")


class TestPath:
    @pytest.fixture(autouse=True)
    def impatient(self, monkeypatch):
        monkeypatch.setattr("meshnet_grpcwire.driver.GRACE_S", 0.2)
        monkeypatch.setattr("meshnet_grpcwire.driver.NEW_GRACE_S", 0.2)
        monkeypatch.setattr(opener, "SOON_S", 0.1)

    def test_a_lost_stream_is_told_after_a_grace_and_its_return_at_once(self, nodes):
        cable = nodes.cable()
        nodes.refuse = "StreamRefused"
        nodes.loop.call(cable.stream.close)

        nodes.within(lambda: len(nodes.changes) >= 2)
        assert sorted(nodes.changes) == [("default/r1:eth1", "StreamRefused"), ("default/r2:eth1", "StreamLost")]

        nodes.refuse = ""
        nodes.within(lambda: len(nodes.changes) >= 4)
        assert sorted(nodes.changes[2:]) == [("default/r1:eth1", ""), ("default/r2:eth1", "")]
        assert passes(cable, "back")

    def test_where_nothing_answers_nobody_has_refused(self, nodes):
        cable = nodes.cable()
        nodes.refuse = "PeerUnreachable"
        nodes.loop.call(cable.stream.close)

        nodes.within(lambda: len(nodes.changes) >= 2)
        assert sorted(nodes.changes) == [("default/r1:eth1", "StreamLost"), ("default/r2:eth1", "StreamLost")]

    def test_one_that_is_back_soon_is_not_told(self, nodes):
        cable = nodes.cable()
        nodes.loop.call(cable.stream.close)
        nodes.within(lambda: nodes.opened == 2 and cable.carried)

        nodes.run(asyncio.sleep(0.3))

        assert nodes.changes == []

    def test_an_unpatched_end_tells_nothing(self, nodes):
        cable = nodes.cable()
        for end in cable.ends:
            end.unpatch()

        nodes.run(asyncio.sleep(0.3))

        assert nodes.changes == []

    def test_what_was_said_of_a_wire_is_taken_back_for_the_next(self, nodes):
        cable = nodes.cable()
        nodes.refuse = "StreamRefused"
        nodes.loop.call(cable.stream.close)
        nodes.within(lambda: len(nodes.changes) >= 2)
        nodes.changes.clear()

        end = cable.ends[1]
        end.patch(epoch=9)

        assert ("default/r2:eth1", "") in nodes.changes
