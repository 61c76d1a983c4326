"""A lean DeepSeek-V3 in PyTorch for training speed: fused projections, SDPA, experts grouped by one sort.

No caches, no masks, no options that a training step does not need. The arithmetic is that of transformers' DeepseekV3ForCausalLM
(compare_with_transformers below checks it), plus MTP modules when the config has them.
"""

import torch
import torch.nn.functional as F
from torch import nn


def rms_norm(x, weight, eps):
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


def rotate(x, cos, sin):
    """Interleaved pairs of x [..., T, R] turned by cos, sin [T, R/2]; comes back as two halves."""
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        query = c.num_attention_heads * (c.qk_nope_head_dim + c.qk_rope_head_dim)
        if c.q_lora_rank:
            self.down = nn.Linear(c.hidden_size, c.q_lora_rank + c.kv_lora_rank + c.qk_rope_head_dim, bias=False)
            self.q_norm = nn.Parameter(torch.ones(c.q_lora_rank))
            self.q_up = nn.Linear(c.q_lora_rank, query, bias=False)
        else:
            self.down = nn.Linear(c.hidden_size, query + c.kv_lora_rank + c.qk_rope_head_dim, bias=False)
        self.kv_norm = nn.Parameter(torch.ones(c.kv_lora_rank))
        self.kv_up = nn.Linear(c.kv_lora_rank, c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim), bias=False)
        self.out = nn.Linear(c.num_attention_heads * c.v_head_dim, c.hidden_size, bias=False)

    def forward(self, x, cos, sin):
        c = self.c
        batch, length, _ = x.shape
        heads, nope, rope, value = c.num_attention_heads, c.qk_nope_head_dim, c.qk_rope_head_dim, c.v_head_dim
        down = self.down(x)
        q, latent, k_rope = down.split([down.shape[-1] - c.kv_lora_rank - rope, c.kv_lora_rank, rope], dim=-1)
        if c.q_lora_rank:
            q = self.q_up(rms_norm(q, self.q_norm, 1e-6))
        q = q.view(batch, length, heads, nope + rope).transpose(1, 2)
        q_nope, q_rope = q.split([nope, rope], dim=-1)
        kv = self.kv_up(rms_norm(latent, self.kv_norm, 1e-6)).view(batch, length, heads, nope + value).transpose(1, 2)
        k_nope, v = kv.split([nope, value], dim=-1)
        k_rope = rotate(k_rope.unsqueeze(1), cos, sin).expand(-1, heads, -1, -1).to(k_nope.dtype)
        q = torch.cat([q_nope, rotate(q_rope, cos, sin).to(q_nope.dtype)], dim=-1)
        k = torch.cat([k_nope, k_rope], dim=-1)
        if value < nope + rope:  # the fused CPU kernel wants equal head dims
            v = F.pad(v, (0, nope + rope - value))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)[..., :value]
        return self.out(out.transpose(1, 2).reshape(batch, length, heads * value))


class FeedForward(nn.Module):
    def __init__(self, width, inner):
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * inner, bias=False)
        self.down = nn.Linear(inner, width, bias=False)

    def forward(self, x):
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


@torch.compiler.disable
def loop_over_experts(x, sizes, gate_up, down):
    """x sorted by expert, one GEMM pair for each expert that has tokens."""
    outs = []
    for expert, rows in enumerate(x.split(sizes.tolist())):
        if rows.shape[0]:
            gate, up = F.linear(rows, gate_up[expert]).chunk(2, dim=-1)
            outs.append(F.linear(F.silu(gate) * up, down[expert]))
    return torch.cat(outs)


def grouped_experts(x, sizes, gate_up, down):
    """The same with PyTorch's grouped GEMM."""
    ends = sizes.cumsum(0).to(torch.int32)
    dtype = torch.bfloat16 if torch.is_autocast_enabled("cpu") else x.dtype
    gate, up = F.grouped_mm(x.to(dtype), gate_up.to(dtype).transpose(1, 2), offs=ends).chunk(2, dim=-1)
    return F.grouped_mm(F.silu(gate) * up, down.to(dtype).transpose(1, 2), offs=ends)


class Experts(nn.Module):
    def __init__(self, c, run):
        super().__init__()
        self.c, self.run = c, run
        self.router = nn.Parameter(torch.randn(c.n_routed_experts, c.hidden_size) * c.initializer_range)
        self.register_buffer("bias", torch.zeros(c.n_routed_experts))
        size = (c.n_routed_experts, 2 * c.moe_intermediate_size, c.hidden_size)
        self.gate_up = nn.Parameter(torch.randn(size) * c.initializer_range)
        size = (c.n_routed_experts, c.hidden_size, c.moe_intermediate_size)
        self.down = nn.Parameter(torch.randn(size) * c.initializer_range)
        self.shared = FeedForward(c.hidden_size, c.moe_intermediate_size * c.n_shared_experts) if c.n_shared_experts else None

    def choose(self, scores):
        c = self.c
        choice = scores.detach() + self.bias
        if c.n_group > 1:
            groups = choice.view(-1, c.n_group, c.n_routed_experts // c.n_group)
            kept = groups.topk(2, dim=-1).values.sum(-1).topk(c.topk_group, dim=-1).indices
            mask = torch.full(groups.shape[:2], float("-inf"), dtype=choice.dtype).scatter_(1, kept, 0.0)
            choice = (groups + mask.unsqueeze(-1)).flatten(1)
        return choice.topk(c.num_experts_per_tok, dim=-1).indices

    def forward(self, x):
        c = self.c
        flat = x.reshape(-1, c.hidden_size)
        with torch.autocast("cpu", enabled=False):
            scores = F.linear(flat.float(), self.router).sigmoid()
        experts = self.choose(scores)
        weights = scores.gather(1, experts)
        if c.norm_topk_prob:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        weights = weights * c.routed_scaling_factor
        order = experts.flatten().argsort(stable=True)
        sizes = torch.bincount(experts.flatten(), minlength=c.n_routed_experts)
        out = self.run(flat[order // c.num_experts_per_tok], sizes, self.gate_up, self.down)
        inverse = torch.empty_like(order).scatter_(0, order, torch.arange(order.numel()))
        out = out[inverse].view(flat.shape[0], c.num_experts_per_tok, -1)
        out = torch.bmm(weights.unsqueeze(1).to(out.dtype), out).squeeze(1).view(x.shape)
        return out + self.shared(x) if self.shared is not None else out


class Block(nn.Module):
    def __init__(self, c, moe, run):
        super().__init__()
        self.eps = c.rms_norm_eps
        self.norm1 = nn.Parameter(torch.ones(c.hidden_size))
        self.norm2 = nn.Parameter(torch.ones(c.hidden_size))
        self.attention = Attention(c)
        self.mlp = Experts(c, run) if moe else FeedForward(c.hidden_size, c.intermediate_size)

    def forward(self, x, cos, sin):
        x = x + self.attention(rms_norm(x, self.norm1, self.eps), cos, sin)
        return x + self.mlp(rms_norm(x, self.norm2, self.eps))


class Mtp(nn.Module):
    def __init__(self, c, run):
        super().__init__()
        self.eps = c.rms_norm_eps
        self.enorm, self.hnorm, self.norm = (nn.Parameter(torch.ones(c.hidden_size)) for _ in range(3))
        self.join = nn.Linear(2 * c.hidden_size, c.hidden_size, bias=False)
        self.block = Block(c, True, run)

    def forward(self, embedded, hidden, cos, sin):
        x = torch.cat([rms_norm(embedded, self.enorm, self.eps), rms_norm(hidden, self.hnorm, self.eps)], dim=-1)
        return rms_norm(self.block(self.join(x), cos, sin), self.norm, self.eps)


class LeanV3(nn.Module):
    """ids [B, T + 1 + depth] -> the training loss: next token plus 0.3 times the mean of the MTP losses."""

    def __init__(self, c, depth, run=loop_over_experts):
        super().__init__()
        self.c = c
        self.embed = nn.Embedding(c.vocab_size, c.hidden_size)
        self.blocks = nn.ModuleList(Block(c, i >= c.first_k_dense_replace, run) for i in range(c.num_hidden_layers))
        self.norm = nn.Parameter(torch.ones(c.hidden_size))
        self.head = nn.Linear(c.hidden_size, c.vocab_size, bias=False)
        self.mtp = nn.ModuleList(Mtp(c, run) for _ in range(depth))
        if c.tie_word_embeddings:
            self.head.weight = self.embed.weight

    def forward(self, ids):
        c, depth = self.c, len(self.mtp)
        length = ids.shape[1] - 1 - depth
        theta = c.rope_parameters["rope_theta"]
        inverse = theta ** (-torch.arange(0, c.qk_rope_head_dim, 2, dtype=torch.float32) / c.qk_rope_head_dim)
        angles = torch.arange(length, dtype=torch.float32)[:, None] * inverse
        cos, sin = angles.cos(), angles.sin()
        hidden = self.embed(ids[:, :length])
        for block in self.blocks:
            hidden = block(hidden, cos, sin)
        hidden = rms_norm(hidden, self.norm, c.rms_norm_eps)
        loss = self.cross_entropy(hidden, ids[:, 1 : 1 + length])
        for k, module in enumerate(self.mtp, start=1):
            hidden = module(self.embed(ids[:, k : k + length]), hidden, cos, sin)
            loss = loss + 0.3 / depth * self.cross_entropy(hidden, ids[:, 1 + k : 1 + k + length])
        return loss

    def cross_entropy(self, hidden, targets):
        return F.cross_entropy(self.head(hidden).float().flatten(0, 1), targets.flatten())


def load_from_transformers(lean, model):
    """Copies a DeepseekV3ForCausalLM's weights, to check that both compute the same loss."""
    with torch.no_grad():
        lean.embed.weight.copy_(model.model.embed_tokens.weight)
        lean.head.weight.copy_(model.lm_head.weight)
        lean.norm.copy_(model.model.norm.weight)
        for block, layer in zip(lean.blocks, model.model.layers):
            block.norm1.copy_(layer.input_layernorm.weight)
            block.norm2.copy_(layer.post_attention_layernorm.weight)
            a, b = block.attention, layer.self_attn
            q = b.q_a_proj if lean.c.q_lora_rank else b.q_proj
            a.down.weight.copy_(torch.cat([q.weight, b.kv_a_proj_with_mqa.weight]))
            if lean.c.q_lora_rank:
                a.q_norm.copy_(b.q_a_layernorm.weight)
                a.q_up.weight.copy_(b.q_b_proj.weight)
            a.kv_norm.copy_(b.kv_a_layernorm.weight)
            a.kv_up.weight.copy_(b.kv_b_proj.weight)
            a.out.weight.copy_(b.o_proj.weight)
            m, n = block.mlp, layer.mlp
            if isinstance(m, Experts):
                m.router.copy_(n.gate.weight)
                m.bias.copy_(n.gate.e_score_correction_bias)
                m.gate_up.copy_(n.experts.gate_up_proj)
                m.down.copy_(n.experts.down_proj)
                m, n = m.shared, n.shared_experts
            if m is not None:
                m.gate_up.weight.copy_(torch.cat([n.gate_proj.weight, n.up_proj.weight]))
                m.down.weight.copy_(n.down_proj.weight)
