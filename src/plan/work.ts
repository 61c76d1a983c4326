/** A model's work on one GPU of a layout: the operations of each kind of layer. */
import { keptBytes, keptHeadBytes } from "./activations.ts";
import {
  type Attention,
  attentionMatrices,
  attentionVectors,
  coreFlops,
  type Ffn,
  finalParameters,
  headWidths,
  type LayerRun,
  type ListedAttention,
  layerFlops,
  layerParameters,
  mtpLayer,
  normSize,
} from "./architecture.ts";
import { FP8, HALF, matrixFlops, Operations, type Redo, redoOf } from "./operations.ts";
import type { Stage } from "./stages.ts";
import type { Job, LayerKind, LayerWork, Layout, Op } from "./types.ts";

export { matrixFlops } from "./operations.ts";
export { type Stage, stageCount, stageLayers, stagesOfRank } from "./stages.ts";

/** The work of every distinct layer of a model, for one micro-batch on one GPU. `mtp` is one module with its second pass through the head. */
export interface ModelWork {
  embedding: LayerWork;
  /** As architecture.layers: one of each run. */
  runs: LayerWork[];
  mtp?: LayerWork;
  head: LayerWork;
}

/** Tokens of a micro-batch on one GPU, before TP splits norms by sequence. */
export const tokensPerGpu = (job: Job, layout: Layout): number => (layout.microBatch * job.sequence) / layout.cp;

/** Tokens a GPU holds between sub-layers: split over TP by sequence parallelism. */
export const heldTokens = (job: Job, layout: Layout): number =>
  tokensPerGpu(job, layout) / (job.sequenceParallel === false ? 1 : layout.tp);

export const fusedAttention = (job: Job): boolean => job.fusedAttention ?? true;

/**
 * The operations of each distinct layer: products with their real shapes, attention, memory traffic, collectives, forward and backward, and what
 * the layout's recomputation adds. Expert work is that of the busiest rank (imbalance); all else is the same on every rank of a stage.
 * The final norm belongs to the head; optimizer, gradient reduction and pipeline sends are not here.
 */
export function modelWork(job: Job, layout: Layout): ModelWork {
  const runs = job.architecture.layers.map((run) => layerWork(job, layout, run));
  const mtp = job.mtp && job.architecture.mtpDepth > 0 ? mtpWork(job, layout) : undefined;
  return { embedding: embeddingWork(job, layout), runs, ...(mtp && { mtp }), head: headWork(job, layout) };
}

/** What a stage holds, as works with how many of each. */
export function stageWorks(job: Job, stage: Stage, work: ModelWork): { work: LayerWork; count: number }[] {
  return [
    ...(stage.embedding ? [{ work: work.embedding, count: 1 }] : []),
    ...work.runs.map((w, i) => ({ work: w, count: stage.runs[i]! })).filter(({ count }) => count > 0),
    ...(stage.mtp && work.mtp ? [{ work: work.mtp, count: job.architecture.mtpDepth }] : []),
    ...(stage.head ? [{ work: work.head, count: 1 }] : []),
  ];
}

/** Whether every second product is recomputed: then q, k, v and gate, up are products of their own, not one wide one. */
const alternates = (job: Job) => redoOf(job) === "alternate";

/** The work of one transformer layer. */
function layerWork(job: Job, layout: Layout, run: LayerRun): LayerWork {
  const ops = new Operations(job.precision);
  layerOperations(ops, job, layout, run);
  const { hidden } = job.architecture;
  return finish(job, layout, ops, run.ffn.kind === "moe" ? "moe" : "dense", {
    activationBytes: keptBytes(job, layout, run),
    ...parametersPerGpu(job, layout, run),
    forwardFlops: (tokensPerGpu(job, layout) / layout.tp) * layerFlops(run, hidden, job),
  });
}

type Sums = Pick<LayerWork, "activationBytes" | "sharedParameters" | "expertParameters" | "forwardFlops">;

function finish(job: Job, layout: Layout, ops: Operations, kind: LayerKind, sums: Sums): LayerWork {
  const redo = redoOf(job);
  const recomputed =
    layout.recompute === "none"
      ? []
      : ops.forward.filter(({ redo: by }) => layout.recompute === "full" || by.includes(redo)).map(({ op }) => op);
  return {
    kind,
    forward: ops.forward.map(({ op }) => op),
    backwardInput: ops.backwardInput,
    backwardWeight: ops.backwardWeight,
    recomputed: [...recomputed, ...ops.again],
    ...sums,
  };
}

function layerOperations(ops: Operations, job: Job, layout: Layout, { attention, ffn }: LayerRun): void {
  const { hidden: D } = job.architecture;
  const held = heldTokens(job, layout);
  normOperations(ops, job, held, "attention norm");
  if (attention.kind === "gqa") groupedOperations(ops, job, layout, attention);
  else if (attention.kind === "mla") latentOperations(ops, job, layout, attention);
  else listedOperations(ops, job, layout, attention);
  const norms = job.architecture.layerNorms ?? 2;
  if (norms === 4) normOperations(ops, job, held, "attention output norm");
  residualOperations(ops, job, held, "attention");
  if (norms > 1) normOperations(ops, job, held, "FFN norm");
  if (ffn.kind === "dense") {
    gather(ops, job, layout, "FFN", D);
    feedForward(ops, tokensPerGpu(job, layout), D, ffn.width / layout.tp, ffn.gated, "FFN", alternates(job));
    scatter(ops, job, layout, "FFN", D);
  } else expertOperations(ops, job, layout, ffn);
  if (norms === 4) normOperations(ops, job, held, "FFN output norm");
  residualOperations(ops, job, held, "FFN");
}

/** Reads x, writes y; back: reads x and dy, writes dx. */
const normOperations = (ops: Operations, job: Job, tokens: number, name: string) =>
  ops.memory(name, tokens * job.architecture.hidden * HALF * 2, tokens * job.architecture.hidden * HALF * 3);

/** Adds to the residual, with dropout's mask where there is one. */
function residualOperations(ops: Operations, job: Job, tokens: number, name: string): void {
  const mask = job.architecture.dropout ? 1 : 0;
  const streams = job.architecture.streams ?? 1;
  ops.memory(
    `${name} residual`,
    tokens * job.architecture.hidden * (3 * streams * HALF + mask),
    tokens * job.architecture.hidden * (2 * streams * HALF + mask),
    ["alternate"],
  );
}

/** Activations a TP group needs whole before a split product: gathered from their shards, or (without sequence parallelism) there, with the gradient summed. */
function gather(ops: Operations, job: Job, layout: Layout, name: string, width: number): void {
  const bytes = tokensPerGpu(job, layout) * width * HALF;
  if (job.sequenceParallel === false) {
    if (layout.tp > 1)
      ops.backwardInput.push({
        kind: "collective",
        name: `${name} gradient`,
        collective: "allReduce",
        bytes,
        group: "tp",
        overlaps: false,
      });
    return;
  }
  ops.collective(`${name} gather`, "tp", layout.tp, "allGather", bytes, "reduceScatter");
  // the shard alone was kept: it is gathered again for the weights' gradient, behind the input's gradient
  if (layout.tp > 1)
    ops.backwardWeight.push({
      kind: "collective",
      name: `${name} regather`,
      collective: "allGather",
      bytes,
      group: "tp",
      overlaps: true,
    });
}

/** Sums the TP group's partial results, into shards or (without sequence parallelism) everywhere. */
function scatter(ops: Operations, job: Job, layout: Layout, name: string, width: number): void {
  const bytes = tokensPerGpu(job, layout) * width * HALF;
  if (job.sequenceParallel !== false)
    ops.collective(`${name} scatter`, "tp", layout.tp, "reduceScatter", bytes, "allGather");
  else if (layout.tp > 1)
    ops.forward.push({
      op: { kind: "collective", name: `${name} sum`, collective: "allReduce", bytes, group: "tp", overlaps: false },
      redo: [],
    });
}

function groupedOperations(ops: Operations, job: Job, layout: Layout, a: Extract<Attention, { kind: "gqa" }>): void {
  const { hidden: D } = job.architecture;
  const T = tokensPerGpu(job, layout);
  const heads = a.heads / layout.tp;
  const kvHeads = Math.max(1, a.kvHeads / layout.tp);
  gather(ops, job, layout, "attention", D);
  const queries = a.gate ? 2 * heads : heads;
  if (alternates(job)) {
    ops.linear("q", T, queries * a.headDim, D, { free: ["input"] });
    ops.linear("k", T, kvHeads * a.headDim, D, { redo: ["alternate"], free: ["input"] });
    ops.linear("v", T, kvHeads * a.headDim, D, { free: ["input"] });
  } else ops.linear("qkv", T, (queries + 2 * kvHeads) * a.headDim, D, { free: ["input"] });
  const turned = T * (heads + kvHeads) * a.headDim * HALF;
  if (job.architecture.positions === undefined) ops.memory("rope", 2 * turned, 2 * turned, ["alternate"]);
  if (a.qkNorm) ops.memory("qk norm", 2 * turned, 3 * turned);
  coreOperations(ops, job, layout, a, { heads, kvHeads });
  if (a.gate) ops.memory("output gate", T * heads * a.headDim * HALF * 3, T * heads * a.headDim * HALF * 5);
  ops.linear("o", T, D, heads * a.headDim, { redo: ["alternate"], free: ["gradient"] });
  scatter(ops, job, layout, "attention", D);
}

function latentOperations(ops: Operations, job: Job, layout: Layout, a: Extract<Attention, { kind: "mla" }>): void {
  const { hidden: D } = job.architecture;
  const T = tokensPerGpu(job, layout);
  const held = heldTokens(job, layout);
  const heads = a.heads / layout.tp;
  const { query, value } = headWidths(a);
  const latent = (a.qRank ?? 0) + a.kvRank;
  if (a.qRank === null) gather(ops, job, layout, "attention", D);
  // TP copies the down-projections; each GPU does those of its own tokens and the narrow latents are gathered
  ops.linear("latents", held, latent + a.rope, D, { free: ["input", "gradient"] });
  ops.memory("latent norms", held * latent * HALF * 2, held * latent * HALF * 3);
  gather(ops, job, layout, "latents", latent + a.rope);
  ops.linear("query up", T, heads * query, a.qRank ?? D, { redo: ["cheap", "alternate"], free: ["input", "gradient"] });
  ops.linear("key and value up", T, heads * (a.nope + value), a.kvRank, {
    redo: ["cheap", "alternate"],
    free: ["input", "gradient"],
  });
  // rope on the query's part, and keys put together from the up-projection and the shared rope key
  ops.memory(
    "rope and keys",
    T * heads * HALF * (2 * a.rope + a.nope + query),
    T * heads * HALF * (2 * a.rope + a.nope + query),
  );
  if (a.indexer) indexOperations(ops, job, layout, a, a.indexer);
  coreOperations(ops, job, layout, a, { heads, kvHeads: heads });
  ops.linear("o", T, D, heads * value, { redo: ["alternate"], free: ["gradient"] });
  scatter(ops, job, layout, "attention", D);
}

/** The indexer: queries from their latent, keys and weights from the tokens, scores over all keys seen; its choice of keys is not counted. */
function indexOperations(
  ops: Operations,
  job: Job,
  layout: Layout,
  a: Extract<Attention, { kind: "mla" }>,
  { heads, width }: NonNullable<Extract<Attention, { kind: "mla" }>["indexer"]>,
): void {
  const { hidden: D } = job.architecture;
  const T = tokensPerGpu(job, layout);
  ops.linear("index queries", T, heads * width, a.qRank ?? D, { redo: ["cheap", "alternate"], free: ["input"] });
  ops.linear("index keys and weights", T, width + heads, D, { redo: ["cheap", "alternate"], free: ["input"] });
  const flops = T * coreFlops(a, job).index;
  const bytes = T * (heads * width + width * layout.cp) * HALF;
  ops.forward.push({ op: { kind: "attention", name: "index scores", flops, bytes }, redo: ["core"] });
  ops.backwardInput.push({ kind: "attention", name: "index scores back", flops: 2 * flops, bytes: 2 * bytes });
}

/** An attention given by its products: those that are copied run on a GPU's own tokens, the others on its heads. */
function listedOperations(ops: Operations, job: Job, layout: Layout, a: ListedAttention): void {
  const { hidden: D } = job.architecture;
  const { tp, cp } = layout;
  const T = tokensPerGpu(job, layout);
  const held = heldTokens(job, layout);
  gather(ops, job, layout, "attention", D);
  let made = 0;
  for (const { name, inner, outer, count = 1, copied } of a.products.slice(0, -1)) {
    if (copied) ops.linear(name, held, outer, inner, { count, free: ["input"] });
    else if (count > 1) ops.linear(name, T, outer, inner, { count: count / tp, free: ["input"] });
    else ops.linear(name, T, outer / tp, inner, { free: ["input"] });
    made += (copied ? held : T / tp) * outer * count;
  }
  ops.memory("norms, gates and convolutions", made * HALF * 2, made * HALF * 3);
  const kept = a.cached.reduce((sum, { numbers, every }) => sum + numbers / every, 0);
  ops.collective("keys and values", "cp", cp, "allGather", T * cp * kept * HALF, "reduceScatter");
  const core = coreFlops(a, job, a.heads / tp);
  const bytes = (made + (T * a.heads * a.value) / tp) * HALF;
  ops.forward.push({
    op: { kind: "attention", name: "attention", flops: T * core.attention, bytes },
    redo: ["core"],
  });
  ops.backwardInput.push({
    kind: "attention",
    name: "attention back",
    flops: 2 * T * core.attention,
    bytes: 2 * bytes,
  });
  ops.again.push({ kind: "attention", name: "scores again", flops: T * core.scores, bytes: 0 });
  const out = a.products.at(-1)!;
  ops.linear(out.name, T, out.outer, out.inner / tp, { redo: ["alternate"], free: ["gradient"] });
  scatter(ops, job, layout, "attention", D);
}

/** Heads of one GPU. */
interface Core {
  heads: number;
  kvHeads: number;
}

/** Scores, softmax, values. Fused: half the pairs, no scores in memory, scores once more backward. Else all pairs, each touched several times. */
function coreOperations(
  ops: Operations,
  job: Job,
  layout: Layout,
  a: Exclude<Attention, ListedAttention>,
  { heads, kvHeads }: Core,
): void {
  const T = tokensPerGpu(job, layout);
  const { query, value } = headWidths(a);
  const keysAndValues = T * kvHeads * (query + value) * HALF;
  const queriesAndOutputs = T * heads * (query + value) * HALF;
  // cp: keys and values pass round the ring behind the computation; their gradients come back the same way
  ops.collective(
    "keys and values",
    "cp",
    layout.cp,
    "allGather",
    keysAndValues * layout.cp,
    "reduceScatter",
    2 * keysAndValues * layout.cp,
  );
  const redo: Redo[] = ["core"];
  if (fusedAttention(job)) {
    const core = coreFlops(a, job, heads);
    const flops = T * core.attention;
    const bytes = keysAndValues * layout.cp + queriesAndOutputs;
    ops.forward.push({ op: { kind: "attention", name: "attention", flops, bytes }, redo });
    ops.backwardInput.push({
      kind: "attention",
      name: "attention back",
      flops: 2 * flops,
      bytes: 2 * bytes + queriesAndOutputs,
    });
    ops.again.push({ kind: "attention", name: "scores again", flops: T * core.scores, bytes: 0 });
    return;
  }
  const flops = 2 * T * heads * (query + value) * job.sequence;
  const pairs = T * heads * job.sequence;
  const dropped = job.architecture.dropout ? 1 : 0;
  ops.forward.push({
    op: { kind: "attention", name: "attention", flops, bytes: keysAndValues + queriesAndOutputs + pairs * 2 * HALF },
    redo,
  });
  ops.memory(
    "softmax",
    pairs * (2 * HALF + dropped * (2 * HALF + 1)),
    pairs * (3 * HALF + dropped * (2 * HALF + 1)),
    redo,
  );
  ops.backwardInput.push({
    kind: "attention",
    name: "attention back",
    flops: 2 * flops,
    bytes: 2 * (keysAndValues + queriesAndOutputs) + pairs * 4 * HALF,
  });
}

/** `width` is this GPU's share. Norm and activation write their outputs' FP8 themselves. */
function feedForward(
  ops: Operations,
  tokens: number,
  hidden: number,
  width: number,
  gated: boolean,
  name: string,
  apart: boolean,
): void {
  const free = ["input" as const, "gradient" as const];
  if (gated && apart) {
    ops.linear(`${name} gate`, tokens, width, hidden, { free });
    ops.linear(`${name} up`, tokens, width, hidden, { redo: ["alternate"], free });
  } else ops.linear(gated ? `${name} gate and up` : `${name} in`, tokens, (gated ? 2 : 1) * width, hidden, { free });
  activation(ops, tokens * width, gated, name);
  ops.linear(`${name} down`, tokens, hidden, width, { free });
}

/** Gated: reads two, writes one; back: reads three, writes two. */
const activation = (ops: Operations, numbers: number, gated: boolean, name: string) =>
  ops.memory(`${name} activation`, numbers * HALF * (gated ? 3 : 2), numbers * HALF * (gated ? 5 : 3));

/** Nodes a token's experts lie on, in the mean: K of E chosen evenly, at most as many groups as routing allows. */
export function nodesPerToken(job: Job, layout: Layout, ffn: Extract<Ffn, { kind: "moe" }>): number {
  const nodes = Math.max(1, layout.ep / job.cluster.tiers[0]!.chips);
  const reach = ffn.nodeLimit
    ? Math.min(nodes, Math.max(1, (nodes * ffn.nodeLimit.limit) / ffn.nodeLimit.groups))
    : nodes;
  return reach * (1 - (1 - 1 / reach) ** ffn.perToken);
}

function expertOperations(ops: Operations, job: Job, layout: Layout, ffn: Extract<Ffn, { kind: "moe" }>): void {
  const { hidden: D } = job.architecture;
  const { tp, ep } = layout;
  const own = tokensPerGpu(job, layout) / tp;
  const sent = own * ffn.perToken;
  const busiest = sent * (ep > 1 ? job.imbalance : 1);
  const count = ffn.experts / ep;
  const wide = ops.precision === "fp8" ? FP8 : HALF;
  const nodes = nodesPerToken(job, layout, ffn);
  ops.linear("router", own, ffn.experts, D, { precision: "bf16" });
  ops.memory("routing", own * ffn.experts * 4 * 3, own * ffn.experts * 4 * 3, ["alternate"]);
  if (ffn.shared > 0) {
    gather(ops, job, layout, "shared expert", D);
    feedForward(ops, own * tp, D, (ffn.width * ffn.shared) / tp, true, "shared expert", alternates(job));
    if (ffn.sharedGate) ops.linear("shared expert gate", own, 1, D, { precision: "bf16" });
    scatter(ops, job, layout, "shared expert", D);
  }
  // one cast for the dispatch serves shared and routed experts
  if (ops.precision === "fp8")
    ops.memory("dispatch cast", own * D * (HALF + FP8), own * D * (HALF + FP8), ["alternate"]);
  // back: gradients are dispatched as activations are (in FP8 where those are), and combined in 16 bits
  ops.collective("dispatch", "ep", ep, "allToAll", busiest * D * wide, "allToAll", busiest * D * HALF, nodes);
  ops.routed("permute", busiest * D * wide * 2, busiest * D * HALF * 2);
  const rows = busiest / count;
  const free = ["input" as const, "gradient" as const];
  ops.linear("expert gate and up", rows, 2 * ffn.width, D, { count, free });
  activation(ops, busiest * ffn.width, true, "expert");
  ops.linear("expert down", rows, D, ffn.width, { count, free });
  ops.routed("unpermute", busiest * D * HALF * 2, busiest * D * wide * 2);
  // the sum over a token's experts is the combining kernels' own
  ops.collective("combine", "ep", ep, "allToAll", busiest * D * HALF, "allToAll", busiest * D * wide, nodes);
}

/** A layer's parameters on one GPU. */
export function parametersPerGpu(
  job: Job,
  layout: Layout,
  { attention, ffn }: LayerRun,
): Pick<LayerWork, "sharedParameters" | "expertParameters"> {
  const { architecture } = job;
  const { tp, ep } = layout;
  const parts = layerParameters(architecture, { count: 1, attention, ffn });
  const { split, copied } = attentionMatrices(attention, architecture.hidden);
  const copies =
    attention.kind === "gqa" && attention.kvHeads < tp
      ? (2 * architecture.hidden * attention.headDim * (tp - attention.kvHeads)) / tp
      : 0;
  return {
    sharedParameters:
      split / tp +
      copies +
      copied +
      attentionVectors(attention, architecture.hidden) +
      parts.norms +
      parts.router +
      (parts.dense + parts.shared) / tp,
    expertParameters: parts.routed / ep,
  };
}

function embeddingWork(job: Job, layout: Layout): LayerWork {
  const { hidden: D, vocab, positions = 0, dropout, embeddingNorm } = job.architecture;
  const ops = new Operations("bf16");
  const T = tokensPerGpu(job, layout);
  ops.memory("embedding", T * D * HALF * 2, T * D * (HALF + 2 * 4), []);
  scatter(ops, job, layout, "embedding", D);
  const held = heldTokens(job, layout);
  if (embeddingNorm) normOperations(ops, job, held, "embedding norm");
  return finish(job, layout, ops, "embedding", {
    activationBytes: held * D * ((dropout ? 1 : 0) + (embeddingNorm ? HALF : 0)),
    sharedParameters: (vocab * D) / layout.tp + positions * D + (embeddingNorm ? normSize(job.architecture) : 0),
    expertParameters: 0,
    forwardFlops: 0,
  });
}

/** Logits and loss: 16-bit logits read and their gradient written, or 32-bit copies, softmax and gradients besides. */
function headOperations(ops: Operations, job: Job, layout: Layout): void {
  const { hidden: D, vocab } = job.architecture;
  const T = tokensPerGpu(job, layout);
  const logits = (T * vocab) / layout.tp;
  normOperations(ops, job, heldTokens(job, layout), "final norm");
  gather(ops, job, layout, "head", D);
  ops.linear("head", T, vocab / layout.tp, D, { precision: "bf16" });
  if (job.fusedLoss ?? true) ops.memory("loss", logits * HALF, logits * HALF * 2);
  else ops.memory("loss", logits * (HALF + 4 * 3), logits * (4 * 5 + HALF));
  if (layout.tp > 1)
    ops.forward.push({
      op: {
        kind: "collective",
        name: "loss sums",
        collective: "allReduce",
        bytes: T * 4 * 3,
        group: "tp",
        overlaps: false,
      },
      redo: [],
    });
}

function headWork(job: Job, layout: Layout): LayerWork {
  const { architecture } = job;
  const { hidden: D, vocab } = architecture;
  const ops = new Operations(job.precision);
  headOperations(ops, job, layout);
  const work = finish(job, { ...layout, recompute: "none" }, ops, "head", {
    activationBytes: keptHeadBytes(job, layout),
    sharedParameters: (vocab * D) / layout.tp + finalParameters(architecture),
    expertParameters: 0,
    forwardFlops: (2 * tokensPerGpu(job, layout) * D * vocab) / layout.tp,
  });
  return work;
}

function mtpWork(job: Job, layout: Layout): LayerWork {
  const { architecture } = job;
  const { hidden: D, vocab } = architecture;
  const run = mtpLayer(architecture);
  const ops = new Operations(job.precision);
  const held = heldTokens(job, layout);
  ops.memory("embedding", held * D * HALF * 2, held * D * (HALF + 2 * 4), []);
  normOperations(ops, job, 2 * held, "MTP norms");
  ops.linear("MTP projection", held, D, 2 * D);
  layerOperations(ops, job, layout, run);
  headOperations(ops, job, layout);
  const own = parametersPerGpu(job, layout, run);
  return finish(job, layout, ops, "mtp", {
    activationBytes:
      keptBytes(job, layout, run) +
      keptHeadBytes(job, layout) +
      held * 2 * D * (HALF + (job.precision === "fp8" ? FP8 : HALF)),
    sharedParameters: own.sharedParameters + 2 * D * D + 3 * normSize(architecture),
    expertParameters: own.expertParameters,
    forwardFlops: (tokensPerGpu(job, layout) / layout.tp) * (layerFlops(run, D, job) + 4 * D * D + 2 * D * vocab),
  });
}

/** Matrix FLOPs a stage runs for one micro-batch, by pass. */
export function stageFlops(
  job: Job,
  stage: Stage,
  work: ModelWork,
): { forward: number; backward: number; recomputed: number } {
  const sums = { forward: 0, backward: 0, recomputed: 0 };
  for (const { work: w, count } of stageWorks(job, stage, work)) {
    const add = (ops: Op[]) => count * matrixFlops(ops);
    sums.forward += add(w.forward);
    sums.backward += add(w.backwardInput) + add(w.backwardWeight);
    sums.recomputed += add(w.recomputed);
  }
  return sums;
}
