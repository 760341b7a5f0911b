"""Student's t by quadrature beside scipy's, and intervals of mixtures beside what they are to hold."""

import numpy as np
from scipy import stats

from lmbench.comparing.dependence import Errors
from lmbench.comparing.student import density, tail

FREEDOM = (1.0, 1.3, 2.0, 3.0, 7.0, 30.0, 200.0, 3e3, 1e5, 1e6, 1e9)
T = np.array([0, 1e-3, 0.1, 0.5, 0.84, 1, 1.96, 3, 5, 10, 20, 35, 1e3, 1e6])


def test_tail_and_density_as_scipy_has_them():
    for freedom in FREEDOM:
        nu = np.full_like(T, freedom)
        expected = 2 * stats.t.sf(T, nu)
        seen = expected > 1e-290
        np.testing.assert_allclose(tail(nu, T)[seen], expected[seen], rtol=3e-13)
        expected = 2 * stats.t.pdf(T, nu)
        seen = expected > 1e-290
        np.testing.assert_allclose(density(nu, T)[seen], expected[seen], rtol=1e-12)


def test_half_width_of_one_component_is_the_quantile():
    nu = np.array(FREEDOM)[:, None]
    for level in (0.05, 0.6, 0.95, 0.999999):
        width = Errors(np.ones_like(nu), np.full_like(nu, 3.0), nu).half_width(level)
        np.testing.assert_allclose(width, 3 * stats.t.ppf((1 + level) / 2, nu[:, 0]), rtol=1e-9)


def test_half_width_of_a_mixture_leaves_what_it_is_to_leave():
    rng = np.random.default_rng(0)
    weights = rng.random((400, 12)) ** 4
    weights /= weights.sum(axis=1, keepdims=True)
    errors = Errors(weights, 10 ** rng.uniform(-2, 2, (400, 12)), 10 ** rng.uniform(0, 6, (400, 12)))
    for level in (0.6, 0.95, 0.999999):
        np.testing.assert_allclose(errors.p_value(errors.half_width(level)), 1 - level, rtol=1e-9)
