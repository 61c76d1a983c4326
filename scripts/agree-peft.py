"""Whether PEFT loads an adapter that Sumbi wrote, and computes with it what Sumbi merged.

    sumbi convert MODEL MERGED --adapter ADAPTER
    python scripts/agree-peft.py MODEL ADAPTER MERGED        needs torch, transformers, peft

Compares the logits of PEFT's model with those of the merged folder on drawn ids, in f32: prints the largest difference and the share of the adapter
in the logits (how far the model without it is away). Ends with status 1 when a tensor of the file was not used, or logits differ by over 1e-4 of the largest.
"""

import sys
import warnings

import peft
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

model, adapter, merged = sys.argv[1:4]


def load(path):
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32, attn_implementation="eager").eval()


def logits_of(of):
    with torch.no_grad():
        return of(input_ids=ids, use_cache=False).logits


base = load(model)
ids = torch.randint(0, base.config.vocab_size, (2, 24), generator=torch.Generator().manual_seed(1))
plain = logits_of(base)
warnings.filterwarnings("error", module="peft")
of_peft = peft.PeftModel.from_pretrained(base, adapter).eval()
warnings.resetwarnings()
used = {key for key in peft.get_peft_model_state_dict(of_peft)}
written = set(load_file(f"{adapter}/adapter_model.safetensors"))
scale = float(plain.abs().max())
beside = logits_of(of_peft)
apart = float((beside - logits_of(load(merged))).abs().max()) / scale
share = float((beside - plain).abs().max()) / scale
print(f"{len(written)} tensors, {len(written - used)} not used; largest difference from the merged model {apart:.2e} of the largest logit, from the model without {share:.2e}")
sys.exit(0 if written == used and apart < 1e-4 else 1)
