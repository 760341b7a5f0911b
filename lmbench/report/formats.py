"""Numbers as text: one way for each kind, in every table, page and terminal."""

from __future__ import annotations

import math

from lmbench.results.schema import Ends

MISSING = "-"


def bits_text(value: float | None, digits: int = 3) -> str:
    """Bits in so many decimals.

    >>> bits_text(1.98149), bits_text(float("inf")), bits_text(None)
    ('1.981', 'inf', '-')
    """
    if value is None or math.isnan(value):
        return MISSING
    return "inf" if math.isinf(value) else f"{value:.{digits}f}"


def small_bits(value: float | None) -> str:
    """Bits of which three decimals may show nothing.

    >>> small_bits(0.0123), small_bits(0.0002), small_bits(0.0)
    ('0.012', 'less than 0.001', '0.000')
    """
    return "less than 0.001" if value is not None and 0 < value < 0.0005 else bits_text(value)


def signed_bits(value: float | None, digits: int = 3) -> str:
    """With a true minus sign, for pages.

    >>> signed_bits(-0.0124), signed_bits(0.25, 2)
    ('−0.012', '+0.25')
    """
    if value is None or math.isnan(value):
        return MISSING
    return f"{value:+.{digits}f}".replace("-", "−") if math.isfinite(value) else ("∞" if value > 0 else "−∞")


def interval_text(ends: Ends | None, digits: int = 3) -> str:
    """An interval; missing where an end is.

    >>> interval_text((1.956, 2.026)), interval_text((1.9, None))
    ('1.956 to 2.026', '-')
    """
    finite = finite_interval(ends)
    return MISSING if finite is None else f"{finite[0]:.{digits}f} to {finite[1]:.{digits}f}"


def signed_interval(ends: Ends | None, digits: int = 3) -> str:
    """An interval of a difference, for pages; nothing where an end is missing.

    >>> signed_interval((-0.03, 0.012))
    '−0.030 to +0.012'
    """
    finite = finite_interval(ends)
    return "" if finite is None else " to ".join(signed_bits(end, digits) for end in finite)


def finite_interval(ends: Ends | None) -> tuple[float, float] | None:
    """The ends, where both are finite."""
    if ends is None or any(end is None or not math.isfinite(end) for end in ends):
        return None
    return float(ends[0] or 0.0), float(ends[1] or 0.0)


def perplexity_text(value: float | None) -> str:
    """A perplexity in as many digits as it deserves.

    >>> perplexity_text(3.98149), perplexity_text(412.34), perplexity_text(28_123.4)
    ('3.981', '412.3', '28,123')
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "inf"
    if value >= 1e6:
        return f"{value:.2e}"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3f}" if value < 100 else f"{value:.1f}"


def count_text(value: float | None) -> str:
    """A count, its thousands apart.

    >>> count_text(28123), count_text(None)
    ('28,123', '-')
    """
    return MISSING if value is None else f"{value:,.0f}"


def share_text(value: float | None) -> str:
    """A share, 0 to 1, in percent.

    >>> share_text(0.552), share_text(0.0241), share_text(0.0002), share_text(0.0)
    ('55%', '2.4%', 'less than 0.1%', '0%')
    """
    if value is None:
        return MISSING
    if 0 < value < 0.0005:
        return "less than 0.1%"
    return f"{value:.0%}" if value >= 0.0995 or value == 0 else f"{value:.1%}"


def percent_text(value: float | None) -> str:
    """A percentage without its sign.

    >>> percent_text(-1.234), percent_text(0.01), percent_text(None)
    ('1.2%', 'less than 0.1%', '-')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return "less than 0.1%" if 0 < abs(value) < 0.05 else f"{abs(value):.1f}%"


def signed_percent(value: float | None) -> str:
    """With a true minus sign, for pages.

    >>> signed_percent(-1.234), signed_percent(0.0)
    ('−1.2%', '0.0%')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    text = f"{value:+.1f}%".replace("-", "−")
    return text[1:] if text[1:] == "0.0%" else text


def giga_text(value: float | None) -> str:
    """Thousands of millions, as of operations a second."""
    return MISSING if value is None else f"{value / 1e9:.3g}"


def seconds_text(value: float | None) -> str:
    """A time in the unit that suits it.

    >>> seconds_text(0.0421), seconds_text(7.31), seconds_text(4000)
    ('42 ms', '7.3 s', '1 h 06 min')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    if value < 0.00095:
        return f"{value * 1e6:.0f} µs"
    if value < 0.0995:
        return f"{value * 1000:.0f} ms"
    if value < 99.5:
        return f"{value:.2g} s" if value < 9.95 else f"{value:.0f} s"
    minutes, seconds = divmod(round(value), 60)
    return f"{minutes} min {seconds:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def bytes_text(value: float | None) -> str:
    """A size in the unit that suits it, of powers of 1000.

    >>> bytes_text(720), bytes_text(163_200_000)
    ('720 B', '163 MB')
    """
    if value is None or not math.isfinite(value):
        return MISSING
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} GB"


def number_text(value: object, digits: int = 4) -> str:
    """A number in so many digits; what is no number (an absent field, None) is missing."""
    return f"{value:,.{digits}g}" if isinstance(value, (int, float)) else MISSING
