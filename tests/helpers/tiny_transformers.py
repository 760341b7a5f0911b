"""Tiny causal models with the tokenizers that people meet, made here and drawn at random: nothing is downloaded."""

import functools
import json

import pytest
import torch

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")
Regex, Tokenizer, decoders, models = (
    tokenizers.Regex,
    tokenizers.Tokenizer,
    tokenizers.decoders,
    tokenizers.models,
)
normalizers, pre_tokenizers = tokenizers.normalizers, tokenizers.pre_tokenizers
processors, trainers = tokenizers.processors, tokenizers.trainers

TEXT = (
    "The ferry left at nine; the ferryman did not.\nWhen he came back, the river was gone...\n\n"
    '    "Where is it?" she asked.\n"I don\'t know," he said.  "It was here at 10:45."\n'
) * 4
END = "<|endoftext|>"
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _wrapped(tokenizer, **special):
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)


def byte_level(merges=150, pattern=None, normalizer=None, prefix=False, text=TEXT):
    """GPT-2's kind: BPE over bytes; with a pattern of its own, Qwen's."""
    tokenizer = Tokenizer(models.BPE())
    level = pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=pattern is None)
    split = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), "isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*split, level])
    tokenizer.decoder = decoders.ByteLevel()
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=257 + merges, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([text], trainer)
    return _wrapped(tokenizer, eos_token=END)


def sentence_piece(prepend, merges=150):
    """BPE over characters with bytes for those that it lacks: Llama's kind (``always``, ``first``) and Gemma's (``never``)."""
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    special = ["<unk>", "<s>", "</s>", *(f"<0x{b:02X}>" for b in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=len(special) + 60 + merges, special_tokens=special, show_progress=False
    )
    learner.train_from_iterator(TEXT.split("\n"), trainer)
    learnt = json.loads(learner.to_str())["model"]
    merged = [tuple(pair) for pair in learnt["merges"]]
    tokenizer = Tokenizer(
        models.BPE(learnt["vocab"], merged, byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if prepend == "first":
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        put = [normalizers.Prepend("▁")] if prepend == "always" else []
        tokenizer.normalizer = normalizers.Sequence([*put, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if prepend != "never" else []
    tokenizer.decoder = decoders.Sequence([*steps, *strip])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.add_special_tokens(special[:3])
    return _wrapped(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def unigram(byte_fallback=True):
    """Unigram pieces (Kudo 2018) with a blank before the text, as SentencePiece makes them."""
    learner = Tokenizer(models.Unigram())
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    learner.train_from_iterator([line + "\n" for line in TEXT.split("\n")], trainer)
    pieces = [tuple(piece) for piece in json.loads(learner.to_str())["model"]["vocab"]]
    in_bytes = [(f"<0x{b:02X}>", -20.0) for b in range(256)] if byte_fallback else []
    tokenizer = Tokenizer(models.Unigram([*pieces, *in_bytes], unk_id=0, byte_fallback=byte_fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    fallback = [decoders.ByteFallback(), decoders.Fuse()] if byte_fallback else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), *fallback, decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    return _wrapped(tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


FAMILIES = {
    "gpt2": byte_level,
    "qwen": functools.partial(byte_level, pattern=QWEN),
    "llama2": functools.partial(sentence_piece, "always"),
    "mistral": functools.partial(sentence_piece, "first"),
    "gemma": functools.partial(sentence_piece, "never"),
    "unigram": unigram,
    "bytes": functools.partial(byte_level, merges=0),
}


def gpt2(size, positions=16, **options):
    config = transformers.GPT2Config(
        vocab_size=size,
        n_positions=positions,
        n_embd=16,
        n_layer=2,
        n_head=2,
        bos_token_id=0,
        eos_token_id=0,
        **options,
    )
    config.initializer_range = 0.5  # far from uniform, so that a wrong context shows
    return transformers.GPT2LMHeadModel(config)


def llama(size, positions=16):
    config = transformers.LlamaConfig(
        vocab_size=size,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=positions,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.5,
    )
    return transformers.LlamaForCausalLM(config)


def save(folder, tokenizer, make=gpt2, extra=0, **options):
    """A model with so many outputs more than its tokenizer has tokens, and the tokenizer, in a folder."""
    torch.manual_seed(0)
    make(len(tokenizer) + extra, **options).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def slow_nats(folder, text, window, stride, bos, everywhere=False, **reading):
    """ln p of each token of one document by plain transformers, a network call a window, all logits at once."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).float().eval()
    ids = tokenizer(text, add_special_tokens=False, verbose=False, **reading)["input_ids"]
    inputs, nats, first = [bos, *ids[:-1]], [], 0
    while len(nats) < len(ids):
        last = min(first + window, len(ids))
        row = inputs[first:last]
        if everywhere and first:
            row = [bos, *row[1:]]
        with torch.no_grad():
            rows = torch.log_softmax(network(torch.tensor([row])).logits[0].double(), -1)
        nats += [float(rows[t - first, ids[t]]) for t in range(len(nats), last)]
        first += stride
    return nats
