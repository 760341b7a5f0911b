"""How the program is asked to end: by Ctrl-C, by kill, by a closed terminal. This is imported before what takes long to import."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Iterator

# Where this is the program, Ctrl-C ends it without a word until ``main`` runs, which says what is kept.
_PROGRAM = os.path.basename(sys.argv[0] if sys.argv else "") in ("lmbench", "run_bench.py", "-m")
if _PROGRAM and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, lambda *_: os._exit(130))


@contextlib.contextmanager
def ended_as_by_ctrl_c() -> Iterator[None]:
    """Within, a request to end (by kill, a closed terminal, a batch system) is what Ctrl-C is; one that is ignored stays so."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    changed = {}
    if threading.current_thread() is threading.main_thread():
        if _PROGRAM and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:
                changed[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, before in changed.items():
            signal.signal(number, before)
