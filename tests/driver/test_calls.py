"""Whatever a driver does in a call: it ends in time, and as a result of the right type or a reason."""

import asyncio

import attrs
import pytest

from meshnet.driver import Attachment, Device, Interface, LinkError, Owned, Port, Rebuild, Socket, Underlay
from meshnet.driver.calls import call, mtu_limit, path_reason
from meshnet.driver.results import OFFER_LIMIT
from meshnet.errors import KernelError
from meshnet.model.topology import Endpoint
from tests.driver.test_registry import driver

END = Endpoint("default", "r1", "eth1")


@attrs.frozen
class Listed(Device):
    """A device of which a driver says more, in what has no hash."""

    names: list[str]


def answer(method, result, **members):
    """What core gets from a driver whose `method` returns, or raises, `result`."""

    async def act(self, *_):
        if isinstance(result, BaseException):
            raise result
        return result

    wire = driver("wire", **{method: act}, **members)()
    return asyncio.run(call(wire, method, None, None, limit_s=5))


@pytest.mark.parametrize("splice", [Port(END, 7, "p"), Device(7), Socket()])
def test_a_port_driver_may_return_any_splice_of_a_port(splice):
    assert answer("patch", splice) is splice


def test_a_direct_driver_returns_its_interface():
    assert answer("patch", Interface(3), attachment=Attachment.DIRECT) == Interface(3)


@pytest.mark.parametrize(
    ("method", "result", "attachment", "right"),
    [
        ("patch", None, Attachment.PORT, "a Port, a Device or a Socket"),
        ("patch", 7, Attachment.PORT, "a Port, a Device or a Socket"),
        ("patch", Socket(1500), Attachment.PORT, "a Socket whose gso_ipv4_max_size is 65536 to 524280 bytes"),
        ("patch", Socket(1 << 20), Attachment.PORT, "a Socket whose gso_ipv4_max_size is 65536 to 524280 bytes"),
        ("patch", Socket(True), Attachment.PORT, "a Socket whose gso_ipv4_max_size is 65536 to 524280 bytes"),
        ("patch", Device("eth0"), Attachment.PORT, "a Device whose ifindex is an interface index"),
        ("patch", Device(-5), Attachment.PORT, "a Device whose ifindex is an interface index"),
        ("patch", Device(0), Attachment.PORT, "a Device whose ifindex is an interface index"),
        ("patch", Device(1 << 40), Attachment.PORT, "a Device whose ifindex is an interface index, 1 to 2147483647"),
        ("patch", Device(True), Attachment.PORT, "a Device whose ifindex is an interface index"),
        ("patch", Port(None, None, None), Attachment.PORT, "a Port of an Endpoint, an interface index and a name"),
        ("patch", Port(END, 7, None), Attachment.PORT, "a Port of an Endpoint, an interface index and a name"),
        ("patch", Port(END, None, "p"), Attachment.PORT, "a Port whose ifindex is an interface index"),
        ("patch", Interface("eth1"), Attachment.DIRECT, "an Interface whose ifindex is an interface index"),
        ("patch", Interface(3), Attachment.PORT, "as its attachment is PORT"),
        ("patch", Device(3), Attachment.DIRECT, "an Interface, as its attachment is DIRECT"),
        ("offer", None, Attachment.PORT, "a mapping of JSON types"),
        ("offer", {"key": b"bytes"}, Attachment.PORT, "a mapping of JSON types"),
        ("node_offer", {"load": float("nan")}, Attachment.PORT, "a mapping of JSON types"),
        ("inspect", None, Attachment.PORT, "a sequence of Owned"),
        ("inspect", [Device(3)], Attachment.PORT, "a sequence of Owned"),
        ("inspect", [Owned("default/r1:eth1", Device(3), "m1")], Attachment.PORT, "each of an Endpoint or None"),
        ("inspect", [Owned(END, "m1", "m1")], Attachment.PORT, "each of an Endpoint or None, with a splice"),
        ("inspect", [Owned(END, Device("m1"), "m1")], Attachment.PORT, "each of an Endpoint or None, with a splice"),
        ("inspect", [Owned(END, Device(1 << 31), "m1")], Attachment.PORT, "each of an Endpoint or None, with a splice"),
        ("inspect", [Owned(END, Listed(3, ["m1"]), "m1")], Attachment.PORT, "with a splice that can be hashed"),
        ("inspect", [Owned(END, Device(3), None)], Attachment.PORT, "and what it is in words"),
        ("counters", {"frames": "3"}, Attachment.PORT, "names to whole numbers"),
    ],
)
def test_a_result_of_a_wrong_type_says_what_would_be_right(method, result, attachment, right):
    with pytest.raises(LinkError, match=right) as error:
        answer(method, result, attachment=attachment)

    assert error.value.reason == "DriverFailed"
    assert f"driver wire: {method} returned {result!r}" in str(error.value)


@pytest.mark.parametrize(
    ("method", "result"),
    [
        ("offer", {"vni": 3, "more": [None, True]}),
        ("inspect", ()),
        ("inspect", [Owned(END, Device(3), "vxlan m1")]),
        ("counters", {"frames": 3}),
    ],
)
def test_a_right_result_comes_through(method, result):
    assert answer(method, result) == result


@pytest.mark.parametrize("splice", [Port(END, 7, "p7"), Device(7)])
def test_a_port_is_not_spliced_to_itself(splice):
    async def patch(self, link, peer):
        return splice

    end = attrs.make_class("End", ["port"])(Port(END, 7, "p7"))
    wire = driver("wire", patch=patch)()
    with pytest.raises(LinkError, match="this is the port itself") as error:
        asyncio.run(call(wire, "patch", end, None, limit_s=5))

    assert error.value.reason == "DriverFailed"


class Mute(BaseException):
    """Says nothing, and fails at that."""

    def __str__(self):
        raise self

    __repr__ = __str__


def test_a_result_that_cannot_show_itself_is_told_by_its_class():
    class Shy:
        def __repr__(self):
            raise Mute

    with pytest.raises(LinkError, match="driver wire: patch returned Shy; right would be a Port") as error:
        answer("patch", Shy())

    assert error.value.reason == "DriverFailed"


@pytest.mark.parametrize("method", ["patch", "start", "inspect"])
@pytest.mark.parametrize("error", [Mute(), KeyboardInterrupt()])
def test_whatever_is_raised_stops_nothing(method, error):
    with pytest.raises(LinkError, match=f"driver wire: {type(error).__name__}") as raised:
        answer(method, error)

    assert raised.value.reason == "DriverFailed"


class BareError(LinkError):
    """Never says who it is."""

    def __init__(self):
        pass


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LinkError("", ""), "LinkError with reason ''; right would be one CamelCase word"),
        (LinkError(None, None), "LinkError with reason None; right would be one CamelCase word"),
        (LinkError(["A"], "no luck"), r"LinkError with reason \['A'\]; .* \(it said: no luck\)"),
        (LinkError("no luck", "eth9"), r"LinkError with reason 'no luck'; .* \(it said: eth9\)"),
        (LinkError("Über", "eth9"), "LinkError with reason 'Über'"),
        (LinkError("NoLuck", ""), "LinkError NoLuck without a message"),
        (LinkError("NoLuck", None), "LinkError NoLuck without a message"),
        (BareError(), "LinkError with reason None"),
    ],
)
def test_an_error_that_is_no_reason_says_what_would_be(error, said):
    with pytest.raises(LinkError, match=f"driver wire: {said}") as raised:
        answer("patch", error)

    assert raised.value.reason == "DriverFailed"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines", "two lines"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("half \ud800 of one", r"half \ud800 of one"),
        ("é 你", "é 你"),
        ("x" * 5000, "x" * 999 + "…"),
        ("x" * 900 + " " * 5000 + "the end", "x" * 900 + " the end"),
    ],
)
def test_what_a_driver_says_is_one_line_that_can_be_printed(text, line):
    for error, reason, said in (
        (LinkError("NoLuck", text, retry=False), "NoLuck", line),
        (ValueError(text), "DriverFailed", f"driver wire: ValueError: {line}"),
    ):
        with pytest.raises(LinkError) as raised:
            answer("patch", error)
        assert (raised.value.reason, str(raised.value)) == (reason, said)
        assert raised.value.retry == (reason == "DriverFailed")


@pytest.mark.parametrize(("reason", "counts"), [("", ""), ("PathLost", "PathLost"), ("no luck", "DriverFailed"),
                                                (None, "DriverFailed")])  # fmt: skip
def test_a_path_fails_for_a_reason(reason, counts, caplog):
    assert path_reason("wire", reason) == counts
    assert ("driver wire: changed to" in caplog.text) == (counts != reason)


def nested(depth):
    offer = {}
    for _ in range(depth):
        offer = {"in": offer}
    return offer


@pytest.mark.parametrize("offer", [{"key": "x" * OFFER_LIMIT}, nested(9000)])
def test_an_offer_that_would_end_the_session_of_all_links_is_refused(offer):
    with pytest.raises(LinkError, match=r"offer returned .* at most 65536 bytes") as error:
        answer("offer", offer)

    assert len(str(error.value)) < 500


@pytest.mark.parametrize("error", [LinkError("ParentMissing", "no eth9"), Rebuild()])
def test_what_a_driver_may_raise_comes_through_as_it_is(error):
    with pytest.raises(type(error)) as raised:
        answer("patch", error)

    assert raised.value is error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (TypeError("not like this"), "driver wire: TypeError: not like this"),
        (TimeoutError("its own"), "driver wire: TimeoutError: its own"),
        (SystemExit(3), "driver wire: SystemExit: 3"),
        (KernelError(16, "make device m1"), "driver wire: make device m1: Device or resource busy (EBUSY)"),
    ],
)
def test_a_stray_exception_becomes_a_reason_with_its_cause(error, said):
    with pytest.raises(LinkError) as raised:
        answer("patch", error)

    assert (raised.value.reason, str(raised.value)) == ("DriverFailed", said)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("method", ["start", "inspect", "unpatch"])
def test_rebuild_means_something_of_a_patch_alone(method):
    with pytest.raises(LinkError, match="driver wire: Rebuild") as raised:
        answer(method, Rebuild())

    assert raised.value.reason == "DriverFailed"


async def waits_for_its_own(self, *_):
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    await task


async def cancels_itself(self, *_):
    asyncio.current_task().cancel()
    await asyncio.sleep(60)


@pytest.mark.parametrize("method", ["start", "inspect", "patch", "node_offer"])
@pytest.mark.parametrize("act", [waits_for_its_own, cancels_itself])
def test_what_a_driver_cancels_itself_cancels_nothing_of_cores(method, act):
    wire = driver("wire", **{method: act})()
    with pytest.raises(LinkError, match="driver wire: CancelledError") as raised:
        asyncio.run(call(wire, method, None, None, limit_s=5))

    assert raised.value.reason == "DriverFailed"


def hanging(*, stubborn):
    """A driver whose patch waits for ever, and one that will not be cancelled either."""
    seen = []

    async def patch(self, link, peer):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            seen.append("cancelled")
            if stubborn:
                await asyncio.sleep(3)
            raise

    return driver("wire", patch=patch)(), seen


@pytest.mark.parametrize(("stubborn", "end"), [(False, "0.05 s"), (True, "and ignores that it was cancelled")])
def test_a_call_that_takes_too_long_is_cancelled_and_told(stubborn, end):
    wire, seen = hanging(stubborn=stubborn)

    with pytest.raises(LinkError, match=r"driver wire: patch took longer than 0.05 s") as error:
        asyncio.run(call(wire, "patch", None, None, limit_s=0.05))

    assert error.value.reason == "DriverTimeout"
    assert str(error.value).endswith(end)
    assert seen[0] == "cancelled"


def test_who_stops_waiting_takes_the_call_with_them():
    wire, seen = hanging(stubborn=False)

    async def scene():
        waiting = asyncio.create_task(call(wire, "patch", None, None, limit_s=60))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return waiting.cancelled()

    assert asyncio.run(scene())
    assert seen == ["cancelled"]


@pytest.mark.parametrize("limit", [None, 1450])
def test_an_mtu_limit_comes_through(limit):
    assert mtu_limit(driver("wire", mtu_limit=lambda self, underlay: limit)(), Underlay(1500, 4)) == limit


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (lambda self, underlay: "1450", "mtu_limit returned '1450'; right would be a positive number of bytes"),
        (lambda self, underlay: 0, "mtu_limit returned 0"),
        (lambda self, underlay: 1 // 0, "ZeroDivisionError"),
    ],
)
def test_a_wrong_mtu_limit_is_a_reason(limit, said):
    with pytest.raises(LinkError, match=said):
        mtu_limit(driver("wire", mtu_limit=limit)(), Underlay(1500, 4))
