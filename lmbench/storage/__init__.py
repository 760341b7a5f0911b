"""Bytes and long arrays: files that appear whole, arrays mapped from disk, columns in memory or on it, hashed look-up.

In: paths, bytes, numpy arrays. Out: the same again, checked. It knows no language.
"""

from lmbench.storage.files import read_text, whole_file, write_whole
from lmbench.storage.lookup import TwoPlaces
from lmbench.storage.mapped import open_arrays, write_arrays
from lmbench.storage.plain import plain
from lmbench.storage.workspace import columns_within

__all__ = [
    "TwoPlaces",
    "columns_within",
    "open_arrays",
    "plain",
    "read_text",
    "whole_file",
    "write_arrays",
    "write_whole",
]
