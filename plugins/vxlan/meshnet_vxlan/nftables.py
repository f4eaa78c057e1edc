"""The one door to nf_tables: Debian's libnftables by ctypes, so that nothing forks.

Only loaded when something is to be said to it.
"""

from __future__ import annotations

import ctypes
from typing import Any

from meshnet.errors import MeshnetError

LIBRARY = "libnftables.so.1"


class NftError(MeshnetError):
    """nf_tables is not there, or refused a script; nothing of that was carried out."""


class Nft:
    """nf_tables of the network namespace that the calling thread is in when this is made.

    Raises NftError when the library is not installed.
    """

    def __init__(self) -> None:
        try:
            library = ctypes.CDLL(LIBRARY)
        except OSError as error:
            raise NftError(f"{LIBRARY} is not installed (Debian: libnftables1)") from error
        self._library = library
        _declare(library)
        self._context = library.nft_ctx_new(0)
        if not self._context:
            raise NftError(f"{LIBRARY} cannot be used")
        # Else it would write to this process's standard streams.
        library.nft_ctx_buffer_output(self._context)
        library.nft_ctx_buffer_error(self._context)

    def run(self, script: str) -> str:
        """Carry out all of a script, in the language of nft(8), in one step or not at all; return what it prints.

        Raises NftError.
        """
        failed = self._library.nft_run_cmd_from_buffer(self._context, script.encode())
        output: bytes = self._library.nft_ctx_get_output_buffer(self._context) or b""
        if failed:
            told: bytes = self._library.nft_ctx_get_error_buffer(self._context) or b""
            raise NftError(told.decode(errors="replace").partition("\n")[0] or "refused without a reason")
        return output.decode(errors="replace")

    def close(self) -> None:
        if self._context:
            self._library.nft_ctx_free(self._context)
            self._context = None


def _declare(library: Any) -> None:
    context = ctypes.c_void_p
    library.nft_ctx_new.restype, library.nft_ctx_new.argtypes = context, [ctypes.c_uint32]
    library.nft_ctx_free.restype, library.nft_ctx_free.argtypes = None, [context]
    for name in ("nft_ctx_buffer_output", "nft_ctx_buffer_error"):
        getattr(library, name).argtypes = [context]
    for name in ("nft_ctx_get_output_buffer", "nft_ctx_get_error_buffer"):
        getattr(library, name).restype, getattr(library, name).argtypes = ctypes.c_char_p, [context]
    library.nft_run_cmd_from_buffer.argtypes = [context, ctypes.c_char_p]
