"""Parameter counts of published models by transformers, for src/plan/families/families.test.ts.

    python3 -m venv /tmp/counts-venv && /tmp/counts-venv/bin/pip install torch transformers==5.24.0
    npx tsx scripts/published-configs.ts > /tmp/configs.json
    /tmp/counts-venv/bin/python scripts/make-counts-fixture.py /tmp/configs.json test/fixtures/plan/counts.json

Models are made on the meta device: shapes alone. `/tmp/configs.json` maps names to config.json objects.
"""

import json
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING


def count(config: dict) -> int:
    fields = {k: v for k, v in config.items() if k != "model_type"}
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(CONFIG_MAPPING[config["model_type"]](**fields))
    return sum(p.numel() for p in model.parameters())


configs = json.load(open(sys.argv[1]))
models = {name: {"config": config, "parameters": count(config)} for name, config in configs.items()}
made = {"transformers": transformers.__version__, "command": "scripts/make-counts-fixture.py", "models": models}
json.dump(made, open(sys.argv[2], "w"), indent=1)
