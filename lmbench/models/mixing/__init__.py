"""Models made of other models, or of many contexts.

In: what several models say of the next token. Out: one distribution, with weights learnt on held-out text.
"""
