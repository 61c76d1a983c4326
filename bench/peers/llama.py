"""Speed of llama.cpp on a GGUF file, as one JSON object: llama.py GGUF --prompt 512 --tokens 128 --sequences 4 --threads 1,2 --repeats 1

Needs llama-cpp-python, built from source on the machine, so that it has this processor's instructions; weights are repacked by default. Tokens per second of prefill
(`--prompt` tokens at once), of decoding one sequence and several at once (after 32 tokens each), for every number of threads. Nothing is drawn: ids are given.
"""

import argparse
import ctypes
import json
import time

import llama_cpp as ll

BEFORE = 32


def check(code):
    if code != 0:
        raise SystemExit(f"llama_decode gave {code}")


class Context:
    """One context with room for so many sequences of so many tokens."""

    def __init__(self, model, sequences, tokens, batch):
        settings = ll.llama_context_default_params()
        settings.n_ctx = sequences * tokens
        settings.n_seq_max = sequences
        settings.n_batch = settings.n_ubatch = batch
        self.context = ll.llama_init_from_model(model, settings)
        if not self.context:
            raise SystemExit("llama.cpp made no context")
        self.batch = ll.llama_batch_init(batch, 0, sequences)

    def threads(self, count):
        ll.llama_set_n_threads(self.context, count, count)

    def clear(self):
        ll.llama_memory_clear(ll.llama_get_memory(self.context), True)

    def run(self, rows):
        """Rows of (id, position, sequence, whether its logits are wanted)."""
        batch = self.batch
        batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.logits[i] = token, position, wanted
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = sequence
        check(ll.llama_decode(self.context, batch))
        # waits until all is computed
        ll.llama_get_logits(self.context)[0]

    def read(self, ids, sequence=0):
        self.run([(token, i, sequence, i == len(ids) - 1) for i, token in enumerate(ids)])


def decode_speed(context, sequences, tokens):
    context.clear()
    for s in range(sequences):
        context.read([(i * 37 + s) % 1000 for i in range(BEFORE)], s)
    start = time.perf_counter()
    for i in range(tokens):
        context.run([((i * 101 + 7 * s) % 1000, BEFORE + i, s, True) for s in range(sequences)])
    return sequences * tokens / (time.perf_counter() - start)


def prefill_speed(context, prompt, seed):
    context.clear()
    ids = [(i * 37 + seed) % 1000 for i in range(prompt)]
    start = time.perf_counter()
    context.read(ids)
    return prompt / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("gguf")
    parser.add_argument("--prompt", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--repeats", type=int, default=1)
    args = parser.parse_args()
    # held: llama.cpp calls it as long as it lives
    quiet = ll.llama_log_callback(lambda *_: None)
    ll.llama_log_set(quiet, ctypes.c_void_p(0))
    ll.llama_backend_init()
    model = ll.llama_model_load_from_file(args.gguf.encode(), ll.llama_model_default_params())
    if not model:
        raise SystemExit(f"{args.gguf}: llama.cpp cannot load it")
    one = Context(model, 1, max(args.prompt, BEFORE + args.tokens) + 64, max(BEFORE, args.prompt))
    several = Context(model, args.sequences, BEFORE + args.tokens + 64, max(BEFORE, args.sequences))
    by_threads = {}
    for threads in [int(count) for count in args.threads.split(",")]:
        one.threads(threads)
        several.threads(threads)
        # warms up
        prefill_speed(one, args.prompt, 0)
        decode_speed(one, 1, 4)
        decode_speed(several, args.sequences, 4)
        by_threads[threads] = {
            "prefill": [prefill_speed(one, args.prompt, 1 + n) for n in range(args.repeats)],
            "decode": [decode_speed(one, 1, args.tokens) for _ in range(args.repeats)],
            "several": [decode_speed(several, args.sequences, args.tokens) for _ in range(args.repeats)],
        }
    system = ll.llama_print_system_info().decode().strip()
    shape = {"layers": ll.llama_model_n_layer(model), "width": ll.llama_model_n_embd(model)}
    print(json.dumps({"shape": shape, "byThreads": by_threads, "version": ll.__version__, "system": system}))


main()
