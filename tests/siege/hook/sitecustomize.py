"""Sends this process, or its group, a signal at its n-th event of the file system: LMBENCH_KILL="N SIGNAL one|group FOLDER".

SIGNAL is COUNT: for each event a dot is written to the file ``events`` beside FOLDER.
"""

import os
import signal
import sys

_EVENTS = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.chmod", "os.truncate"}


def arm(order: str) -> None:
    """From now on the events are counted that change something below the folder."""
    number, name, whom, folder = order.split(" ", 3)
    left = int(number)

    def watch(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in _EVENTS and any(
            isinstance(a, str) and a.startswith(folder) for a in map(_text, arguments[:2])
        ):
            if event == "open" and not (
                isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            ):
                return
            if name == "COUNT":
                with open(f"{os.path.dirname(folder)}/events", "ab") as stream:
                    stream.write(b".")
                return
            left -= 1
            if left == 0:
                (os.killpg if whom == "group" else os.kill)(
                    os.getpgid(0) if whom == "group" else os.getpid(), getattr(signal, name)
                )

    sys.addaudithook(watch)


def _text(value: object) -> object:
    return os.path.abspath(os.fsdecode(value)) if isinstance(value, (str, bytes, os.PathLike)) else value


if "LMBENCH_KILL" in os.environ:
    arm(os.environ["LMBENCH_KILL"])
