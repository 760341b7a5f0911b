"""Models that other programs have trained, with the tokens that they were trained on.

In: a text, cut by the model's own tokenizer. Out: what the model says of it, charged to the text's own characters.
"""
