"""ARPA files in words: a small one, one written in the manner of each toolkit, and how tests load them."""

from lmbench.models import make_model
from lmbench.text.canonical import canonical_text
from lmbench.text.tokens import encode
from lmbench.text.units import unit_named
from lmbench.text.vocab import Vocab

FILES = {"ferry.o3.arpa": "ferry.o3.tokens.tsv", "ferry.o5.fallback.arpa": "ferry.o5.fallback.tokens.tsv"}
WORD = unit_named("word")

SMALL = """\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1.5\t<unk>
0\t<s>\t-0.5
-0.5\t</s>
-0.25\ta\t-0.125
-1\tb

\\2-grams:
-0.25\t<s> a
-0.5\ta b
-0.75\ta </s>

\\end\\
"""


def lines_of(path):
    return canonical_text([path.read_text(encoding="utf-8")], "none", "line")


def loaded(path, text):
    """The model in a file, fitted, and a text in its vocabulary."""
    model = make_model("arpa", file=str(path))
    vocab = model.vocabulary(Vocab())
    encoded = encode(text, WORD, vocab)
    return model.fit(encoded.tokens, vocab_size=len(vocab)), encoded


FOX = """\\data\\
ngram 1=6
ngram 2=7

\\1-grams:
-1.0000000\t<unk>\t0
-99\t<s>\t-0.3424227
-0.5228787\t</s>
-0.5228787\tred\t-0.3679768
-0.8239087\tblue\t-0.3273589
-0.8239087\tfox\t-0.2041200

\\2-grams:
-0.3010300\t<s> red
-0.6020600\t<s> blue
-0.2218487\tred fox
-1.0000000\tred blue
-0.2218487\tblue fox
-0.2218487\tfox </s>
-0.8239087\tfox red

\\end\\
"""
FOX_TEXT = canonical_text(["red fox\nblue fox red\nfox blue\nzebra fox\n"], "none", "line")
FOX_PERPLEXITY = 4.682472597724976  # as KenLM's query says of the two


def changed(*changes):
    text = FOX
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return text


_UNKLESS = changed(("ngram 1=6", "ngram 1=5"), ("-1.0000000\t<unk>\t0\n", ""))
TOOLKITS = {  # what they write: the file, and what each note says
    "as KenLM": (FOX, []),
    "text before (CMU)": (
        f"Made by a toolkit\n\nGood-Turing\n{FOX}",
        ["text before .*, in 3 lines, line 1 first"],
    ),
    "a blank line before (SRILM)": (f"\n{FOX}", []),
    "blanks for tabs (QuickLM)": (FOX.replace("\t", " "), ["blanks for tabs, in 13 lines, line 6 first"]),
    "a blank after the number (CMU)": (
        changed(*((f"7\t{word}", f"7 {word}") for word in ("</s>", "red", "blue", "fox"))),
        ["blanks for tabs, in 8 lines, line 8 first"],
    ),
    "tabs between words": (changed(("fox red", "fox\tred")), ["blanks for tabs, in 1 line, line 20 first"]),
    "numbers in columns": (
        changed(("-1.0000000\t", "  -1.0000000\t  ")),
        ["blanks for tabs, in 2 lines, line 6 first"],
    ),
    "trailing blanks": (
        "\n".join(line and line + " " for line in FOX.split("\n")),
        ["blanks at the ends of lines, in 13 lines, line 6 first"],
    ),
    "trailing tabs (MITLM)": (
        changed(("<s> red\n", "<s> red\t\n"), ("</s>\n-0.52", "</s>\t\n-0.52")),
        ["blanks at the ends of lines, in 2 lines, line 8 first"],
    ),
    "blank lines inside": (
        changed(("</s>\n-0.52", "</s>\n\n \t\n-0.52")),
        ["a blank line .*, in 2 lines, line 9"],
    ),
    "IRSTLM": (
        changed(("=", "=\t"), ("\n\n\\", "\n\\"), ("-1.0000000\t<unk>\t0", "-1.0000000 <unk>")),
        ["blanks among the counts, in 2 lines, line 2", "blanks for tabs, in 1 line, line 5"],
    ),
    "blanks around the sign": (changed(("=", " = ")), ["blanks among the counts, in 2 lines"]),
    "counts before pruning (IRSTLM)": (
        changed(("2=7", "2=1000000007")),
        ["there are 7 2-grams, but the header says 1,000,000,007; .*, in 1 line, line 21 first"],
    ),
    "no blank line before the end": (changed(("\n\n\\end", "\n\\end")), []),
    "an empty section that lacks": (
        changed(("2=7\n", "2=7\nngram 3=0\n")),
        [r"no section .3-grams:, of which there are 0"],
    ),
    "an empty section": (changed(("2=7\n", "2=7\nngram 3=0\n"), ("\\end", "\\3-grams:\n\n\\end")), []),
    "</s> <s> (SRILM on one line)": (
        changed(("2=7", "2=8"), ("fox red\n", "fox red\n-0.0044\t</s> <s>\n")),
        ["1 n-gram across the ends of sentences, such as '</s> <s>', left out"],
    ),
    "across sentences (CMU)": (
        changed(
            ("2=7", "2=8\nngram 3=2"),
            ("fox red\n", "fox red\n-0.0044\t</s> <s>\t-0.1\n"),
            ("\\end", "\\3-grams:\n-0.1\tfox </s> <s>\n-0.2\t</s> <s> red\n\n\\end"),
        ),
        ["3 n-grams across the ends of sentences, such as '</s> <s>', left out"],
    ),
    "weights on </s>": (
        changed(("fox </s>", "fox </s>\t-0.3"), ("2=7", "2=7\nngram 3=0"), ("\\end", "\\3-grams:\n\n\\end")),
        [],
    ),
    "<UNK> (CMU, Kaldi)": (changed(("<unk>", "<UNK>")), []),
    "<Unk>": (changed(("<unk>", "<Unk>")), []),
    "<S> and </S>": (changed(("<s>", "<S>"), ("</s>", "</S>")), []),
    "p of <s> as any word's (CMU)": (changed(("-99", "-0.6")), []),
    "p of <s> just above 1": (
        changed(("-99", "1.1920929e-07")),
        ["a log10 probability just above 0, .*, in 1 line"],
    ),
    "-inf for <s> (OpenGrm)": (changed(("-99", "-inf")), []),
    "capital exponents": (changed(("-1.0000000", "-1.0E+00")), []),
    "a byte-order mark and Windows line ends": ("\ufeff" + FOX.replace("\n", "\r\n"), []),
    "weights at the highest order": (
        changed(("red fox", "red fox\t-0.7")),
        ["a backoff, though no n-gram is longer"],
    ),
}
