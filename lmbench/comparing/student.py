"""Student's t distribution, by quadrature: a tenth of the time of a command that scores a small text went into importing another's.

With a = ν/2 the two-sided tail is proportional to the integral of e^-q² g(q²/a) over q > q(t), q(t)² = a log(1 + t²/ν), where
g(y) = √(y / (1 - e^-y)) is nearly constant: the incomplete beta function of DLMF 8.17.1 after the substitution x = e^(-q²/a). The
factor is 1 over the same integral from 0.
"""

from __future__ import annotations

from functools import cache

import numpy as np

_NODES = 32  # of Gauss and Legendre's rule
_DEEP = 40.0  # e^-40 of what the integrand is at its beginning is nothing


def tail(freedom: np.ndarray, t: np.ndarray) -> np.ndarray:
    """The probability of more than t ≥ 0 in either direction, of ``freedom`` ≥ 1 degrees; arrays of one shape.

    To a relative error of some 1e-13, however small it is.

    >>> tail(np.array([1.0, 10.0]), np.array([1.0, 2.228138851986274])).round(12).tolist()
    [0.5, 0.05]
    """
    half = freedom / 2
    edge = half * np.log1p(t**2 / freedom)
    share: np.ndarray = np.exp(-edge) * _integral(half, np.sqrt(edge)) / _whole(half)
    return share


def density(freedom: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Minus the slope of ``tail`` at t: twice the density.

    >>> round(float(density(np.array([1.0]), np.array([0.0]))[0] * np.pi), 12)  # 2 / π
    2.0
    """
    falls = np.exp(-(freedom + 1) / 2 * np.log1p(t**2 / freedom))
    slope: np.ndarray = falls / (np.sqrt(2) * _whole(freedom / 2))
    return slope


def _integral(half: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """∫ e^(begin² - q²) g(q²/half) dq over q > begin."""
    nodes, weights = _rule()
    length = _DEEP / (np.sqrt(begin**2 + _DEEP) + begin)  # beyond it the exponent is below -40
    beyond = length[..., None] * nodes
    y = (begin[..., None] + beyond) ** 2 / half[..., None]
    values = np.exp(-beyond * (2 * begin[..., None] + beyond)) * np.sqrt(y / -np.expm1(-y))
    integral: np.ndarray = length * (values @ weights)
    return integral


def _whole(half: np.ndarray) -> np.ndarray:
    """The same from 0, once where all have the same degrees of freedom, as models of one text do."""
    one = half.ravel()[:1]
    return _integral(one, np.zeros(1)) if (half == one).all() else _integral(half, np.zeros_like(half))


@cache
def _rule() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the rule over 0..1."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1) / 2, weights / 2
