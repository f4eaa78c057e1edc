"""The program behind `tc.redirect_peer`, and whether the kernel lets us load it."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import struct

from meshnet.errors import KernelError

BPF_PROG_LOAD = 5
BPF_PROG_TYPE_SCHED_CLS = 3
BPF_FUNC_SKB_CHANGE_TYPE = 32
BPF_FUNC_REDIRECT_PEER = 155
_PKT_TYPE = 4
"""Where ``struct __sk_buff`` has it."""
PACKET_HOST, PACKET_OTHERHOST = 0, 3

# bpf(2) has no wrapper in libc; its number is the generic one but on older architectures.
_GENERIC_NUMBER = 280
_NUMBERS = {"x86_64": 321, "i686": 357, "i586": 357, "armv7l": 386, "ppc64le": 361, "s390x": 351}

_INSTRUCTION = struct.Struct("=BBhi")
_MOVE_CONSTANT, _LOAD_U32, _JUMP_NOT_EQUAL, _CALL, _EXIT = 0xB7, 0x61, 0x55, 0x85, 0x95
_R1, _R2 = 1, 2
_R2_FROM_R1 = _R2 | _R1 << 4
# The first members of union bpf_attr for BPF_PROG_LOAD, up to the name.
_LOAD = struct.Struct("=IIQQIIQII16s")
_LOG_SIZE = 4096

_libc = ctypes.CDLL(None, use_errno=True)


def load_redirect_peer(ifindex: int) -> int:
    """Return a descriptor of a program that hands every frame to the peer of link `ifindex`; the caller closes it.

    A port has another MAC address than its pod's interface, so that a frame is another host's when it comes in. Before
    Linux 6.15, and without what that handed down to older ones, it would stay that, and the peer would drop it.

    Raises KernelError; EPERM without CAP_BPF and CAP_NET_ADMIN.
    """
    program = b"".join(
        (
            _INSTRUCTION.pack(_LOAD_U32, _R2_FROM_R1, _PKT_TYPE, 0),
            _INSTRUCTION.pack(_JUMP_NOT_EQUAL, _R2, 2, PACKET_OTHERHOST),
            _INSTRUCTION.pack(_MOVE_CONSTANT, _R2, 0, PACKET_HOST),
            _INSTRUCTION.pack(_CALL, 0, 0, BPF_FUNC_SKB_CHANGE_TYPE),
            _INSTRUCTION.pack(_MOVE_CONSTANT, _R1, 0, ifindex),
            _INSTRUCTION.pack(_MOVE_CONSTANT, _R2, 0, 0),
            _INSTRUCTION.pack(_CALL, 0, 0, BPF_FUNC_REDIRECT_PEER),
            _INSTRUCTION.pack(_EXIT, 0, 0, 0),
        )
    )
    return _load(program, f"load the program that redirects to the peer of link {ifindex}")


def why_unusable() -> str | None:
    """Return why `load_redirect_peer` does not work here, or None when it does. Asks the kernel."""
    try:
        fd = load_redirect_peer(1)
    except KernelError as error:
        if error.errno == errno.EPERM:
            return "bpf_redirect_peer: the kernel refuses bpf(2): it needs CAP_BPF outside of user namespaces"
        return f"bpf_redirect_peer: {error}"
    os.close(fd)
    return None


@functools.cache
def _number() -> int:
    return _NUMBERS.get(os.uname().machine, _GENERIC_NUMBER)


def _load(program: bytes, what: str) -> int:
    code = ctypes.create_string_buffer(program, len(program))
    log = ctypes.create_string_buffer(_LOG_SIZE)
    licence = ctypes.create_string_buffer(b"GPL")
    request = _LOAD.pack(
        *(BPF_PROG_TYPE_SCHED_CLS, len(program) // _INSTRUCTION.size),
        *(ctypes.addressof(code), ctypes.addressof(licence)),
        *(1, _LOG_SIZE, ctypes.addressof(log)),
        *(0, 0, b"redirect_peer"),
    )
    attr = ctypes.create_string_buffer(request, len(request))
    fd = int(_libc.syscall(_number(), BPF_PROG_LOAD, attr, len(request)))
    if fd < 0:
        raise KernelError(ctypes.get_errno(), what, log.value.decode(errors="replace").strip().replace("\n", "; "))
    return fd
