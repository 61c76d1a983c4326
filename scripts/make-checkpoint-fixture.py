"""Writes src/checkpoint/fixtures with the Python safetensors library, for Sumbi's reader to agree with bit for bit.

    python scripts/make-checkpoint-fixture.py

needs torch, safetensors and huggingface_hub; fixture.json records the versions used. `python/` is a sharded folder with
every dtype and awkward values; fixture.json holds the SHA-256 of each tensor's bytes and of its values as float32.
"""
import hashlib
import json
import math
import pathlib
import shutil

import huggingface_hub
import safetensors
import torch

SEED = 20261123
OUT = pathlib.Path(__file__).parent.parent / "src" / "checkpoint" / "fixtures"
MODEL = OUT / "python"


def all_codes(bits):
    """Every bit pattern of that many bits, as signed integers."""
    return torch.arange(-(2 ** (bits - 1)), 2 ** (bits - 1), dtype=torch.int32)


def sha256(tensor):
    return hashlib.sha256(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()).hexdigest()


def main():
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(37, 53, generator=generator) * torch.exp(4 * torch.randn(37, 53, generator=generator))
    awkward = torch.tensor([0.0, -0.0, 1e-45, -1e-40, 2**-24, 2**-25, 65504.0, 65519.0, 65520.0, 3.4e38, math.inf, -math.inf, math.nan])
    rows, cols = 130, 150
    w = torch.randn(rows, cols, generator=generator) * 3
    scale_inv = torch.rand(2, 2, generator=generator) * 0.01 + 1e-4
    scale = scale_inv.repeat_interleave(128, 0)[:rows].repeat_interleave(128, 1)[:, :cols]
    codes = (w / scale).clamp(-448, 448).to(torch.float8_e4m3fn)
    tensors = {
        "x.f32": x,
        "x.f64": x.double() * 1.1,
        "x.f16": x.half(),
        "x.bf16": x.bfloat16(),
        "awkward.f32": awkward,
        "awkward.f16": awkward.half(),
        "awkward.bf16": awkward.bfloat16(),
        "all.f16": all_codes(16).to(torch.int16).view(torch.float16),
        "all.f8": all_codes(8).to(torch.int8).view(torch.float8_e4m3fn),
        "clamped.f8": x.clamp(-448, 448).to(torch.float8_e4m3fn),
        "layer.weight": codes,
        "layer.weight_scale_inv": scale_inv,
        "ints.i64": torch.tensor([[2**62, -1], [0, -(2**63)]]),
        "ints.i32": torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32),
        "ints.u8": torch.arange(5, dtype=torch.uint8),
        "ints.i8": torch.tensor([-128, 127], dtype=torch.int8),
        "ints.bool": torch.tensor([True, False, True]),
        "empty": torch.zeros(0, 4),
        "scalar": torch.tensor(2.5),
        "이름 \"quoted\" \\": torch.tensor([1.0]),
    }
    as_f32 = {k: t.float() for k, t in tensors.items() if t.is_floating_point()}
    as_f32["layer.weight"] = codes.float() * scale
    shutil.rmtree(MODEL, ignore_errors=True)
    MODEL.mkdir(parents=True)
    huggingface_hub.save_torch_state_dict(tensors, MODEL, max_shard_size=80_000)
    (MODEL / "config.json").write_text(json.dumps({"model_type": "deepseek_v3"}) + "\n")
    fixture = {
        "command": "python scripts/make-checkpoint-fixture.py",
        "seed": SEED,
        "versions": {"torch": torch.__version__, "safetensors": safetensors.__version__, "huggingface_hub": huggingface_hub.__version__},
        "tensors": {
            key: {
                "dtype": str(t.dtype).removeprefix("torch."),
                "shape": list(t.shape),
                "bytesSha256": sha256(t) if t.numel() else hashlib.sha256(b"").hexdigest(),
                # NaNs differ in payload between libraries, so they are made one before hashing.
                **({"f32Sha256": sha256(torch.where(as_f32[key].isnan(), math.nan, as_f32[key]))} if key in as_f32 and t.numel() else {}),
            }
            for key, t in tensors.items()
        },
    }
    (OUT / "fixture.json").write_text(json.dumps(fixture, indent=1, ensure_ascii=False) + "\n")


main()
