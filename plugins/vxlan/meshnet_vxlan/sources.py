"""The source filter: of what comes to a device of ours, only what its peer's node sent gets in.

The kernel takes a VXLAN frame with the right VNI from anybody. A table of our own in nf_tables drops what is for a VNI
of ours and not from its peer's address; other VNIs are none of our business, not even at our port. Where there is no
nf_tables, everything works without.
"""

from __future__ import annotations

import contextlib
import ipaddress
import time
from typing import TYPE_CHECKING

import attrs

from meshnet_vxlan.elements import Elements
from meshnet_vxlan.nftables import Nft, NftError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    Keys = Mapping[str, Sequence[bytes]]
    Change = Callable[[Elements, Keys], None]

_NAME = "meshnet-vxlan"
TABLE = f"inet {_NAME}"
AGAIN_S = 60.0
"""How long a table that was refused is not tried again: it is made for all links at once, and asked for by each."""

# The VNI stands 12 bytes into UDP. "input" is behind the reassembly of fragments, but not of those of IPv6: a first one
# that ends within the header would pass, and we send none.
_VNI = "@th,96,24"
_REMOVE = f"add table {TABLE}\ndelete table {TABLE}\n"


@attrs.define
class Admission:
    """Who may send to a VNI.

    Attributes:
        device: that receives it, by ifindex.
        source: the address of the peer's node.
        former: addresses of where the peer was before, which may still send for a moment.
    """

    device: int
    source: str
    former: set[str] = attrs.field(factory=set)

    @property
    def sources(self) -> list[str]:
        return sorted({self.source, *self.former})


class SourceFilter:
    """Keeps the table. What is admitted is remembered here too, so that a table somebody flushed is made again.

    Never raises for what nf_tables refuses: it says so once, and tries again with a change a minute later.

    Args:
        port: that VXLAN frames come to.
        log: for what it says.
        now: seconds of any clock that goes on.
    """

    def __init__(self, port: int, log: logging.Logger, *, now: Callable[[], float] = time.monotonic) -> None:
        self._port = port
        self._log = log
        self._nft: Nft | None = None
        self._elements: Elements | None = None
        self._now = now
        self._refused_until: float | None = None
        self._admitted: dict[int, Admission] = {}

    def adopt(self, admitted: Mapping[int, Admission]) -> None:
        """Take over what the devices of the kernel say, by VNI, in place of any table there was. Without any, no table.

        One may be left by a daemon that was killed when it had just removed its last device.
        """
        self._admitted = dict(admitted)
        if admitted:
            self._rebuild()
        elif _is_there():
            self._run(_REMOVE)

    def admit(self, vni: int, device: int, source: str) -> bool:
        """Let `source` in to `vni` of `device`; tell whether others still are, for `settle`. Again does no harm."""
        known = self._admitted.setdefault(vni, Admission(device, source))
        if known.source != source:
            known.former = (known.former | {known.source}) - {source}
        known.device, known.source = device, source
        self._change(Elements.add, vni, [source], whole=True)
        return bool(known.former)

    def settle(self, vni: int) -> None:
        """Let nobody in to `vni` any more who was its peer formerly."""
        known = self._admitted.get(vni)
        if known is not None and known.former:
            former, known.former = sorted(known.former), set()
            self._change(Elements.delete, vni, former, whole=False)

    def forget(self, vni: int, device: int) -> None:
        """Forget `vni`, as `device` is gone; a device that has the VNI since keeps it. Without any, no table."""
        known = self._admitted.get(vni)
        if known is None or known.device != device:
            return
        del self._admitted[vni]
        if self._admitted:
            self._change(Elements.delete, vni, known.sources, whole=True)
        else:
            self._run(_REMOVE)

    def keep_only(self, devices: Collection[int]) -> None:
        """Forget the VNIs of devices that somebody else removed: of those there are, by ifindex."""
        for vni, known in list(self._admitted.items()):
            if known.device not in devices:
                self.forget(vni, known.device)

    def close(self) -> None:
        """Let go of nf_tables; the table stays, as the devices do."""
        if self._nft is not None:
            self._nft.close()
            self._nft = None
        if self._elements is not None:
            self._elements.close()
            self._elements = None

    def _change(self, change: Change, vni: int, sources: Sequence[str], *, whole: bool) -> None:
        """Add or delete sources of a VNI, and with `whole` the VNI itself."""
        keys: dict[str, list[bytes]] = {"vnis": [_vni_key(vni)] if whole else []}
        for source in sources:
            keys.setdefault(_set_of(source), []).append(_pair_key(source, vni))
        if self._changed(change, keys) and self._refused_until is None:
            return
        # It is the first, or somebody has flushed our table, or one was refused: what it says is known here.
        self._rebuild()

    def _changed(self, change: Change, keys: Keys) -> bool:
        """Change the table, if one was made; tell whether that is done."""
        if self._elements is None:
            return False
        try:
            change(self._elements, keys)
        except NftError:
            return False
        return True

    def _rebuild(self) -> None:
        if self._refused_until is None or self._now() >= self._refused_until:
            self._run(_REMOVE + _table(self._port, self._admitted))

    def _run(self, script: str) -> None:
        try:
            if self._nft is None:
                self._nft = Nft()
            self._nft.run(script)
            if self._elements is None:
                self._elements = Elements(_NAME)
        except NftError as error:
            if self._refused_until is None:
                self._log.info("no nf_tables: frames with a right VNI are taken from any address (%s)", error)
            self._refused_until = self._now() + AGAIN_S
        else:
            self._refused_until = None


def _is_there() -> bool:
    """Tell whether there is a table of ours; for that libnftables need not be loaded."""
    try:
        with contextlib.closing(Elements(_NAME)) as elements:
            return elements.exists()
    except NftError:
        return False


def _table(port: int, admitted: Mapping[int, Admission]) -> str:
    pairs = [(source, vni) for vni, admission in admitted.items() for source in admission.sources]
    sets = {name: [f"{source} . {vni}" for source, vni in pairs if _set_of(source) == name] for name in ("v4", "v6")}
    return f"""table {TABLE} {{
  set vnis {{ typeof {_VNI}; {_elements(map(str, admitted))} }}
  set v4 {{ typeof ip saddr . {_VNI}; {_elements(sets["v4"])} }}
  set v6 {{ typeof ip6 saddr . {_VNI}; {_elements(sets["v6"])} }}
  chain input {{
    type filter hook input priority -10; policy accept;
    exthdr frag exists udp dport {port} drop
    udp dport {port} {_VNI} @vnis ip saddr . {_VNI} != @v4 drop
    udp dport {port} {_VNI} @vnis ip6 saddr . {_VNI} != @v6 drop
  }}
}}
"""


def _elements(elements: Iterable[str]) -> str:
    listed = ", ".join(elements)
    return f"elements = {{ {listed} }};" if listed else ""


def _set_of(source: str) -> str:
    return "v6" if ":" in source else "v4"


def _vni_key(vni: int) -> bytes:
    return vni.to_bytes(3, "big")


def _pair_key(source: str, vni: int) -> bytes:
    """Each part of a key that has several takes a multiple of four bytes."""
    return ipaddress.ip_address(source).packed + _vni_key(vni) + b"\0"
