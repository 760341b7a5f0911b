"""Networks of characters, words or bytes; the only folder that imports torch (``outside`` apart).

In: token ids, in minibatches. Out: fitted networks that score a text in one pass, and go on training after a break.
"""
