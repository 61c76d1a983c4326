"""Decoding speed of transformers at batch 1: one JSON object on stdout.

    python bench/peers/decode.py MODEL --prompt 32 --tokens 128 --threads 2

MODEL is a checkpoint folder, or a config.json (random weights then). Tries generate with a dynamic cache and with a static
one, eager and with SDPA, and a compiled static-cache forward; reports the fastest. Greedy, exactly --tokens new ones.
"""

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM


def load(path, attention):
    if Path(path).is_dir():
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation=attention).eval()
    config = AutoConfig.from_pretrained(path)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention).eval()


def timed(model, ids, tokens, repeats, **options):
    """Tokens per second of the decoding alone: the time for all tokens less that for one."""

    def run(count):
        started = time.perf_counter()
        out = model.generate(ids, max_new_tokens=count, min_new_tokens=count, do_sample=False, pad_token_id=0, **options)
        assert out.shape[1] == ids.shape[1] + count
        return time.perf_counter() - started

    run(4)
    return max((tokens - 1) / (run(tokens) - run(1)) for _ in range(repeats))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--skip-compile", action="store_true")
    args = parser.parse_args()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    results = []

    def attempt(name, attention, compiled=False, **options):
        try:
            model = load(args.model, attention)
            generator = torch.Generator().manual_seed(1)
            ids = torch.randint(0, model.config.vocab_size, (1, args.prompt), generator=generator)
            if compiled:
                model.forward = torch.compile(model.forward)
            with torch.inference_mode():
                speed = timed(model, ids, args.tokens, args.repeats, **options)
            results.append({"variant": name, "tokensPerSecond": round(speed, 1)})
        except Exception as error:
            results.append({"variant": name, "error": f"{type(error).__name__}: {error}"[:200]})
        print(name, results[-1], file=sys.stderr)

    attempt("eager attention, dynamic cache", "eager")
    attempt("SDPA, dynamic cache", "sdpa")
    attempt("SDPA, static cache", "sdpa", cache_implementation="static", disable_compile=True)
    if not args.skip_compile:
        attempt("SDPA, static cache, compiled", "sdpa", compiled=True, cache_implementation="static", disable_compile=True)
    best = max((r for r in results if "error" not in r), key=lambda r: r["tokensPerSecond"])
    print(json.dumps({
        "peer": "transformers decode", **best, "variants": results,
        "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "prompt": args.prompt, "tokens": args.tokens, "threads": args.threads,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }))


if __name__ == "__main__":
    main()
