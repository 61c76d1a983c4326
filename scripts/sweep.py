"""Checkpoints of the architectures that transformers has in several hundred variations, with the logits that transformers computes from each folder.

    python scripts/sweep.py /tmp/sweep && npx tsx scripts/sweep.ts /tmp/sweep
    python scripts/sweep.py /tmp/sweep 300 1 [v32 qwen3_moe]      (300 random ones more, from seed 1; of these architectures alone)

Needs torch and transformers. A folder NAME holds config.json, model.safetensors and reference.safetensors (input_ids [T], logits [T, V]), or, where
transformers does not load or run it or makes weights up, no logits and the reason in about.json. scripts/sweep.ts compares them with Sumbi's.
"""

import json
import random
import shutil
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "fixtures"))

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from common import IndexGaps, randomize
from parity import DENSE, LLAMA3, QWEN3_MOE, V2, V3, V32, yarn
from transformers import (
    DeepseekV2Config, DeepseekV2ForCausalLM, DeepseekV3Config, DeepseekV3ForCausalLM, LlamaConfig, LlamaForCausalLM, Qwen2Config,
    DeepseekV32Config, DeepseekV32ForCausalLM, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM,
)

EAGER = {"attn_implementation": "eager", "experts_implementation": "eager"}
TOKENS = 11
BASES = {
    "v3": (DeepseekV3Config, DeepseekV3ForCausalLM, {**V3, "qk_rope_head_dim": 8}),
    "v2": (DeepseekV2Config, DeepseekV2ForCausalLM, {**V2, "qk_rope_head_dim": 8}),
    # heads enough that hardly any key scores 0 with all of them: among equal scores transformers chooses anyhow
    "v32": (DeepseekV32Config, DeepseekV32ForCausalLM, {**V32, "qk_rope_head_dim": 8, "index_head_dim": 10, "index_n_heads": 16}),
    "llama": (LlamaConfig, LlamaForCausalLM, DENSE),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, DENSE),
    "qwen3": (Qwen3Config, Qwen3ForCausalLM, {**DENSE, "head_dim": 10}),
    "qwen3_moe": (Qwen3MoeConfig, Qwen3MoeForCausalLM, {**QWEN3_MOE, "head_dim": 10}),
}
DEEPSEEK, DENSES, QWEN = ["v3", "v32", "v2"], ["llama", "qwen2", "qwen3", "qwen3_moe"], ["qwen2", "qwen3", "qwen3_moe"]
THETA = {"rope_theta": 10000.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, **THETA}

# What a model is built with: name -> fields, for the architectures named.
BUILT = [
    (list(BASES), {
        "plain": {}, "tied": {"tie_word_embeddings": True}, "one-layer": {"num_hidden_layers": 1}, "three-layers": {"num_hidden_layers": 3},
        "eps": {"rms_norm_eps": 1e-3}, "odd-vocab": {"vocab_size": 61}, "short": {"max_position_embeddings": 12}, "theta": {"rope_parameters": {"rope_type": "default", "rope_theta": 77.0}},
        "linear": {"rope_parameters": {"rope_type": "linear", "factor": 3.0, **THETA}}, "llama3": {"rope_parameters": LLAMA3},
        "llama3-narrow": {"rope_parameters": {**LLAMA3, "low_freq_factor": 2.0, "high_freq_factor": 2.5, "rope_theta": 10000.0}},
        "yarn": {"rope_parameters": YARN}, "yarn-40": {"rope_parameters": {**YARN, "factor": 40.0}}, "yarn-1": {"rope_parameters": {**YARN, "factor": 1.0}},
        "yarn-betas": {"rope_parameters": {**YARN, "beta_fast": 4, "beta_slow": 0.25}}, "yarn-untruncated": {"rope_parameters": {**YARN, "truncate": False, "rope_theta": 50.0}},
        "yarn-factor": {"rope_parameters": {**YARN, "attention_factor": 1.4}}, "yarn-mscale": {"rope_parameters": {**YARN, "mscale": 0.6}},
        "yarn-all-dim": {"rope_parameters": {**YARN, "mscale_all_dim": 0.6}}, "yarn-mscales": {"rope_parameters": yarn(mscale=0.707, mscale_all_dim=1.0)},
        "yarn-zero-mscale": {"rope_parameters": {**YARN, "mscale": 0.0, "mscale_all_dim": 0.0}}, "yarn-small-theta": {"rope_parameters": {**YARN, "rope_theta": 1.5}},
        "dynamic": {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, **THETA}},
        "dynamic-past": {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, **THETA}, "max_position_embeddings": 6},
        "proportional": {"rope_parameters": {"rope_type": "proportional", **THETA}},
    }),
    (DEEPSEEK, {
        "q-rank": {"q_lora_rank": 12}, "no-q-rank": {"q_lora_rank": None}, "bias": {"attention_bias": True}, "bias-no-rank": {"attention_bias": True, "q_lora_rank": None},
        "all-dense": {"first_k_dense_replace": 9}, "all-experts": {"first_k_dense_replace": 0}, "no-shared": {"n_shared_experts": 0}, "shared-3": {"n_shared_experts": 3},
        "scaled": {"routed_scaling_factor": 3.7}, "one-head": {"num_attention_heads": 1, "num_key_value_heads": 1}, "one-expert": {"num_experts_per_tok": 1},
        "fewer-keys": {"num_key_value_heads": 1}, "odd": {"kv_lora_rank": 7, "qk_nope_head_dim": 5, "v_head_dim": 11, "moe_intermediate_size": 9},
        "nope-0": {"qk_nope_head_dim": 1}, "linear-all-dim": {"rope_parameters": {"rope_type": "linear", "factor": 3.0, "mscale_all_dim": 0.8, **THETA}},
    }),
    (["v3"], {
        "no-norm": {"norm_topk_prob": False}, "halves": {"rope_interleave": False}, "one-group": {"n_group": 1, "topk_group": 1}, "two-groups": {"n_group": 2, "topk_group": 1},
        "all-groups": {"n_group": 4, "topk_group": 4}, "null-norm": {"norm_topk_prob": None}, "null-interleave": {"rope_interleave": None},
    }),
    (["v32"], {
        "no-norm": {"norm_topk_prob": False}, "one-group": {"n_group": 1, "topk_group": 1}, "all-groups": {"n_group": 4, "topk_group": 4}, "top-1": {"index_topk": 1},
        "top-all": {"index_topk": 11}, "top-10": {"index_topk": 10}, "odd-index-heads": {"index_n_heads": 19}, "narrow": {"index_head_dim": 8}, "too-narrow": {"index_head_dim": 6},
        "alternating": {"mlp_layer_types": ["sparse", "dense"]}, "all-dense-types": {"mlp_layer_types": ["dense", "dense"]}, "mlp-bias": {"mlp_bias": True},
        "other-types": {"layer_types": ["full_attention", "full_attention"]},
    }),
    (["qwen3_moe"], {
        "no-norm": {"norm_topk_prob": False}, "one-expert": {"num_experts_per_tok": 1}, "no-experts": {"num_experts": 0}, "second": {"decoder_sparse_step": 2}, "never": {"decoder_sparse_step": 5},
        "mlp-only": {"mlp_only_layers": [0]}, "mlp-only-all": {"mlp_only_layers": [0, 1, 7]}, "all-experts": {"num_experts_per_tok": 8},
    }),
    (["v2"], {
        "groups": {"topk_method": "group_limited_greedy", "n_group": 3, "topk_group": 2}, "one-of-groups": {"topk_method": "group_limited_greedy", "n_group": 2, "topk_group": 1},
        "idle-groups": {"n_group": 3, "topk_group": 1}, "norm": {"norm_topk_prob": True}, "mlp-bias": {"mlp_bias": True},
    }),
    (DENSES, {
        "all-heads": {"num_key_value_heads": 4}, "one-key": {"num_key_value_heads": 1}, "null-keys": {"num_key_value_heads": None}, "head-dim": {"head_dim": 12},
        "odd-ffn": {"intermediate_size": 29},
    }),
    (["llama", "qwen3", "qwen3_moe"], {"bias": {"attention_bias": True}}),
    (["llama"], {"mlp-bias": {"mlp_bias": True}, "both-biases": {"mlp_bias": True, "attention_bias": True, "tie_word_embeddings": True}}),
    (QWEN, {
        "windows": {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 1}, "idle-windows": {"use_sliding_window": True, "sliding_window": 3, "max_window_layers": 2},
        "window-types": {"use_sliding_window": True, "sliding_window": 3, "layer_types": ["sliding_attention", "full_attention"]},
    }),
]

# What is changed in a written folder: name -> change of config.json and of the tensors, for the architectures named.
def set_(**fields):
    return lambda config, tensors: config.update(fields)


def both(**rope):
    """Old fields instead of rope_parameters."""
    def change(config, tensors):
        del config["rope_parameters"]
        config.update(rope)
    return change


def extra(key, like):
    def change(config, tensors):
        tensors[key] = torch.randn(like, generator=torch.Generator().manual_seed(1))
    return change


def poison(value):
    def change(config, tensors):
        tensors["model.norm.weight"][3] = value
    return change


def drop(key):
    return lambda config, tensors: tensors.pop(key)


def tie(how):
    def change(config, tensors):
        config["tie_word_embeddings"] = True
        if how == "same":
            tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
        elif how == "only-head":
            del tensors["model.embed_tokens.weight"]
        elif how == "only-embedding":
            del tensors["lm_head.weight"]
    return change


def cast(dtype):
    def change(config, tensors):
        for key, value in tensors.items():
            tensors[key] = value if key.endswith("e_score_correction_bias") else value.to(dtype)
    return change


CHANGED = [
    (list(BASES), {
        "scaling-beside": set_(rope_scaling={k: v for k, v in YARN.items() if k != "rope_theta"}), "scaling-empty": set_(rope_scaling={}), "scaling-null": set_(rope_scaling=None),
        "scaling-false": set_(rope_scaling=False), "scaling-theta": set_(rope_scaling={**YARN, "rope_theta": 90.0}), "scaling-and-theta": set_(rope_scaling={"type": "linear", "factor": 2.0}, rope_theta=90.0),
        "scaling-loses-theta": set_(rope_parameters={"rope_type": "default", "rope_theta": 90.0}, rope_scaling={"type": "linear", "factor": 2.0}),
        "old-theta": both(rope_theta=90.0), "old-linear": both(rope_theta=90.0, rope_scaling={"type": "linear", "factor": 2.0}), "no-rope": both(),
        "old-yarn": both(rope_theta=90.0, rope_scaling={"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16}),
        "both-types": both(rope_scaling={"type": "yarn", "rope_type": "linear", "factor": 4.0}), "yarn-no-original": set_(rope_parameters={"rope_type": "yarn", "factor": 4.0, **THETA}),
        "original-beside": set_(rope_parameters={"rope_type": "yarn", "factor": 4.0, **THETA}, original_max_position_embeddings=16),
        "original-beats": set_(rope_parameters={**YARN, "original_max_position_embeddings": 64}, original_max_position_embeddings=16),
        "original-of-linear": set_(rope_parameters={"rope_type": "linear", "factor": 4.0, **THETA}, original_max_position_embeddings=16),
        "original-of-llama3": set_(rope_parameters=LLAMA3, original_max_position_embeddings=16),
        "llama3-no-original": set_(rope_parameters={k: v for k, v in LLAMA3.items() if k != "original_max_position_embeddings"}),
        "nested": set_(rope_parameters={"full_attention": YARN}), "nested-scaling": set_(rope_scaling={"full_attention": YARN}),
        "nested-two": set_(rope_parameters={"full_attention": YARN, "sliding_attention": {"rope_type": "default", **THETA}}),
        "partial": set_(partial_rotary_factor=0.5), "partial-inside": set_(rope_parameters={"rope_type": "default", **THETA, "partial_rotary_factor": 0.5}),
        "partial-yarn": set_(rope_parameters={**YARN, "partial_rotary_factor": 0.5}), "partial-1": set_(rope_parameters={**YARN, "partial_rotary_factor": 1.0}),
        "factor-null": set_(rope_parameters={**YARN, "factor": None}), "truncate-null": set_(rope_parameters={**YARN, "truncate": None}), "factor-half": set_(rope_parameters={**YARN, "factor": 0.5}),
        "longrope": set_(rope_parameters={"rope_type": "longrope", "short_factor": [1.0] * 4, "long_factor": [2.0] * 4, "original_max_position_embeddings": 16, **THETA}),
        "unknown-rope": set_(rope_parameters={"rope_type": "su", "factor": 2.0, **THETA}), "rope-theta-0": set_(rope_parameters={"rope_type": "default", "rope_theta": 0.0}),
        "sliding-layers": set_(layer_types=["sliding_attention", "full_attention"], sliding_window=3), "chunked-layers": set_(layer_types=["full_attention", "chunked_attention"], attention_chunk_size=3),
        "full-layers": set_(layer_types=["full_attention", "full_attention"]), "legacy-layers": set_(layer_types=["attention", "attention"]), "too-few-types": set_(layer_types=["full_attention"]),
        "window": set_(sliding_window=3), "not-causal": set_(is_causal=False), "per-layer": set_(per_layer_config={"1": {"rms_norm_eps": 1.0}}),
        "gelu": set_(hidden_act="gelu"), "more-layers": set_(num_hidden_layers=3), "fewer-layers": set_(num_hidden_layers=1), "other-vocab": set_(vocab_size=54), "other-width": set_(hidden_size=32),
        "other-ffn": set_(intermediate_size=12), "unknown-field": set_(frobnicate=True), "dropout": set_(attention_dropout=0.5), "tokens": set_(bos_token_id=3, eos_token_id=[4, 5], pad_token_id=-1),
        "tied-other-head": tie("other"), "tied-same-head": tie("same"), "tied-only-head": tie("only-head"), "tied-only-embedding": tie("only-embedding"),
        "inv-freq": extra("model.layers.0.self_attn.rotary_emb.inv_freq", [4]), "stray-bias": extra("model.layers.0.self_attn.o_proj.bias", [24]),
        "stray-norm": extra("model.layers.1.self_attn.q_norm.weight", [10]), "stray-head": extra("v_head.weight", [1, 24]), "stray-gate": extra("model.layers.1.mlp.gate.bias", [8]),
        "nan": poison(float("nan")), "inf": poison(float("inf")), "no-norm-tensor": drop("model.norm.weight"), "no-head": drop("lm_head.weight"), "no-o": drop("model.layers.0.self_attn.o_proj.weight"),
        "bf16": cast(torch.bfloat16), "f16": cast(torch.float16), "f64": cast(torch.float64), "fp8-cast": cast(torch.float8_e4m3fn), "awq": set_(quantization_config={"quant_method": "awq", "bits": 4}),
    }),
    (DEEPSEEK, {
        "indexer": set_(index_topk=4, index_n_heads=2, index_head_dim=4), "no-keys": set_(num_key_value_heads=None), "fewer-per-token": set_(num_experts_per_tok=1), "other-groups": set_(n_group=2, topk_group=1),
        "mtp": set_(num_nextn_predict_layers=1), "alias-experts": lambda config, tensors: config.update(num_local_experts=config["n_routed_experts"]),
    }),
    (DENSES, {"one-key-file": set_(num_key_value_heads=1), "biased": set_(attention_bias=True), "mlp-biased": set_(mlp_bias=True)}),
]
# Fields of config.json that are taken away, and made null, one by one.
KEPT = {"model_type", "architectures", "transformers_version", "dtype"}


# What random models are drawn from.
SIZES = {
    "vocab_size": [29, 53, 64], "hidden_size": [12, 20, 24, 33], "intermediate_size": [16, 31], "num_hidden_layers": [1, 2, 3], "rms_norm_eps": [1e-6, 1e-5, 1e-2],
    "tie_word_embeddings": [False, True], "max_position_embeddings": [16, 64, 4096], "attention_bias": [False, True], "mlp_bias": [False, True],
}
ROPES = {
    "rope_type": ["default", "linear", "llama3", "yarn", "yarn"], "rope_theta": [2.0, 100.0, 10000.0, 1e6, 5e7], "factor": [1.0, 1.5, 8.0, 40.0], "low_freq_factor": [0.5, 1.0],
    "high_freq_factor": [1.5, 4.0], "original_max_position_embeddings": [4, 16, 4096], "attention_factor": [None, 0.8], "beta_fast": [None, 8, 64], "beta_slow": [None, 0.1, 2],
    "mscale": [None, 0.0, 0.5, 1.0], "mscale_all_dim": [None, 0.0, 0.5, 1.0], "truncate": [True, False],
}
OF_TYPE = {
    "default": [], "linear": ["factor", "mscale_all_dim"], "llama3": ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
    "yarn": ["factor", "original_max_position_embeddings", "attention_factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim", "truncate"],
}
MIXTURE = {
    "num_attention_heads": [1, 2, 3], "q_lora_rank": [None, 6, 15], "kv_lora_rank": [6, 12], "qk_nope_head_dim": [2, 6, 8], "qk_rope_head_dim": [2, 4, 8], "v_head_dim": [2, 6, 10],
    "moe_intermediate_size": [4, 9], "n_shared_experts": [0, 1, 2], "first_k_dense_replace": [0, 1, 2], "routed_scaling_factor": [0.5, 1.0, 2.5], "num_experts_per_tok": [1, 2, 4],
    "norm_topk_prob": [False, True], "rope_interleave": [False, True], "topk_method": ["greedy", "group_limited_greedy"],
}


def random_fields(base, pick):
    """Fields of one random model of an architecture."""
    draw = lambda choices: {key: pick(values) for key, values in choices.items()}
    fields, rope = draw(SIZES), draw(ROPES)
    kept = OF_TYPE[rope["rope_type"]]
    fields["rope_parameters"] = {k: v for k, v in rope.items() if k in ("rope_type", "rope_theta") or (k in kept and v is not None)}
    if base in DEEPSEEK:
        fields |= draw(MIXTURE)
        fields["num_key_value_heads"] = fields["num_attention_heads"]
        if base == "v32":
            fields |= draw({"index_topk": [1, 3, 8, 20], "index_n_heads": [15, 20], "index_head_dim": [8, 11]}) | {"q_lora_rank": pick([6, 15])}
        groups, each = pick([1, 2, 3]), pick([2, 4])
        fields |= {"n_routed_experts": groups * each, "n_group": groups, "topk_group": pick(range(1, groups + 1))}
        fields["hidden_size"] = fields["num_attention_heads"] * pick([5, 8, 12])
        if base == "v2":
            fields |= {"mlp_bias": False, "norm_topk_prob": False}
    else:
        keys, per = pick([1, 2, 3]), pick([1, 2, 3])
        fields |= {"num_attention_heads": keys * per, "num_key_value_heads": keys, "hidden_size": keys * per * pick([2, 4, 6])}
        if base != "qwen2":
            fields["head_dim"] = pick([2, 4, 10])
        if base == "qwen3_moe":
            fields |= draw({"num_experts": [1, 4, 7], "num_experts_per_tok": [1, 2], "moe_intermediate_size": [4, 9], "norm_topk_prob": [False, True], "decoder_sparse_step": [1, 2], "mlp_only_layers": [[], [1]]})
    known = set(BASES[base][0]().to_dict()) | {"rope_parameters"}
    return {key: value for key, value in fields.items() if key in known}


def write(folder, config, tensors):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})


def reference(folder, vocab):
    ids = torch.randint(0, vocab, (TOKENS,), generator=torch.Generator().manual_seed(5))
    about, tensors = {}, {"input_ids": ids}
    try:
        model, info = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True, **EAGER)
        gaps = [1.0]
        with torch.no_grad(), IndexGaps(lambda scores, k: gaps.extend(-scores.sort(descending=True).values.diff()[k - 1 : k])):
            logits = model.eval()(input_ids=ids[None], use_cache=False).logits[0]
        missing, unread = sorted(info["missing_keys"]), sorted(info["unexpected_keys"])
        if missing or info["mismatched_keys"]:
            about["reason"] = f"made up: {missing or sorted(map(str, info['mismatched_keys']))}"[:200]
        elif min(gaps) < 1e-6:
            about["reason"] = "keys of equal index scores, of which it may choose any"
        elif not bool(logits.isfinite().all()):
            about["reason"] = "not finite"
        else:
            tensors["logits"] = logits.contiguous()
        about["unread"] = unread
    except Exception as error:  # whatever transformers raises is its answer
        about["reason"] = f"{type(error).__name__}: {error}"[:200]
    save_file(tensors, folder / "reference.safetensors")
    (folder / "about.json").write_text(json.dumps(about) + "\n")


def built(base, fields):
    config_class, model_class, plain = BASES[base]
    config = config_class(**{**plain, **fields}, architectures=[model_class.__name__])
    config._attn_implementation = config._experts_implementation = "eager"
    model = model_class(config).eval()
    randomize(model, torch.Generator().manual_seed(7))
    return config, model


def main(out, count=0, seed=1, only=None):
    if only is not None:
        for base in set(BASES) - set(only):
            del BASES[base]
    shutil.rmtree(out, ignore_errors=True)
    impossible = 0
    generator = random.Random(seed)
    drawn = [([base], {f"random-{i}": random_fields(base, generator.choice)}) for i in range(count) for base in [list(BASES)[i % len(BASES)]]]
    for bases, variations in [*BUILT, *drawn]:
        for base in set(bases) & set(BASES):
            for name, fields in variations.items():
                folder = out / f"{base}.{name}"
                try:
                    config, model = built(base, fields)
                except Exception as error:  # transformers will not even make it
                    print(f"{folder.name}: not made: {str(error)[:100]}")
                    impossible += 1
                    continue
                model.save_pretrained(folder)
                reference(folder, config.vocab_size)
    for base in BASES:
        plain = out / f"{base}.plain"
        config = json.loads((plain / "config.json").read_text())
        single = {f"without-{key}": (lambda key: lambda c, t: c.pop(key))(key) for key in config if key not in KEPT}
        single |= {f"null-{key}": set_(**{key: None}) for key in config if key not in KEPT}
        for bases, variations in [*CHANGED, ([base], single)]:
            if base not in bases:
                continue
            for name, change in variations.items():
                changed, tensors = json.loads(json.dumps(config)), load_file(plain / "model.safetensors")
                change(changed, tensors)
                write(out / f"{base}.{name}", changed, tensors)
                reference(out / f"{base}.{name}", config["vocab_size"])
    folders = [folder for folder in out.iterdir()]
    print(f"{len(folders)} checkpoints in {out}, {impossible} that transformers would not make")


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity(transformers.logging.CRITICAL)
    transformers.logging.disable_progress_bar()
    main(Path(sys.argv[1]), *map(int, sys.argv[2:4]), sys.argv[4:] or None)
