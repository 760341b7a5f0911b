"""Tasks that end their own process, once for each kind of task."""

import os
import signal


class Fatal:
    """A ``Run`` in which the first task of each function (or of those named) kills its process, before it has done anything."""

    def __init__(self, run, folder, only=None):
        self._run, self._folder, self._only = run, folder, only
        self.jobs = run.jobs

    def __call__(self, function, arguments):
        if self._only is not None and function.__name__ not in self._only:
            return self._run(function, arguments)
        mark = self._folder / function.__name__
        return self._run(die_once, [(mark, function, one) for one in arguments])


def die_once(mark, function, arguments):
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return function(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
