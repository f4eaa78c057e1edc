"""Network namespaces: enter, make, name, number them."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from meshnet.errors import KernelError
from meshnet.netlink.wire import Request, attributes, to_i32, u32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshnet.netlink.socket import Netlink

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2
OWN_NETNS = "/proc/thread-self/ns/net"

RTM_NEWNSID = 88
RTM_DELNSID = 89
RTM_GETNSID = 90
NETNSA_NSID = 1
NETNSA_FD = 3
_RTGENMSG = bytes(4)

# os.setns and os.unshare come with Python 3.12; mount is in no release.
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_void_p)
_libc.umount2.argtypes = (ctypes.c_char_p, ctypes.c_int)


def _call(what: str, function: Callable[..., Any], *args: object) -> None:
    if function(*args) != 0:
        raise KernelError(ctypes.get_errno(), what)


def open_netns(path: str) -> int:
    """Return a descriptor of the namespace at `path`; the caller closes it.

    Raises KernelError when there is nothing or it may not be opened.
    """
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, f"open the network namespace {path}") from error


def own_netns() -> int:
    """Return a descriptor of the calling thread's namespace; the caller closes it."""
    return open_netns(OWN_NETNS)


@contextlib.contextmanager
def entered(fd: int) -> Iterator[None]:
    """Run the calling thread in the namespace of `fd` for the length of a ``with``.

    No ``await`` inside: the thread's other tasks would run there too.

    Raises KernelError when it cannot be entered (the thread has not moved), or not left again (it is still there).
    """
    home = own_netns()
    try:
        _call("enter a network namespace", _libc.setns, fd, CLONE_NEWNET)
        try:
            yield
        finally:
            _call("return to the thread's own network namespace", _libc.setns, home, CLONE_NEWNET)
    finally:
        os.close(home)


def may_enter() -> bool:
    """Tell whether this process may enter namespaces (CAP_SYS_ADMIN), as it may its own only then."""
    home = own_netns()
    try:
        with entered(home):
            return True
    except KernelError:
        return False
    finally:
        os.close(home)


def anonymous_netns() -> int:
    """Make a namespace without a name and return a descriptor of it: closing the last one ends it.

    Raises KernelError when namespaces may not be made (CAP_SYS_ADMIN in the user namespace).
    """
    return _in_new_netns(own_netns)


def new_netns(path: str) -> None:
    """Make a namespace and bind it at `path`, a file that does not exist yet. No thread moves into it.

    Raises KernelError: EEXIST when the name is taken.
    """
    what = f"make the network namespace {path}"
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, what) from error
    try:
        _in_new_netns(lambda: _call(what, _libc.mount, OWN_NETNS.encode(), path.encode(), None, MS_BIND, None))
    except BaseException:
        os.unlink(path)
        raise


def delete_netns(path: str) -> None:
    """Take the name at `path` away; the namespace ends when nobody else holds it. Nothing there is success.

    Raises KernelError when the name may not be removed.
    """
    what = f"delete the network namespace {path}"
    if _libc.umount2(path.encode(), MNT_DETACH) != 0 and ctypes.get_errno() not in (errno.EINVAL, errno.ENOENT):
        raise KernelError(ctypes.get_errno(), what)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KernelError(error.errno or errno.EIO, what) from error


def known_nsid(netlink: Netlink, fd: int) -> int:
    """Return the number that the namespace of `fd` has in that of `netlink`, -1 for none. Raises KernelError."""
    return parse_nsid(netlink.ask(Request(RTM_GETNSID, 0, _RTGENMSG + u32(NETNSA_FD, fd), "read a namespace's number")))


def nsid(netlink: Netlink, fd: int) -> int:
    """Return the number that the namespace of `fd` has in that of `netlink`, giving it one if it has none.

    Raises KernelError.
    """
    known = known_nsid(netlink, fd)
    if known >= 0:
        return known
    any_number = u32(NETNSA_NSID, 0xFFFFFFFF)
    try:
        netlink.run([Request(RTM_NEWNSID, 0, _RTGENMSG + u32(NETNSA_FD, fd) + any_number, "number a namespace")])
    except KernelError as error:
        if error.errno != errno.EEXIST:  # somebody else was quicker
            raise
    return known_nsid(netlink, fd)


def dump_nsids() -> Request:
    """Ask for the number of every namespace that has one in the socket's own."""
    return Request(RTM_GETNSID, 0, _RTGENMSG, "list the numbered namespaces")


def parse_nsid(payload: bytes) -> int:
    """Return the number in an answer to `dump_nsids`."""
    return to_i32(attributes(payload, 4)[NETNSA_NSID])


def number_own(netlink: Netlink) -> int:
    """Return the number that the calling thread's namespace has in itself for as long as it lives. Raises KernelError.

    The kernel gives it one anyhow when the other end of a veth is read by its namespace's number: the lowest that is
    free, which may have been that of a namespace whose end nobody has seen yet.
    """
    own = own_netns()
    try:
        return nsid(netlink, own)
    finally:
        os.close(own)


def _in_new_netns(function: Callable[[], T]) -> T:
    """Call `function` on a thread that lives in a new namespace and ends with it."""
    outcome: list[T | BaseException] = []

    def body() -> None:
        try:
            _call("make a network namespace", _libc.unshare, CLONE_NEWNET)
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001 - raised in the caller
            outcome.append(error)

    thread = threading.Thread(target=body, name="new-netns")
    thread.start()
    thread.join()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]
