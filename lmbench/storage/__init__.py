"""Bytes and long arrays: files that appear whole, arrays mapped from disk, columns that tasks hand each other, hashed look-up.

In: paths, bytes, numpy arrays. Out: the same again, checked. It knows no language.
"""

from lmbench.storage.columns import ColumnFile, write_columns
from lmbench.storage.files import read_text, whole_file, write_whole
from lmbench.storage.lookup import TwoPlaces
from lmbench.storage.mapped import open_arrays, write_arrays
from lmbench.storage.plain import plain

__all__ = [
    "ColumnFile",
    "TwoPlaces",
    "open_arrays",
    "plain",
    "read_text",
    "whole_file",
    "write_arrays",
    "write_columns",
    "write_whole",
]
