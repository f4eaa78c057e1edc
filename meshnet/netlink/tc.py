"""Traffic control of a port: the drop that keeps the node out, and the redirect that is a splice.

A port has a clsact qdisc. On its ingress the lowest priority number goes first: the mirred redirect (1), the redirect
by `bpf_redirect_peer` (2), the drop (0xC000). Handles are fixed, so a redirect is replaced in one step and no frame
falls through. On its egress stands the drop of frames that the port itself would send.
"""

from __future__ import annotations

import socket
import struct
from typing import Literal, NamedTuple

from meshnet.netlink.wire import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Request,
    attribute,
    attributes,
    mac_bytes,
    nested,
    string,
    text,
    to_u32,
    u16,
    u32,
)

RTM_NEWQDISC = 36
RTM_NEWTFILTER = 44
RTM_DELTFILTER = 45
RTM_GETTFILTER = 46

CLSACT = 0xFFFFFFF1
INGRESS = 0xFFFFFFF2
EGRESS = 0xFFFFFFF3
CLSACT_HANDLE = 0xFFFF0000

MIRRED_PRIORITY = 1
REDIRECT_PEER_PRIORITY = 2
DROP_PRIORITY = 0xC000

TCA_KIND = 1
TCA_OPTIONS = 2
TCA_BPF_OPS_LEN = 4
TCA_BPF_OPS = 5
TCA_BPF_FD = 6
TCA_BPF_NAME = 7
TCA_BPF_FLAGS = 8
TCA_BPF_FLAG_ACT_DIRECT = 1
TCA_U32_SEL = 5
TCA_U32_ACT = 7
TCA_ACT_KIND = 1
TCA_ACT_OPTIONS = 2
TCA_MIRRED_PARMS = 2
TCA_EGRESS_REDIR = 1
TC_ACT_SHOT = 2
TC_ACT_STOLEN = 4
TC_ACT_UNSPEC = 0xFFFFFFFF

_TCMSG = struct.Struct("=BxxxiIII")
_ALL_PROTOCOLS = socket.htons(3)
_BPF_HANDLE = 1
# The first filter of the first u32 hash table.
_U32_HANDLE = 0x80000800
_REPLACE = NLM_F_CREATE | NLM_F_REPLACE
_REDIRECT_PEER_NAME = "redirect_peer>"

# Classic BPF: (code, jump if true, jump if false, constant).
_INSTRUCTION = struct.Struct("=HBBI")
_LOAD_WORD, _LOAD_HALF, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x28, 0x15, 0x06
_DROP_ALL = _INSTRUCTION.pack(_RETURN, 0, 0, TC_ACT_SHOT)

# A selector without keys: one key of mask 0 would let frames without a payload through unmatched.
_MATCH_ALL = attribute(TCA_U32_SEL, struct.pack("=BBBxHHhhI", 1, 0, 0, 0, 0, 0, 0, 0))
_MIRRED = struct.Struct("=IIiiiiI")
_MIRRED_IFINDEX = 24


class Redirect(NamedTuple):
    """A splice as the kernel holds it.

    Attributes:
        method: how.
        ifindex: where to. A mirred whose target is gone says 0 and drops; `redirect_peer` keeps the dead number.
    """

    method: Literal["mirred", "redirect_peer"]
    ifindex: int


def add_clsact(ifindex: int) -> Request:
    """Give a link the qdisc that its filters hang on; EEXIST when it has one."""
    body = _TCMSG.pack(0, ifindex, CLSACT_HANDLE, CLSACT, 0) + string(TCA_KIND, "clsact")
    return Request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body, f"add clsact to link {ifindex}")


def add_ingress_drop(ifindex: int) -> Request:
    """Drop every frame from the pod that no redirect has taken. Adding it again changes nothing."""
    body = _head(ifindex, INGRESS, DROP_PRIORITY, _BPF_HANDLE) + _classic_bpf(_DROP_ALL)
    return Request(RTM_NEWTFILTER, _REPLACE, body, f"add the ingress drop to link {ifindex}")


def add_egress_own_drop(ifindex: int, mac: str) -> Request:
    """Drop frames whose source is `mac`, the link's own: what the node itself would say to the pod."""
    raw = mac_bytes(mac)
    program = b"".join(
        (
            _INSTRUCTION.pack(_LOAD_WORD, 0, 0, 6),
            _INSTRUCTION.pack(_JUMP_IF_EQUAL, 0, 3, int.from_bytes(raw[:4], "big")),
            _INSTRUCTION.pack(_LOAD_HALF, 0, 0, 10),
            _INSTRUCTION.pack(_JUMP_IF_EQUAL, 0, 1, int.from_bytes(raw[4:], "big")),
            _DROP_ALL,
            _INSTRUCTION.pack(_RETURN, 0, 0, TC_ACT_UNSPEC),
        )
    )
    body = _head(ifindex, EGRESS, DROP_PRIORITY, _BPF_HANDLE) + _classic_bpf(program)
    return Request(RTM_NEWTFILTER, _REPLACE, body, f"add the egress drop of {mac} to link {ifindex}")


def add_egress_drop(ifindex: int) -> Request:
    """Drop every frame that would leave by the link. Adding it again changes nothing."""
    body = _head(ifindex, EGRESS, DROP_PRIORITY, _BPF_HANDLE) + _classic_bpf(_DROP_ALL)
    return Request(RTM_NEWTFILTER, _REPLACE, body, f"add the egress drop to link {ifindex}")


def remove_drop(ifindex: int, parent: int) -> Request:
    """Remove the drop on INGRESS or on EGRESS. ENOENT when there is none."""
    return Request(RTM_DELTFILTER, 0, _head(ifindex, parent, DROP_PRIORITY, 0), f"remove a drop of link {ifindex}")


def redirect(ifindex: int, to: int) -> Request:
    """Send every frame that comes in at `ifindex` out at `to` (mirred); in place of where it went before."""
    parameters = attribute(TCA_MIRRED_PARMS, _MIRRED.pack(0, 0, TC_ACT_STOLEN, 0, 0, TCA_EGRESS_REDIR, to))
    action = nested(1, string(TCA_ACT_KIND, "mirred"), nested(TCA_ACT_OPTIONS, parameters))
    options = nested(TCA_OPTIONS, _MATCH_ALL, nested(TCA_U32_ACT, action))
    body = _head(ifindex, INGRESS, MIRRED_PRIORITY, _U32_HANDLE) + string(TCA_KIND, "u32") + options
    return Request(RTM_NEWTFILTER, _REPLACE, body, f"redirect link {ifindex} to {to}")


def redirect_peer(ifindex: int, to: int, program_fd: int) -> Request:
    """Hand every frame that comes in at `ifindex` to the peer of `to`; in place of where it went before.

    `program_fd` is `bpf.load_redirect_peer(to)`; it may be closed once this has run. `to` is kept as the filter's name.
    """
    options = nested(
        TCA_OPTIONS,
        u32(TCA_BPF_FD, program_fd),
        string(TCA_BPF_NAME, f"{_REDIRECT_PEER_NAME}{to}"),
        u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
    )
    body = _head(ifindex, INGRESS, REDIRECT_PEER_PRIORITY, _BPF_HANDLE) + string(TCA_KIND, "bpf") + options
    return Request(RTM_NEWTFILTER, _REPLACE, body, f"redirect link {ifindex} to the peer of {to}")


def remove_redirect(ifindex: int) -> Request:
    """Remove the mirred redirect: the drop takes over. ENOENT when there is none."""
    return Request(RTM_DELTFILTER, 0, _head(ifindex, INGRESS, MIRRED_PRIORITY, 0), f"remove the redirect of {ifindex}")


def remove_redirect_peer(ifindex: int) -> Request:
    """Remove the redirect to a peer: the drop takes over. ENOENT when there is none."""
    head = _head(ifindex, INGRESS, REDIRECT_PEER_PRIORITY, 0)
    return Request(RTM_DELTFILTER, 0, head, f"remove the redirect to a peer of {ifindex}")


def dump_filters(ifindex: int, parent: int = INGRESS) -> Request:
    """Ask for the filters of a link, in the order in which they act: those on INGRESS, or on EGRESS."""
    return Request(RTM_GETTFILTER, 0, _TCMSG.pack(0, ifindex, 0, parent, 0), f"list filters of link {ifindex}")


def parse_priority(payload: bytes) -> int:
    """Return the priority of the filter in an answer to `dump_filters`."""
    return int(_TCMSG.unpack_from(payload)[4]) >> 16


def parse_redirect(payload: bytes) -> Redirect | None:
    """Return the splice in an answer to `dump_filters`; None for every other filter."""
    found = attributes(payload, _TCMSG.size)
    if TCA_OPTIONS not in found:
        return None  # the head of a u32 or bpf chain, without a filter in it
    kind, options = text(found.get(TCA_KIND, b"")), attributes(found[TCA_OPTIONS])
    if kind == "bpf":
        name = text(options.get(TCA_BPF_NAME, b""))
        number = name.removeprefix(_REDIRECT_PEER_NAME)
        return Redirect("redirect_peer", int(number)) if number != name and number.isdecimal() else None
    if kind == "u32" and TCA_U32_ACT in options:
        return _mirred(attributes(options[TCA_U32_ACT]).get(1, b""))
    return None


def _mirred(payload: bytes) -> Redirect | None:
    action = attributes(payload)
    if text(action.get(TCA_ACT_KIND, b"")) != "mirred" or TCA_ACT_OPTIONS not in action:
        return None
    parameters = attributes(action[TCA_ACT_OPTIONS])[TCA_MIRRED_PARMS]
    return Redirect("mirred", to_u32(parameters[_MIRRED_IFINDEX:]))


def _head(ifindex: int, parent: int, priority: int, handle: int) -> bytes:
    return _TCMSG.pack(0, ifindex, handle, parent, priority << 16 | _ALL_PROTOCOLS)


def _classic_bpf(program: bytes) -> bytes:
    """A cls_bpf filter in classic bytecode, which needs no bpf(2) and so no root."""
    return string(TCA_KIND, "bpf") + nested(
        TCA_OPTIONS,
        u16(TCA_BPF_OPS_LEN, len(program) // _INSTRUCTION.size),
        attribute(TCA_BPF_OPS, program),
        u32(TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT),
    )
