"""Archives of arrays (.npz) as other runs have left them, read without trust."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from lmbench.storage.files import check_regular
from lmbench.storage.unpacking import check_ratio, zip_archive


def archived_arrays(
    path: str | os.PathLike[str], names: Sequence[str] | None = None
) -> dict[str, np.ndarray]:
    """The arrays of an archive, or those of some names; nothing in them is unpickled. Raises ValueError, whatever is wrong with it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/two.npz", a=np.arange(3), b=np.arange(2))
    ...     archived_arrays(f"{folder}/two.npz", ["a"])
    {'a': array([0, 1, 2])}
    """
    try:
        check_regular(path)  # a pipe would be waited for
        with zip_archive(path, str(path)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        check_ratio(size, os.stat(path).st_size, str(path))
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in (arrays.files if names is None else names)}
    except Exception as error:  # a dozen kinds: of archives, their packings, arrays
        raise ValueError(f"{path} is no archive of arrays ({type(error).__name__}: {error})") from None
