"""Numbers and entries read many at a time are those that Python reads one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lmbench.models.smoothing.arpa_lines import parsed, regular_lines

digits = st.text("0123456789", max_size=16)
odd = st.text("0123456789.-+e_ax", min_size=1, max_size=12)
plain = st.builds("{}{}.{}".format, st.sampled_from(["-", ""]), digits, digits)


@settings(max_examples=200)
@given(st.lists(plain | odd | st.floats().map(repr) | st.floats(-99, 0).map("{:.7g}".format), min_size=1))
def test_numbers_are_those_of_python(written):
    data = " ".join(written).encode()
    ends = np.cumsum([len(one) + 1 for one in written]) - 1
    values, left = parsed(data, np.stack([ends - [len(one) for one in written], ends], axis=1))
    for i, one in enumerate(written):
        if i not in left:
            assert repr(float(values[i])) == repr(float(one))
    usual = [
        i
        for i, one in enumerate(written)
        if len(one) == 10 and one[0] == "-" and one[2] == "." and one[3:].isdigit() and one[1].isdigit()
    ]
    assert not set(usual) & set(left.tolist())


@given(st.lists(st.text(" \tab\x1fé", max_size=8)), st.integers(1, 3))
def test_what_is_regular_is_what_the_obvious_program_says(lines, k):
    def entry(line):
        number, *parts = line.split("\t")
        words = parts[0].split(" ") if parts else []
        fine = len(parts) in (1, 2) and number and all(parts) and len(words) == k and all(words)
        return bool(fine) and " " not in number + "".join(parts[1:])

    data = "".join(f"{line}\n" for line in lines).encode()
    read = regular_lines(data, k)
    assert (read is not None) == all(map(entry, lines))
    if read is not None:
        for i, line in enumerate(lines):
            words = [data[b : b + n].decode() for b, n in zip(read.begins[i], read.lengths[i], strict=True)]
            assert words == line.split("\t")[1].split(" ")
