"""Has a daemon's identity look at its age each second, by a clock that is ahead by the seconds that a file says."""

import time
from pathlib import Path

from meshnet.peers import peers
from meshnet.peers.identity import Identity

AHEAD = Path("/run/ahead")


def now():
    return time.time() + (float(AHEAD.read_text()) if AHEAD.exists() else 0)


Identity.__init__.__kwdefaults__["now"] = now
peers._RENEW_S = 1.0
