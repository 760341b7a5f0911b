"""Counts to probabilities: one smoothing a file; ``backoff`` is what they share.

In: n-gram counts. Out: models that interpolate or back off, to and from ARPA files too.
"""
