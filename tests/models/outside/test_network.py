"""Networks of the transformers library: kinds of configurations, damaged and foreign ones, and logits in pieces."""

import json
import os
import pickle
import shutil

import numpy as np
import pytest
import torch
from tiny_transformers import byte_level, gpt2, save, transformers

from lmbench.errors import InputError
from lmbench.models.outside import network as module
from lmbench.models.outside.network import Network, load

SIZE = 407


def kinds():
    """Configurations that name their parts in their own ways, and networks that do more after their last layer."""
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    gemma = {**small, "vocab_size": SIZE, "intermediate_size": 32, "num_key_value_heads": 1, "head_dim": 8}
    gemma |= {"max_position_embeddings": 24, "sliding_window": 8, "initializer_range": 0.5}
    vision = {**small, "intermediate_size": 32, "image_size": 28, "patch_size": 14}
    t = transformers
    return {
        "mpt": lambda: t.MptForCausalLM(
            t.MptConfig(vocab_size=SIZE, d_model=16, n_heads=2, n_layers=2, max_seq_len=24)
        ),
        "bloom": lambda: t.BloomForCausalLM(
            t.BloomConfig(vocab_size=SIZE, hidden_size=16, n_layer=2, n_head=2)
        ),
        "opt": lambda: t.OPTForCausalLM(
            t.OPTConfig(
                vocab_size=SIZE, ffn_dim=32, max_position_embeddings=24, word_embed_proj_dim=16, **small
            )
        ),
        "mamba": lambda: t.MambaForCausalLM(
            t.MambaConfig(vocab_size=SIZE, hidden_size=16, num_hidden_layers=2)
        ),
        "gemma 2, with a cap": lambda: t.Gemma2ForCausalLM(
            t.Gemma2Config(final_logit_softcapping=3.0, **gemma)
        ),
        "cohere, with a scale": lambda: t.CohereForCausalLM(
            t.CohereConfig(
                vocab_size=SIZE, intermediate_size=32, max_position_embeddings=24, logit_scale=0.25, **small
            )
        ),
        "granite, with a divisor": lambda: t.GraniteForCausalLM(
            t.GraniteConfig(
                vocab_size=SIZE, intermediate_size=32, max_position_embeddings=24, logits_scaling=4.0, **small
            )
        ),
        "gemma 3, with pictures": lambda: t.Gemma3ForConditionalGeneration(
            t.Gemma3Config(
                text_config=gemma, vision_config=vision, mm_tokens_per_image=4, image_token_index=SIZE - 1
            )
        ),
        "a decoder among encoders": lambda: t.BertLMHeadModel(
            t.BertConfig(
                vocab_size=SIZE, intermediate_size=32, max_position_embeddings=24, is_decoder=True, **small
            )
        ),
    }


def positions_of(name):
    return None if name in ("bloom", "mamba") else 24


@pytest.mark.parametrize("name", kinds())
def test_log_probabilities_are_those_of_all_logits_at_once(name, tmp_path, monkeypatch):
    torch.manual_seed(0)
    kinds()[name]().save_pretrained(tmp_path)
    plain = transformers.AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    network = Network(str(tmp_path), "cpu", "auto")
    monkeypatch.setattr(module, "LOGITS", 3 * SIZE)  # three positions at once
    assert network.positions == positions_of(name)
    assert network.outputs == SIZE
    rng = np.random.default_rng(0)
    rows = [rng.integers(0, SIZE - 1, n) for n in (20, 13, 1)]
    firsts, targets = [4, 0, 0], [rng.integers(0, SIZE - 1, n) for n in (16, 13, 1)]
    found = network.of_targets(rows, firsts, targets)
    whole = network.distributions(
        rows, [np.arange(first, len(row)) for first, row in zip(firsts, rows, strict=True)]
    )
    for row, first, wanted, (nats, best), distributions in zip(
        rows, firsts, targets, found, whole, strict=True
    ):
        with torch.no_grad():
            logits = torch.log_softmax(plain(torch.from_numpy(row)[None]).logits[0].double(), -1).numpy()
        assert nats == pytest.approx(logits[np.arange(first, len(row)), wanted], abs=1e-5)
        assert distributions == pytest.approx(logits[first:], abs=1e-5)
        assert best.tolist() == (logits[first:].argmax(-1) == wanted).tolist()


def test_single_precision_loses_nothing_that_counts():
    logits = 8 * torch.randn(20, 50_000, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(20) * 7
    exact = torch.log_softmax(logits.double(), -1)[torch.arange(20), targets]
    nats, best = module._of(logits, targets)
    torch.testing.assert_close(nats, exact, rtol=1.2e-7, atol=0)  # one rounding of single precision
    assert nats.dtype == torch.float64
    assert best.tolist() == (logits.argmax(-1) == targets).tolist()


def test_logits_that_cannot_be_had_apart_are_computed_at_once(tmp_path, monkeypatch):
    gpt2(SIZE).save_pretrained(tmp_path)
    network = Network(str(tmp_path), "cpu", "auto")
    row, targets = np.arange(10), np.arange(10)
    ((expected, _),) = network.of_targets([row], [0], [targets])
    other = Network(str(tmp_path), "cpu", "auto")
    monkeypatch.setattr(other._network, "get_output_embeddings", lambda: None)
    ((found, _),) = other.of_targets([row], [0], [targets])
    assert found == pytest.approx(expected, abs=1e-6)


def test_the_type_of_the_arithmetic(tmp_path):
    gpt2(SIZE).bfloat16().save_pretrained(tmp_path)
    assert Network(str(tmp_path), "cpu", "auto").dtype == "float32"
    network = Network(str(tmp_path), "cpu", "bfloat16")
    assert network.dtype == "bfloat16"
    assert network.model_bytes == 2 * network.parameters
    ((rough, _),) = network.of_targets([np.arange(9)], [0], [np.arange(9)])
    ((exact, _),) = Network(str(tmp_path), "cpu", "float32").of_targets([np.arange(9)], [0], [np.arange(9)])
    assert rough.dtype == np.float64
    assert rough == pytest.approx(exact, rel=0.05)
    assert (rough != exact).any()


# What is refused -----------------------------------------------------------------------------------


def encoders():
    t = transformers
    small = {"vocab_size": SIZE, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    return {
        "roberta": lambda: t.RobertaForCausalLM(t.RobertaConfig(intermediate_size=32, **small)),
        "bert": lambda: t.BertForMaskedLM(t.BertConfig(intermediate_size=32, **small)),
        "distilbert": lambda: t.DistilBertForMaskedLM(
            t.DistilBertConfig(vocab_size=SIZE, dim=16, n_layers=1, n_heads=2)
        ),
        "t5": lambda: t.T5ForConditionalGeneration(
            t.T5Config(vocab_size=SIZE, d_model=16, d_ff=16, num_layers=1, num_heads=2)
        ),
    }


@pytest.mark.parametrize("name", encoders())
def test_encoders_are_refused_by_name(name, tmp_path):
    encoders()[name]().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=rf"\b{name}\b.*take a causal model"):
        Network(str(tmp_path), "cpu", "auto")


def test_one_that_looks_ahead_is_found_out_whatever_it_is_called(tmp_path, monkeypatch):
    gpt2(SIZE).save_pretrained(tmp_path)
    forward = transformers.GPT2LMHeadModel.forward

    def mirrored(self, input_ids, **options):
        return forward(self, input_ids=input_ids.flip(1), **options)

    monkeypatch.setattr(transformers.GPT2LMHeadModel, "forward", mirrored)
    with pytest.raises(InputError, match=r"\(gpt2\) sees the tokens after the one that it predicts"):
        Network(str(tmp_path), "cpu", "auto")


def damaged(name, folder):
    weights, config = folder / "model.safetensors", folder / "config.json"
    facts = json.loads(config.read_text())
    if name == "cut":
        weights.write_bytes(weights.read_bytes()[:5000])
    elif name == "no weights":
        weights.unlink()
    elif name == "gptq":
        facts["quantization_config"] = {
            "quant_method": "gptq",
            "bits": 4,
            "group_size": 128,
            "desc_act": False,
        }
    elif name == "code of its own":
        facts |= {
            "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "mine.Model"},
            "model_type": "mine",
        }
    elif name == "other sizes":
        facts["n_embd"] = 32
    elif name == "unknown kind":
        facts["model_type"] = "mine"
    elif name == "weights missing":
        from safetensors.numpy import load_file, save_file

        arrays = load_file(weights)
        arrays.pop("transformer.h.1.mlp.c_fc.weight")
        save_file(arrays, weights, {"format": "pt"})
    config.write_text(json.dumps(facts))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cut", "SafetensorError"),
        ("no weights", "cannot load"),
        ("gptq", "optimum|gptqmodel"),
        ("code of its own", r"brings code of its own.*-o trust_remote_code=true"),
        ("other sizes", "cannot load"),
        ("unknown kind", "cannot load"),
        ("weights missing", r"hold no transformer.h.1.mlp.c_fc.weight, which would be drawn at random"),
    ],
)
def test_damaged_and_foreign_ones_are_refused_in_one_line(name, said, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    save(tmp_path, byte_level())
    damaged(name, tmp_path)
    with pytest.raises(InputError, match=said) as told:
        Network(str(tmp_path), "cpu", "auto", trust_remote_code=False)
    assert "\n" not in str(told.value)


class Pickled:
    """What writes a file where it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch pwned",)


def test_weights_that_are_pickled_run_nothing(tmp_path, monkeypatch):
    """Nothing but numbers is unpickled of ``pytorch_model.bin``, whether torch packed it or not."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    save(tmp_path, byte_level())
    (tmp_path / "model.safetensors").unlink()
    for write in (torch.save, lambda value, place: place.write_bytes(pickle.dumps(value, 2))):
        write({"transformer.wte.weight": Pickled()}, tmp_path / "pytorch_model.bin")
        with pytest.raises(InputError, match="cannot load"):
            Network(str(tmp_path), "cpu", "auto", trust_remote_code=False)
    assert not (tmp_path / "pwned").exists()


def test_code_of_its_own_runs_where_that_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "cache"))
    gpt2(340).save_pretrained(tmp_path / "mine")
    (tmp_path / "mine" / "mine.py").write_text(
        "from transformers import GPT2Config, GPT2LMHeadModel\n"
        "class Config(GPT2Config):\n    model_type = 'mine'\n"
        "class Model(GPT2LMHeadModel):\n    config_class = Config\n"
    )
    damaged("code of its own", tmp_path / "mine")
    assert Network(str(tmp_path / "mine"), "cpu", "auto", trust_remote_code=True).outputs == 340


def test_a_window_that_the_network_cannot_take_is_said_to_be_too_long(tmp_path):
    gpt2(SIZE, positions=16).save_pretrained(tmp_path)
    network = Network(str(tmp_path), "cpu", "auto")
    with pytest.raises(InputError, match=r"fails on 40 tokens at once .* -o window=N"):
        network.of_targets([np.arange(40)], [0], [np.arange(40)])


def test_a_damaged_tokenizer_is_refused_in_one_line(tmp_path):
    save(tmp_path, byte_level())
    file = tmp_path / "tokenizer.json"
    file.write_text(file.read_text()[:2000])
    with pytest.raises(InputError, match="cannot load"):
        load("AutoTokenizer", str(tmp_path))
    shutil.rmtree(tmp_path)
