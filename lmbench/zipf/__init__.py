"""The laws of counts: rank and frequency fits, growth of the vocabulary, their table and their chart.

In: counts of types. Out: exponents with the likelihoods and tests that speak for and against them.
"""

from lmbench.zipf.fits import fit_zipf
from lmbench.zipf.table import zipf_rows

__all__ = ["fit_zipf", "zipf_rows"]
