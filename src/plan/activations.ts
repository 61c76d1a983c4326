/** Bytes of activations that a layer keeps from forward to backward, tensor by tensor. */
import { type Attention, type Ffn, headWidths, type LayerRun } from "./architecture.ts";
import { FP8, HALF, type Redo, redoOf } from "./operations.ts";
import type { Job, Layout } from "./types.ts";

/**
 * Bytes a layer keeps from forward to backward, tensor by tensor. `by` lists what recomputation does without it:
 * "core" attention's scores, softmax and mask (arXiv:2205.05198 §5); "cheap" outputs of norms, activations and MLA's up-projections
 * (arXiv:2412.19437 §3.2.3, there with inputs of products in FP8); "alternate" all but attention's and every second product's
 * output (torchtitan's per-op selective checkpointing). Full recomputation keeps the layer's input alone.
 */
interface Kept {
  name: string;
  bytes: number;
  by: Redo[];
}

const none: Kept["by"] = [];
const cheap: Kept["by"] = ["cheap", "alternate"];
const alternate: Kept["by"] = ["alternate"];

interface Sizes {
  hidden: number;
  /** Tokens on this GPU, and those it holds between sub-layers (split by sequence parallelism). */
  tokens: number;
  held: number;
  /** Bytes of a number kept as a product's input. */
  input: number;
}

function sizes(job: Job, layout: Layout): Sizes {
  const tokens = (layout.microBatch * job.sequence) / layout.cp;
  return {
    hidden: job.architecture.hidden,
    tokens,
    held: tokens / (job.sequenceParallel === false ? 1 : layout.tp),
    input: job.precision === "fp8" ? FP8 : HALF,
  };
}

/** Every tensor that a layer keeps without recomputation. */
export function keptTensors(job: Job, layout: Layout, { attention, ffn }: LayerRun): Kept[] {
  const s = sizes(job, layout);
  const mask = (name: string): Kept[] =>
    job.architecture.dropout ? [{ name, bytes: s.held * s.hidden, by: none }] : [];
  const { layerNorms: norms = 2, streams = 1 } = job.architecture;
  const normInput = (name: string): Kept[] =>
    norms === 4 ? [{ name, bytes: s.held * s.hidden * HALF, by: none }] : [];
  return [
    { name: "layer input", bytes: s.held * s.hidden * streams * HALF, by: none },
    { name: "attention input", bytes: s.held * s.hidden * s.input, by: cheap },
    ...attentionTensors(job, layout, attention, s),
    ...normInput("attention output norm input"),
    ...mask("attention dropout"),
    ...(norms === 1
      ? []
      : [
          { name: "FFN norm input", bytes: s.held * s.hidden * streams * HALF, by: alternate },
          { name: "FFN input", bytes: s.held * s.hidden * s.input, by: cheap },
        ]),
    ...(ffn.kind === "dense" ? denseTensors(ffn, layout, s) : expertTensors(job, ffn, layout, s)),
    ...normInput("FFN output norm input"),
    ...mask("FFN dropout"),
  ];
}

function attentionTensors(job: Job, layout: Layout, a: Attention, s: Sizes): Kept[] {
  const { query, value } = headWidths(a);
  const heads = a.heads / layout.tp;
  const kept: Kept[] = [];
  const keep = (name: string, bytes: number, by: Kept["by"]) => kept.push({ name, bytes, by });
  if (a.kind === "listed") {
    for (const { name, outer, count = 1, copied } of a.products.slice(0, -1))
      keep(name, (copied ? s.held : s.tokens / layout.tp) * outer * count * HALF, none);
    keep("attention output", s.tokens * heads * value * HALF, none);
    return kept;
  }
  if (a.kind === "mla") {
    const latent = (a.qRank ?? 0) + a.kvRank;
    keep("latents", s.held * (latent + a.rope) * HALF, none);
    // gathered over TP for the up-projections, and kept so
    keep("latents normed", s.tokens * latent * s.input, cheap);
    keep("queries", s.tokens * heads * query * HALF, cheap);
    keep("keys and values", s.tokens * heads * (query + value) * HALF, cheap);
    if (a.indexer) keep("indexer", s.tokens * (a.indexer.heads + 1) * (a.indexer.width + 1) * HALF, cheap);
  } else {
    const kvHeads = Math.max(1, a.kvHeads / layout.tp);
    if (a.qkNorm) keep("queries and keys before norm", s.tokens * (heads + kvHeads) * query * HALF, alternate);
    keep("queries", s.tokens * heads * query * HALF, none);
    if (a.gate) keep("output gate", s.tokens * heads * query * HALF, none);
    keep("keys", s.tokens * kvHeads * query * HALF, alternate);
    keep("values", s.tokens * kvHeads * value * HALF, none);
  }
  if (job.fusedAttention ?? true) keep("log-sums", s.tokens * heads * 4, none);
  else {
    const pairs = s.tokens * heads * job.sequence;
    keep("softmax", pairs * HALF, ["core"]);
    if (job.architecture.dropout) {
      keep("softmax dropout mask", pairs, ["core"]);
      keep("softmax dropped", pairs * HALF, ["core"]);
    }
  }
  keep("attention output", s.tokens * heads * value * HALF, none);
  return kept;
}

function denseTensors(ffn: Extract<Ffn, { kind: "dense" }>, layout: Layout, s: Sizes): Kept[] {
  const numbers = (s.tokens * ffn.width) / layout.tp;
  return gatedTensors(numbers, ffn.gated, s.input, "FFN");
}

function gatedTensors(numbers: number, gated: boolean, input: number, name: string): Kept[] {
  return [
    { name: `${name} ${gated ? "gate" : "in"}`, bytes: numbers * HALF, by: none },
    ...(gated ? [{ name: `${name} up`, bytes: numbers * HALF, by: alternate }] : []),
    { name: `${name} activation`, bytes: numbers * input, by: cheap },
  ];
}

/** The busiest rank's: what its experts received, their hidden numbers, the router's scores; and the shared expert. */
function expertTensors(job: Job, ffn: Extract<Ffn, { kind: "moe" }>, layout: Layout, s: Sizes): Kept[] {
  const own = s.tokens / layout.tp;
  const received = own * ffn.perToken * (layout.ep > 1 ? job.imbalance : 1);
  return [
    { name: "router scores", bytes: own * ffn.experts * 4, by: none },
    // expert, row and weight of each choice, both ways
    { name: "routing maps", bytes: own * ffn.perToken * (4 + 4 + 4) + received * 4, by: none },
    { name: "dispatched", bytes: received * s.hidden * s.input, by: none },
    ...gatedTensors(received * ffn.width, true, s.input, "expert"),
    ...(ffn.shared > 0
      ? gatedTensors((s.tokens * ffn.width * ffn.shared) / layout.tp, true, s.input, "shared expert")
      : []),
  ];
}

/** Bytes that one micro-batch keeps of a layer, under the layout's recomputation. */
export function keptBytes(job: Job, layout: Layout, run: LayerRun): number {
  const s = sizes(job, layout);
  if (layout.recompute === "full") return s.held * s.hidden * (job.architecture.streams ?? 1) * HALF;
  const tensors = keptTensors(job, layout, run);
  if (layout.recompute === "none") return tensors.reduce((a, { bytes }) => a + bytes, 0);
  const kind = redoOf(job);
  const deepseek = kind === "cheap" && job.precision === "fp8";
  const kept = tensors
    .filter(({ by }) => !by.includes(kind))
    .reduce((a, { name, bytes }) => a + bytes * (deepseek ? narrowing(name) : 1), 0);
  return kept + eagerBytes(job, s);
}

/** What DeepSeek keeps narrower than it was computed: SwiGLU's inputs in FP8, attention's output in 12 bits (arXiv:2412.19437 §3.3.3). */
function narrowing(name: string): number {
  if (/ (gate|up)$/.test(name)) return FP8 / HALF;
  return name === "attention output" ? 12 / 16 : 1;
}

/** Without a compiler, per-operation checkpointing also holds the last product's output, which no one needs. */
const eagerBytes = (job: Job, s: Sizes): number => (job.selective === "alternateEager" ? s.held * s.hidden * HALF : 0);

/** Input of the final norm and of the head. Logits are buffers: only one micro-batch's exist at a time. */
export function keptHeadBytes(job: Job, layout: Layout): number {
  const s = sizes(job, layout);
  return s.held * s.hidden * 2 * HALF;
}
