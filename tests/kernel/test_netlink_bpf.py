"""Loading the program of a redirect, on the real kernel."""

from __future__ import annotations

import ctypes
import os

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import bpf

pytestmark = pytest.mark.kernel

REFUSED = 77


def test_loads_where_it_says_so_and_fails_where_not() -> None:
    why = bpf.why_unusable()
    if why is None:
        fd = bpf.load_redirect_peer(1 << 20)

        assert not os.get_inheritable(fd)
        os.close(fd)
    else:
        assert "bpf" in why
        with pytest.raises(KernelError, match="link 1048576"):
            bpf.load_redirect_peer(1 << 20)


def test_asking_leaves_no_descriptor() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(10):
        bpf.why_unusable()

    assert sorted(os.listdir("/proc/self/fd")) == before


def test_refusal_names_the_capability() -> None:
    if os.getuid() == 0 and bpf.why_unusable() is None:
        pid = os.fork()
        if pid == 0:
            libc = ctypes.CDLL(None)
            if libc.unshare(0x10000000) != 0:  # CLONE_NEWUSER: from there on no capability counts outside
                os._exit(REFUSED)
            why = bpf.why_unusable()
            os._exit(0 if why and "CAP_BPF" in why else 1)
        _, status = os.waitpid(pid, 0)

        code = os.waitstatus_to_exitcode(status)
        if code == REFUSED:
            pytest.skip("no user namespaces here, as in a chroot")
        assert code == 0
    else:
        assert "CAP_BPF" in (bpf.why_unusable() or "")
