"""Training speed of PyTorch on a DeepSeek-V3 config: one JSON object on stdout.

    python bench/peers/train.py CONFIG --peer transformers|best --batch 8 --sequence 256 --steps 10 --threads 2

transformers: DeepseekV3ForCausalLM (with MTP modules made of its layers) in eager mode, f32, as its defaults run it.
best: the fastest of the variants of lean_v3.py, each in its own process: eager or compiled, f32 or bf16 autocast, experts by a
loop or by grouped GEMM. With -ddp behind its name a variant runs as DistributedDataParallel (gloo): a process of one thread per core,
each with its share of the batch. Every variant takes the same steps: forward, backward, clip to 1, fused AdamW, on the same ids.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import transformers

VARIANTS = [
    f"lean-{experts}-{mode}-{precision}"
    for mode in ("compiled", "eager")
    for precision in ("f32", "bf16")
    for experts in ("loop", "grouped")
]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("config", help="a config.json of model_type deepseek_v3")
    parser.add_argument("--peer", default="best", help=f"transformers, best, or one of {', '.join(VARIANTS)}")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--sequence", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--mtp", type=int, help="MTP modules to train; default: what the config has")
    return parser.parse_args()


def build(args, config):
    depth = getattr(config, "num_nextn_predict_layers", 0) if args.mtp is None else args.mtp
    if args.peer == "transformers":
        sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts/fixtures"))
        from mtp_reference import MtpModule

        import torch.nn.functional as F
        from transformers import DeepseekV3ForCausalLM

        class WithMtp(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.main = DeepseekV3ForCausalLM(config)
                self.mtp = torch.nn.ModuleList(MtpModule(config, config.num_hidden_layers) for _ in range(depth))
                for module in self.mtp:
                    module.apply(self.main._init_weights)

            def forward(self, ids):
                length = ids.shape[1] - 1 - depth
                base = self.main.model
                hidden = base(input_ids=ids[:, :length], use_cache=False).last_hidden_state
                rotary = base.rotary_emb(hidden, torch.arange(length)[None])
                causal = torch.full((length, length), float("-inf")).triu(1)[None, None]

                def loss_of(states, shift):
                    return F.cross_entropy(self.main.lm_head(states).flatten(0, 1), ids[:, shift : shift + length].flatten())

                loss = loss_of(hidden, 1)
                for k, module in enumerate(self.mtp, start=1):
                    hidden = module(base.embed_tokens(ids[:, k : k + length]), hidden, causal, rotary)
                    loss = loss + 0.3 / depth * loss_of(hidden, 1 + k)
                return loss

        return WithMtp(), depth, torch.float32
    from lean_v3 import LeanV3, grouped_experts, loop_over_experts

    _, experts, mode, precision = args.peer.removesuffix("-ddp").split("-")
    model = LeanV3(config, depth, loop_over_experts if experts == "loop" else grouped_experts)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=config.initializer_range)
    if mode == "compiled":
        model = torch.compile(model)
    return model, depth, torch.bfloat16 if precision == "bf16" else torch.float32


def measure(args):
    world = int(os.environ.get("WORLD_SIZE", 1))
    torch.set_num_threads(args.threads // world)
    torch.manual_seed(0)
    config = transformers.AutoConfig.from_pretrained(args.config)
    model, depth, dtype = build(args, config)
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
    if world > 1:
        model = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    generator = torch.Generator().manual_seed(1 + int(os.environ.get("RANK", 0)))
    shape = (args.batch // world, args.sequence + 1 + depth)

    def step():
        ids = torch.randint(0, config.vocab_size, shape, generator=generator)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            loss = model(ids)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    started = time.perf_counter()
    for _ in range(args.warmup):
        step()
    warmup_seconds = time.perf_counter() - started
    seconds, losses = [], []
    for _ in range(args.steps):
        started = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - started)
    median = sorted(seconds)[len(seconds) // 2]
    return {
        "peer": args.peer,
        "tokensPerSecond": round(args.batch * args.sequence / median, 1),
        "bestTokensPerSecond": round(args.batch * args.sequence / min(seconds), 1),
        "stepSeconds": round(median, 4),
        "warmupSeconds": round(warmup_seconds, 2),
        "peakRssBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "loss": round(losses[-1], 4),
        "batch": args.batch, "sequence": args.sequence, "steps": args.steps, "threads": args.threads, "mtp": depth,
        "parameters": sum(p.numel() for p in parameters),
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def data_parallel(args):
    """Runs itself once per thread; the first process speaks for all, with everyone's memory."""
    with tempfile.TemporaryDirectory() as folder:
        def start(rank):
            own = {"RANK": str(rank), "WORLD_SIZE": str(args.threads), "MEET": f"{folder}/meet"}
            return subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, **own}, stdout=subprocess.PIPE, text=True)

        results = [json.loads(process.communicate()[0].strip().splitlines()[-1]) for process in [start(rank) for rank in range(args.threads)]]
    return {**results[0], "peakRssBytes": sum(result["peakRssBytes"] for result in results)}


def best(args):
    results = []
    for variant in VARIANTS:
        rest = [f"--{key}={getattr(args, key)}" for key in ("batch", "sequence", "steps", "warmup", "threads")]
        if args.mtp is not None:
            rest.append(f"--mtp={args.mtp}")
        run = subprocess.run(
            [sys.executable, __file__, args.config, "--peer", variant, *rest], capture_output=True, text=True,
            cwd=Path(__file__).parent,
        )
        if run.returncode:
            results.append({"peer": variant, "error": run.stderr.strip().splitlines()[-1][:200]})
        else:
            results.append(json.loads(run.stdout.strip().splitlines()[-1]))
        print(variant, results[-1].get("tokensPerSecond", results[-1].get("error")), file=sys.stderr)
    winner = max((r for r in results if "error" not in r), key=lambda r: r["tokensPerSecond"])
    return {**winner, "peer": "best", "variant": winner["peer"], "variants": [
        {key: r[key] for key in ("peer", "tokensPerSecond", "peakRssBytes", "error") if key in r} for r in results]}


if __name__ == "__main__":
    args = arguments()
    args.config = str(Path(args.config).resolve())
    if "RANK" in os.environ:
        where = f"file://{os.environ['MEET']}"
        torch.distributed.init_process_group("gloo", init_method=where, rank=int(os.environ["RANK"]), world_size=int(os.environ["WORLD_SIZE"]))
        print(json.dumps(measure(args)))
    else:
        way = best if args.peer == "best" else data_parallel if args.peer.endswith("-ddp") else measure
        print(json.dumps(way(args)))
