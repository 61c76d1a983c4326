"""Steps of TRL's GRPOTrainer on this machine's cores: one JSON object on stdout.

    python bench/peers/grpo.py MODEL PROMPTS.json --variant sdpa-f32 --group 16 --tokens 128 --steps 5 --threads 2

PROMPTS.json: {"prompts": [[messages of one prompt], ...], "tokens": how many ids each must have}, the prompts of one step. Each step asks all of them
`group` times over and takes one update. Variants: attention (sdpa, eager), precision (f32, bf16), and by choice the sequences of a micro-batch
(sdpa-f32-64). Without --natural every answer has exactly --tokens tokens.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import torch
import transformers
import trl
from datasets import Dataset
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer


def reward(completions, **_):
    """Share of the letter e: spread out, and as cheap as can be. bench/grpo.ts has the same."""
    texts = [completion[0]["content"] for completion in completions]
    return [text.count("e") / max(1, len(text)) for text in texts]


class Clock:
    """Adds up how long calls of a method take."""

    def __init__(self, owner, name):
        self.seconds = 0.0
        inner = getattr(owner, name)

        def timed(*args, **kwargs):
            began = time.perf_counter()
            try:
                return inner(*args, **kwargs)
            finally:
                self.seconds += time.perf_counter() - began

        setattr(owner, name, timed)

    def take(self):
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("prompts")
    parser.add_argument("--variant", default="sdpa-f32")
    parser.add_argument("--group", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--natural", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    transformers.logging.set_verbosity_error()
    attention, precision, *micro = args.variant.split("-")
    given = json.loads(Path(args.prompts).read_text())
    prompts = given["prompts"]
    answers = len(prompts) * args.group
    batch = int(micro[0]) if micro else answers
    config = GRPOConfig(
        output_dir=tempfile.mkdtemp(prefix="sumbi-trl-"),
        use_cpu=True,
        bf16=precision == "bf16",
        gradient_checkpointing=False,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=answers // batch,
        steps_per_generation=answers // batch,
        num_generations=args.group,
        max_completion_length=args.tokens,
        generation_kwargs={} if args.natural else {"min_new_tokens": args.tokens},
        temperature=1.0,
        top_p=1.0,
        top_k=0,
        beta=0.0,
        num_iterations=1,
        loss_type="dapo",
        scale_rewards="none",
        use_vllm=False,
        learning_rate=1e-5,
        lr_scheduler_type="constant",
        max_steps=args.steps + 1,
        shuffle_dataset=False,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        seed=1,
        model_init_kwargs={"dtype": torch.float32, "attn_implementation": attention},
    )
    rows = [{"prompt": prompt} for _ in range(args.steps + 1) for prompt in prompts]
    trainer = GRPOTrainer(
        model=args.model, reward_funcs=reward, args=config, train_dataset=Dataset.from_list(rows)
    )
    generating = Clock(trainer, "_generate")
    preparing = Clock(trainer, "_generate_and_score_completions")
    lengths = []
    inner = trainer._generate_single_turn

    def single_turn(prompt_ids, *rest, **more):
        if any(len(ids) != given["tokens"] for ids in prompt_ids):
            raise ValueError(f"expected {given['tokens']} ids of each prompt, got {[len(ids) for ids in prompt_ids]}")
        out = inner(prompt_ids, *rest, **more)
        lengths.append(sum(len(ids) for ids in out[0]))
        return out

    trainer._generate_single_turn = single_turn
    steps = []

    class Watch(TrainerCallback):
        def on_step_begin(self, *_, **__):
            self.began, self.processor = time.perf_counter(), time.process_time()

        def on_step_end(self, *_, **__):
            seconds, prepared = time.perf_counter() - self.began, preparing.take()
            steps.append({
                "seconds": seconds,
                "rollout": generating.take(),
                "train": seconds - prepared,
                "processor": time.process_time() - self.processor,
                "tokens": lengths[-1],
            })

    trainer.add_callback(Watch())
    trainer.train()
    print(json.dumps({
        "variant": args.variant,
        "steps": steps[1:],
        "peakRssBytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "versions": {"trl": trl.__version__, "transformers": transformers.__version__, "torch": torch.__version__},
    }))


if __name__ == "__main__":
    main()
