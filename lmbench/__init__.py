"""lmbench compares language models on the same text and tells the truth about them."""
