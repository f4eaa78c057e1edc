"""The CNI plugin where no compiler was: plugin.c, line for line in what it does, in Python.

Run as ``python -I -S front.py``. It imports nothing of meshnet and, since a runtime starts it for every call, only
what starts fast: `_socket` and `posix` are there sooner than `socket` and `os`. What it promises and the environment
it reads stand in plugin.c; one table of tests holds for both.
"""

import _signal  # type: ignore[import-not-found]
import _socket
import errno
import posix
import select
import sys
import time

VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
MAX_ENV = 64 * 1024
MAX_REPLY = 2 * 1024 * 1024
MAX_TOTAL = 2 * MAX_REPLY

ANSWER_S = 60.0
STDIN_S = 5.0
STDIN_OPTIONAL_S = 1.0
ADD_AWAY_S = 5.0
AWAY_S = 1.0
NAP_S = 0.025
GRACE_S = 60
LAST_RESORT_S = 90

INVALID_ENVIRONMENT, IO_FAILURE, INVALID_NETNS, TRY_AGAIN, UNAVAILABLE, INTERNAL = 4, 5, 8, 11, 50, 999
CLONE_NEWNET = 0x40000000
AF_NETLINK, NETLINK_ROUTE = 16, 0
SPACE = b" \t\r\n"


class Failure(Exception):  # noqa: N818 — an answer, as the others
    """The call answers this error."""

    def __init__(self, code: int, text: str) -> None:
        self.code = code
        self.text = text


class Slow(Exception):  # noqa: N818
    """The daemon has the request and does not answer in time."""


class Call:
    """One call: what the runtime gave, and the version to answer in."""

    def __init__(self) -> None:
        self.command = variable("CNI_COMMAND")
        self.socket = variable("MESHNET_SOCKET") or "/run/meshnet/meshnetd.sock"
        self.version = VERSIONS[-1]
        self.deadline = time.monotonic() + ANSWER_S
        self.fds = b""

    def left_s(self) -> float:
        return self.deadline - time.monotonic()


def variable(name: str) -> str:
    return posix.environ.get(name.encode(), b"").decode("utf-8", "surrogateescape")


def write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[posix.write(fd, data) :]


# ---- errors


def reason_of(error: OSError) -> str:
    return posix.strerror(error.errno or errno.ENAMETOOLONG)  # _socket says of a too long path no number


def escape(text: str) -> str:
    """The inside of a JSON string. What is not ASCII becomes '?' a byte: paths and names may be any bytes."""
    out = ""
    for byte in text.encode("utf-8", "surrogateescape"):
        letter = chr(byte)
        if letter in '"\\':
            out += "\\" + letter
        elif byte < 0x20 or byte == 0x7F:
            out += f"\\u{byte:04x}"
        else:
            out += letter if byte < 0x80 else "?"
    return out


def print_failure(call: Call, failure: Failure) -> None:
    text = escape(failure.text)
    write_all(1, f'{{"cniVersion": "{call.version}", "code": {failure.code}, "msg": "{text}"}}\n'.encode())


# ---- JSON, without building anything


def skip_space(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in SPACE:
        at += 1
    return at


def string_end(text: bytes, at: int) -> int:
    """Place of the quote that closes the string whose inside begins at `at`; -1 if none does."""
    while at < len(text) and text[at] != 0x22:
        at += 2 if text[at] == 0x5C else 1
    return at if at < len(text) else -1


def version_at(text: bytes, at: int) -> str | None:
    """The supported version that the value behind a key names; `at` is behind the key's quote."""
    at = skip_space(text, at)
    if text[at : at + 1] != b":":
        return None
    at = skip_space(text, at + 1)
    close = string_end(text, at + 1) if text[at : at + 1] == b'"' else -1
    version = text[at + 1 : close].decode("ascii", "replace") if close > 0 else ""
    return version if version in VERSIONS else None


def scan(text: bytes) -> tuple[bool, str | None]:
    """Whether `text` is one whole object, and the supported version that its own key cniVersion names."""
    version: str | None = None
    depth = 0
    at = skip_space(text, 0)
    while at < len(text) and (depth or text[at] == 0x7B):
        if text[at] == 0x22:
            close = string_end(text, at + 1)
            if close < 0:
                break
            key = text[at + 1 : close]
            if depth == 1 and key == b"cniVersion":
                after = skip_space(text, close + 1)
                version = version_at(text, after) if text[after : after + 1] == b":" else version
            at = close
        elif text[at] in b"{[":
            depth += 1
        elif text[at] in b"}]":
            depth -= 1
            if not depth:
                return skip_space(text, at + 1) == len(text), version
        at += 1
    return False, version


# ---- the request


def environment() -> bytes:
    entries = [name + b"=" + value + b"\0" for name, value in posix.environ.items() if name.startswith(b"CNI_")]
    total = sum(map(len, entries))
    if total > MAX_ENV:
        longest = max(entries, key=len).split(b"=")[0][:100].decode("utf-8", "surrogateescape")
        raise Failure(
            INVALID_ENVIRONMENT,
            f"{longest}: the CNI_* variables have {total} bytes together: at most {MAX_ENV}, "
            "and this one is the longest",
        )
    return b"".join(entries)


def standard_input(limit_s: float, room: int) -> tuple[bytes, str]:
    """Everything up to its end, and what is wrong with it or ``""``."""
    until = time.monotonic() + limit_s
    data = bytearray()
    poll = select.poll()
    poll.register(0, select.POLLIN)
    while len(data) <= room:
        left = until - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            return bytes(data), "its end did not come in time"
        try:
            piece = posix.read(0, room + 1 - len(data))
        except BlockingIOError:
            continue
        except OSError as error:
            return bytes(data), reason_of(error)
        if not piece:
            return bytes(data), ""
        data += piece
    return bytes(data), "longer than 4 MiB with the environment"


def same_file(fd: int, path: str) -> bool:
    try:
        one, other = posix.fstat(fd), posix.stat(path)
    except OSError:
        return False  # no /proc is mounted
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def setns(fd: int) -> None:
    """Enter a network namespace; raises OSError. Python has the call from 3.12 on."""
    own = getattr(posix, "setns", None)
    if own is not None:
        own(fd, CLONE_NEWNET)
        return
    import ctypes  # noqa: PLC0415 — slow to start, and most calls of a newer Python do without

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "")


def netns_descriptors() -> bytes:
    """Descriptors, packed, of the pod's namespace and a netlink socket in it; the process stays inside.

    Raises:
        Failure: it cannot be entered.
    """
    path = variable("CNI_NETNS")
    if not path:
        raise Failure(INVALID_ENVIRONMENT, "CNI_NETNS: is needed and empty or missing")
    shown = path[:2000]
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC | posix.O_NONBLOCK | posix.O_NOCTTY)
    except OSError as error:
        raise Failure(INVALID_ENVIRONMENT, f"CNI_NETNS: {shown}: {reason_of(error)}") from None
    overridden = variable("CNI_NETNS_OVERRIDE").lower() in ("true", "1")
    if not overridden and same_file(fd, "/proc/self/ns/net"):
        raise Failure(INVALID_NETNS, f"CNI_NETNS: {shown}: is the plugin's own network namespace")
    try:
        setns(fd)
    except OSError as error:
        reason = f"cannot be entered as a network namespace: {reason_of(error)}"
        raise Failure(INVALID_ENVIRONMENT, f"CNI_NETNS: {shown}: {reason}") from None
    try:
        netlink = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, NETLINK_ROUTE).detach()
    except OSError as error:
        raise Failure(INTERNAL, f"netlink socket in {shown}: {reason_of(error)}") from None
    return fd.to_bytes(4, sys.byteorder) + netlink.to_bytes(4, sys.byteorder)


def take_netns(call: Call) -> None:
    try:
        call.fds = netns_descriptors()
    except Failure:
        if call.command != "DEL":  # the namespace may be gone
            raise


# ---- the daemon


def dial(call: Call) -> _socket.socket:
    conn = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    word = 8 if sys.maxsize > 1 << 32 else 4
    left_us = max(int(call.left_s() * 1e6), 1)
    limit = b"".join(part.to_bytes(word, sys.byteorder) for part in divmod(left_us, 1_000_000))
    try:
        conn.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDTIMEO, limit)  # settimeout does not wait for a full backlog
        conn.connect(call.socket)
    except BaseException:
        conn.close()
        raise
    return conn


def exchange(call: Call, conn: _socket.socket, request: bytes) -> bytes:
    """The whole answer; ``b""`` if the daemon closed without one.

    Raises:
        Slow: it did not answer in time.
        Failure: its answer is too long.
    """
    try:
        send(call, conn, request)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise Slow from None
        # One that refused before the end of the request may have said why.
    reply = bytearray()
    while piece := receive(call, conn):
        reply += piece
        if len(reply) > MAX_REPLY:
            raise Failure(INTERNAL, f"daemon at {call.socket[:200]}: its answer is longer than 2 MiB")
    ours = bytes(reply[:1]) in (b"0", b"1")  # if not, waiting for a whole one is of no use
    return bytes(reply) if not ours or len(reply) == 1 or scan(bytes(reply[1:]))[0] else b""


def send(call: Call, conn: _socket.socket, request: bytes) -> None:
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, call.fds)] if call.fds else []
    while request:
        wait(call, conn)
        request = request[conn.sendmsg([request], rights, _socket.MSG_NOSIGNAL) :]
        rights = []


def receive(call: Call, conn: _socket.socket) -> bytes:
    try:
        wait(call, conn)
        return conn.recv(65536)
    except TimeoutError:
        raise Slow from None
    except OSError:
        return b""


def wait(call: Call, conn: _socket.socket) -> None:
    left = call.left_s()
    if left <= 0:
        raise TimeoutError
    conn.settimeout(left)


def give_up(call: Call, reason: str) -> int:
    """Nothing to wait for any more; a pod must not be kept from going."""
    if call.command != "DEL":
        cure = "it must come back, or `meshnet cni uninstall` take meshnet off this node"
        raise Failure(TRY_AGAIN, f"daemon at {call.socket[:200]}: {reason}; {cure}")
    line = f"meshnet: DEL: daemon at {call.socket}: {reason}; it cleans up when it is back\n"
    try:  # noqa: SIM105 - contextlib is slow to start
        write_all(2, line.encode("utf-8", "surrogateescape"))
    except OSError:
        pass  # it is closed, or a file on a full disk
    return 0


def print_reply(call: Call, reply: bytes) -> int:
    if reply[:1] not in (b"0", b"1"):
        text = f"its answer begins with byte {reply[0]}: not of this version"
        raise Failure(INTERNAL, f"daemon at {call.socket[:200]}: {text}")
    write_all(1, reply[1:])
    return reply[0] - 0x30


def attempt(call: Call, request: bytes) -> tuple[bytes, str]:
    """One try: the answer, or why there is none."""
    try:
        conn = dial(call)
    except BlockingIOError:
        return b"", "did not accept in time"
    except OSError as error:
        return b"", reason_of(error)
    try:
        return exchange(call, conn, request), "closed the connection without a whole answer"
    finally:
        conn.close()


def ask_daemon(call: Call, request: bytes) -> int:
    patience_s = ADD_AWAY_S if call.command == "ADD" else AWAY_S
    away_s = 0.0
    while True:
        try:
            reply, reason = attempt(call, request)
        except Slow:
            return give_up(call, "did not answer in time")
        if reply:
            return print_reply(call, reply)
        before = time.monotonic()
        if away_s + NAP_S > patience_s or before + NAP_S > call.deadline:
            return give_up(call, reason)
        time.sleep(NAP_S)
        away_s += time.monotonic() - before


# ---- what needs no daemon


def print_version(call: Call) -> int:
    versions = ", ".join(f'"{version}"' for version in VERSIONS)
    write_all(1, f'{{"cniVersion": "{call.version}", "supportedVersions": [{versions}]}}\n'.encode())
    return 0


def print_status(call: Call) -> int:
    alive = variable("MESHNET_ALIVE") or call.socket[: call.socket.rfind("/") + 1] + "alive"
    shown = alive[:2000]
    try:
        age_s = int(time.time()) - int(posix.stat(alive).st_mtime)
    except OSError as error:
        text = f"daemon is not running on this node: {shown}: {reason_of(error)}"
        raise Failure(UNAVAILABLE, text) from None
    if age_s <= GRACE_S:
        return 0
    text = f"{shown} was last touched {age_s} s ago, at most {GRACE_S} are right"
    raise Failure(UNAVAILABLE, f"daemon is not running on this node: {text}")


def run(call: Call) -> int:
    if not call.command:
        raise Failure(INVALID_ENVIRONMENT, "CNI_COMMAND: is needed and empty or missing")
    carried = call.command in ("ADD", "DEL", "CHECK", "GC")
    env = environment() if carried else b""
    body, wrong = standard_input(STDIN_S if carried else STDIN_OPTIONAL_S, MAX_TOTAL - len(env))
    call.version = scan(body)[1] or call.version
    if call.command == "VERSION":
        return print_version(call)
    if call.command == "STATUS":
        return print_status(call)
    if not carried:
        text = f"CNI_COMMAND: {call.command[:40]}: one of ADD, DEL, CHECK, GC, STATUS, VERSION"
        raise Failure(INVALID_ENVIRONMENT, text)
    if wrong:
        raise Failure(IO_FAILURE, f"network configuration on stdin: {wrong}")
    if call.command != "GC":
        take_netns(call)
    lengths = (len(env) + len(body)).to_bytes(4, "little") + len(env).to_bytes(4, "little")
    return ask_daemon(call, b"\x01" + lengths + env + body)


def main() -> int:
    """Run one call; its exit code."""
    _signal.alarm(LAST_RESORT_S)
    call = Call()
    try:
        return run(call)
    except Failure as failure:
        print_failure(call, failure)
        return 1


if __name__ == "__main__":
    sys.exit(main())
