"""A tiny Llama of the transformers library written as a GGUF file, so that llama.cpp computes the same network."""

import json

import gguf
import numpy as np
from tiny_transformers import transformers


def write_gguf(folder, file):
    """The model and the tokenizer (Llama 2's kind or GPT-2's) of a folder that ``save_pretrained`` wrote, in one file."""
    network = transformers.AutoModelForCausalLM.from_pretrained(folder).float()
    config = network.config
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    _add_tokenizer(writer, tokenizer)
    state = {name: tensor.detach().numpy() for name, tensor in network.state_dict().items()}
    for name, array in state.items():
        for kind, new in TENSORS.items():
            if name.endswith(kind):
                layer = name.split(".")[2] if ".layers." in name else ""
                heads = config.num_attention_heads
                data = _turned(array, heads) if kind in ("q_proj.weight", "k_proj.weight") else array
                writer.add_tensor(new.format(layer), np.ascontiguousarray(data))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


TENSORS = {
    "embed_tokens.weight": "token_embd.weight",
    "lm_head.weight": "output.weight",
    "model.norm.weight": "output_norm.weight",
    "input_layernorm.weight": "blk.{}.attn_norm.weight",
    "post_attention_layernorm.weight": "blk.{}.ffn_norm.weight",
    "q_proj.weight": "blk.{}.attn_q.weight",
    "k_proj.weight": "blk.{}.attn_k.weight",
    "v_proj.weight": "blk.{}.attn_v.weight",
    "o_proj.weight": "blk.{}.attn_output.weight",
    "gate_proj.weight": "blk.{}.ffn_gate.weight",
    "up_proj.weight": "blk.{}.ffn_up.weight",
    "down_proj.weight": "blk.{}.ffn_down.weight",
}


def _turned(array, heads):
    """Rotary pairs side by side, as llama.cpp has them, in place of halves of a head."""
    return array.reshape(heads, 2, -1, array.shape[-1]).swapaxes(1, 2).reshape(array.shape)


def _add_tokenizer(writer, tokenizer):
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    names = tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))
    special = set(tokenizer.all_special_ids)
    kinds = [gguf.TokenType.CONTROL if i in special else gguf.TokenType.NORMAL for i in range(len(names))]
    merges = [" ".join(pair) if isinstance(pair, list) else pair for pair in model["merges"]]
    if tokenizer.bos_token is None:  # GPT-2's kind
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_merges(merges)
        writer.add_bos_token_id(tokenizer.eos_token_id)
        writer.add_add_bos_token(False)
    else:
        writer.add_tokenizer_model("llama")
        # A piece's score is the place of its merge, as SentencePiece has it.
        places = {left_right.replace(" ", ""): -1.0 - i for i, left_right in enumerate(merges)}
        writer.add_token_scores([places.get(name, -1e4) for name in names])
        kinds = [
            gguf.TokenType.BYTE
            if name.startswith("<0x")
            else gguf.TokenType.UNKNOWN
            if name == "<unk>"
            else kind
            for name, kind in zip(names, kinds, strict=True)
        ]
        writer.add_bos_token_id(tokenizer.bos_token_id)
        writer.add_add_bos_token(True)
        writer.add_unk_token_id(tokenizer.unk_token_id)
        writer.add_add_space_prefix(True)
    writer.add_token_list(names)
    writer.add_token_types(kinds)
    writer.add_eos_token_id(tokenizer.eos_token_id)
