"""Rollouts by transformers: one JSON object on stdout, tokens per second of a whole generate, prompts read included.

    python bench/peers/rollouts.py MODEL --sequences 128 --prompt 32 --tokens 128 --threads 2

Sampled at temperature 1 with nothing cut, exactly --tokens new ones each. Tries SDPA and eager attention; reports the fastest.
"""

import argparse
import json
import time

import torch
import transformers
from transformers import AutoModelForCausalLM


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--sequences", type=int, default=128)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    results = []
    for attention in ("sdpa", "eager"):
        model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation=attention)
        model.eval()
        ids = torch.randint(0, model.config.vocab_size, (args.sequences, args.prompt), generator=torch.Generator().manual_seed(1))

        def run(count):
            started = time.perf_counter()
            out = model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=count, min_new_tokens=count, do_sample=True,
                temperature=1.0, top_k=0, top_p=1.0, pad_token_id=0,
            )
            assert out.shape == (args.sequences, args.prompt + count)
            return time.perf_counter() - started

        with torch.inference_mode():
            run(2)
            seconds = min(run(args.tokens) for _ in range(args.repeats))
        results.append({"variant": attention, "tokensPerSecond": round(args.sequences * args.tokens / seconds, 1)})
    best = max(results, key=lambda r: r["tokensPerSecond"])
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    print(json.dumps({**best, "variants": results, "versions": versions}))


if __name__ == "__main__":
    main()
