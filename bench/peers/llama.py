"""Decoding and prefill speed of llama.cpp on a GGUF file, as one JSON object: llama.py GGUF --prompt 512 --tokens 64 --threads 2 --repeats 2

Needs llama-cpp-python. Decoding is batch 1 after `--prompt` tokens of which only 32 are kept, so that attention weighs as little as on the other side.
"""

import argparse
import ctypes
import json
import time

import llama_cpp


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2)
    args = parser.parse_args()
    llama_cpp.llama_log_set(llama_cpp.llama_log_callback(lambda *_: None), ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    settings = llama_cpp.llama_model_default_params()
    model = llama_cpp.llama_model_load_from_file(args.gguf.encode(), settings)
    context_settings = llama_cpp.llama_context_default_params()
    context_settings.n_ctx = args.prompt + args.tokens + 64
    context_settings.n_batch = context_settings.n_ubatch = max(512, args.prompt)
    context_settings.n_threads = context_settings.n_threads_batch = args.threads
    context = llama_cpp.llama_init_from_model(model, context_settings)
    vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))

    def read(ids):
        array = (llama_cpp.llama_token * len(ids))(*ids)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(array, len(ids))) != 0:
            raise SystemExit("llama_decode failed")
        llama_cpp.llama_get_logits(context)[0]

    def fresh():
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)

    prefill, decode = [], []
    for repeat in range(args.repeats + 1):
        fresh()
        ids = [(i * 37 + repeat) % vocabulary for i in range(args.prompt)]
        start = time.perf_counter()
        read(ids)
        prefill.append(args.prompt / (time.perf_counter() - start))
        fresh()
        read(ids[:32])
        start = time.perf_counter()
        for i in range(args.tokens):
            read([(i * 101 + 7) % vocabulary])
        decode.append(args.tokens / (time.perf_counter() - start))
    # the first round warms up
    print(json.dumps({"decodePerSecond": max(decode[1:]), "prefillPerSecond": max(prefill[1:]), "version": llama_cpp.__version__}))


main()
