/** A model for the engine: its graphs over weights in host memory, and the blocks of its cache. */
import { digest, weightsDigest } from "../checkpoint/index.ts";
import { ConfigError, ShapeError } from "../errors.ts";
import { type CacheForm, type ModelConfig, mixtureOf, mtpDepth, routedLayers, type Weights } from "../model/index.ts";
import { packedWeights, trimMemory } from "../runtime/index.ts";
import type { HostTensor } from "../tensor/index.ts";
import { asksModule, type DraftsKind } from "./drafts/kinds.ts";
import { BLOCK_TOKENS, type LanguageModel, type Line, type Pass, type Scores, type StoredBlocks } from "./engine.ts";
import { Feed, type FeedOptions } from "./feed.ts";
import { alikeIn, compileGraph, type Graph, graphNames } from "./graphs.ts";
import { loneRowDiffers } from "./loneRow.ts";
import { ModuleDrafts } from "./moduleDrafts.ts";
import { Pools } from "./pools.ts";
import { NOBODY, Ports } from "./ports.ts";
import { giveBack } from "./returnable.ts";
import { type GraphName, heldRows, isHidden } from "./traces.ts";
import { openWeights, type WeightsAbout, type WeightsOptions } from "./weights.ts";

export interface DecoderOptions {
  /** Longest sequence; default `max_position_embeddings`, at most 32768. */
  contextTokens?: number;
  /** The weights will not change: the runtime packs them once, so that a decode step reads them instead of repacking. Costs a second copy. */
  frozen?: boolean;
  /** In what form the past is kept; default f32. */
  cache?: CacheForm;
  /** How blocks multiply. */
  products?: FeedOptions;
  /** Whether guesses will be checked, for which there are graphs of their own. Default off. */
  drafts?: DraftsKind;
  /** What a person should know about where the weights came from. */
  notes?: readonly string[];
  /** In what form the weights are. */
  weightsAbout?: WeightsAbout;
  /** Which weights these are (`weightsDigest`): blocks may then be kept beyond memory. */
  ofWeights?: string;
  /** Passes also tell which experts the tokens chose. */
  experts?: boolean;
}

/** Tables of rope angles are built for every position: longer contexts are for those who ask. */
const DEFAULT_CONTEXT_MAX = 32_768;

/**
 * Over weights in host memory (by checkpoint key) that are used in place: whoever changes them changes the model. With `frozen` a sequence gets
 * the same bits in any company and however its prompt is cut (docs/decisions/050-engine.md).
 */
export class Decoder implements LanguageModel {
  readonly vocabSize: number;
  readonly stored?: StoredBlocks;

  private constructor(
    readonly config: ModelConfig,
    readonly contextTokens: number,
    private readonly graphs: ReadonlyMap<GraphName, Graph>,
    private readonly pools: Pools,
    private readonly module: ModuleDrafts | undefined,
    private readonly ports: Ports,
    private readonly weights: Weights,
    readonly notes: readonly string[],
    /** Names of weights of which the runtime has packed copies and no graph reads the original: it may be changed or dropped. */
    readonly released: readonly string[],
    readonly weightsAbout?: WeightsAbout,
    ofWeights?: string,
  ) {
    this.vocabSize = config.vocab_size;
    if (ofWeights !== undefined)
      this.stored = {
        bytes: pools.blockBytes,
        identity: async () => digest(ofWeights, ...(await this.#probe())),
        read: (block) => pools.read(block),
        write: (block, bytes) => pools.restore(block, bytes),
      };
  }

  /** Compiles the graphs. Throws ShapeError when a weight is missing or has another shape than the config says. */
  static async create(config: ModelConfig, weights: Weights, options: DecoderOptions = {}): Promise<Decoder> {
    const contextTokens = options.contextTokens ?? Math.min(config.max_position_embeddings, DEFAULT_CONTEXT_MAX);
    const { cache = "f32", drafts = "off", notes = [], weightsAbout, ofWeights } = options;
    const module = asksModule(drafts) && hasModule(config, weights);
    if (drafts === "mtp" && !module)
      throw new ConfigError(
        "drafts: expected a model with a module for multi-token prediction, this one has none: ask for auto or lookup instead of mtp",
      );
    const packed = options.frozen ? packedWeights() : undefined;
    const feed = new Feed(config, weights, { frozen: options.frozen, ...options.products });
    const graphs = new Map<GraphName, Graph>();
    const how = { contextTokens, cache, packed, experts: options.experts, module };
    for (const name of graphNames(config, { checks: drafts !== "off", module }))
      graphs.set(name, await compileGraph(name, config, feed, how));
    const all = [...graphs.values()];
    const kept = new Set(all.flatMap((graph) => graph.kept));
    const released = [...new Set(all.flatMap((graph) => graph.packed))].filter((name) => !kept.has(name));
    for (const graph of all) for (const { executable } of [graph, ...graph.lanes]) executable.release(released);
    for (const name of released) feed.discard(name);
    const ports = new Ports(config.vocab_size, options.experts ? routedLayers(config) * mixtureOf(config).perToken : 0);
    const rows = heldRows(config, how);
    const pools = new Pools(rows.model);
    const [draft, recall] = [graphs.get("draft"), graphs.get("recall")];
    const own = draft && recall && new ModuleDrafts(config, { draft, recall }, rows.module, pools, ports);
    return new Decoder(
      config,
      contextTokens,
      graphs,
      pools,
      own,
      ports,
      weights,
      notes,
      released,
      weightsAbout,
      ofWeights,
    );
  }

  get version(): number | undefined {
    return this.weights.version;
  }

  get hiddenSize(): number {
    return this.config.hidden_size;
  }

  get checks(): boolean {
    return this.graphs.has("check");
  }

  get drafts(): boolean {
    return this.module !== undefined;
  }

  get blockBytes(): number {
    return this.#allPools.reduce((sum, pools) => sum + pools.blockBytes, 0);
  }

  get #allPools(): Pools[] {
    return this.module ? [this.pools, this.module.pools] : [this.pools];
  }

  reserve(blocks: number): void {
    // block 0 besides, and as many as a view may reach beyond a sequence's last
    for (const pools of this.#allPools) pools.reserve(1 + blocks + 3);
  }

  copyBlock(from: number, to: number): void {
    for (const pools of this.#allPools) pools.copy(from, to);
  }

  clearBlock(block: number): void {
    for (const pools of this.#allPools) pools.clear(block);
  }

  async run({ kind, lines }: Pass): Promise<Scores> {
    for (const { ids, start } of lines)
      if (ids.length === 0 || start + ids.length > this.contextTokens)
        throw new ShapeError(
          `decoder: expected 1 to ${this.contextTokens - start} tokens after ${start}, got ${ids.length}`,
        );
    if (kind === "draft" && this.module) return this.module.run(lines);
    const one = lines.length === 1 ? lines[0] : undefined;
    const views = kind === "step" && one ? this.#views(one) : undefined;
    const graph = this.graphs.get(views ? "alone" : kind);
    if (graph === undefined) throw new Error(`decoder: no graph ${kind}`);
    const { sequences } = alikeIn(this.config, views ? "alone" : kind);
    const several = kind !== "step";
    const each = several ? sequences / longest(lines) : sequences;
    const least = Math.max(Math.ceil(each), !several && !views && this.graphs.has("alone") ? 2 : 1);
    const all = lines.length >= least ? lines : [...lines, ...Array<Line>(least - lines.length).fill(NOBODY)];
    const rows = several ? wanted(lines, longest(all)) : lines.map((_, b) => b);
    const L = several ? Math.max(2, rows.length) : all.length;
    const parts = inLanes(all, graph);
    const { ports, pools } = this;
    const states = kind === "read" ? this.hiddenSize : 0;
    await Promise.all(
      parts.map(async ({ binding, from, lines: own }, lane) => {
        const inputs = this.#inputs(kind, own, lane, views);
        const few = several ? L : own.length;
        if (several) inputs.rows = ports.ids("rows", [L], filled(rows, L), Number);
        inputs.sharpness = ports.sharpness(own, kind === "step" ? () => 1 : wantedOf, few, lane);
        const T = several ? longest(own) : 1;
        binding.rebind(inputs, {
          ...ports.scoreRows(L, from, few, states),
          ...ports.newRows(pools, own.length, T, lane),
        });
        await binding.run();
        ports.keep(pools, own, T, ({ start, ids }) => ({ start, count: ids.length }), lane);
      }),
    );
    return ports.scores(L, states);
  }

  /** What it makes of some ids, to the bit: another processor's kernels, another way to multiply give other blocks. */
  async #probe(): Promise<Uint8Array[]> {
    const blocks = Math.max(1, Math.min(2, Math.floor(this.contextTokens / BLOCK_TOKENS)));
    const count = Math.min(this.contextTokens, blocks * BLOCK_TOKENS);
    const ids = Array.from({ length: count }, (_, i) => (i * 7919 + 1) % this.vocabSize);
    const table = Array.from({ length: blocks }, (_, n) => 1 + n);
    this.reserve(blocks);
    await this.run({ kind: "read", lines: [{ ids, start: 0, table, wants: "none", temperature: 1 }] });
    const made = table.map((block) => this.pools.read(block));
    for (const block of table) this.clearBlock(block);
    return made;
  }

  /** What the graphs read: ids, positions, and the past by tables or in place. */
  #inputs(
    kind: Pass["kind"],
    lines: readonly Line[],
    lane: number,
    views: Record<string, HostTensor> | undefined,
  ): Record<string, HostTensor> {
    const B = lines.length;
    const T = kind === "step" ? 1 : longest(lines);
    const { positions } = alikeIn(this.config, views ? "alone" : kind);
    const reach = lines.reduce((most, { start }) => Math.max(most, start), 0) + (kind === "step" ? 0 : T);
    const S = positions * Math.max(1, Math.ceil(reach / positions));
    return {
      ids: this.ports.ids(`ids ${lane}`, [B, T], lines, ({ ids }, t) => ids[Math.min(t, ids.length - 1)] ?? 0),
      positions: this.ports.ids(`positions ${lane}`, [B, T], lines, ({ start }, t) => start + t),
      ...(views ?? { table: this.ports.table(lines, S / BLOCK_TOKENS, lane), ...this.pools.tensors(isPast) }),
    };
  }

  /** The past of a sequence in place, where its blocks lie in a row. */
  #views({ start, table }: Line): Record<string, HostTensor> | undefined {
    const first = table[0];
    if (!this.graphs.has("alone") || first === undefined) return undefined;
    for (let n = 1; n * BLOCK_TOKENS < start; n++) if (table[n] !== first + n) return undefined;
    const { positions } = alikeIn(this.config, "alone");
    const S = positions * Math.max(1, Math.ceil(start / positions));
    const views: Record<string, HostTensor> = {};
    for (const [i, { name }] of this.pools.pools.entries()) {
      if (!isPast(name)) continue;
      const view = this.pools.view(i, first, S);
      if (view === undefined) return undefined;
      views[name] = view;
    }
    return views;
  }

  dispose(): void {
    for (const graph of this.graphs.values())
      for (const { binding, executable } of [graph, ...graph.lanes]) {
        binding.dispose();
        executable.dispose();
      }
  }
}

/** Sequences that make a lane worth while: with fewer, each reading all weights costs more than waiting for one another. */
const LANE_SEQUENCES = 32;

/** Lines side by side, by a thread each where there are enough of them, else by all threads together. */
function inLanes(
  lines: readonly Line[],
  { binding, lanes }: Graph,
): { binding: Graph["binding"]; from: number; lines: readonly Line[] }[] {
  if (lanes.length === 0 || lines.length < LANE_SEQUENCES * lanes.length) return [{ binding, from: 0, lines }];
  const bounds = Array.from({ length: lanes.length + 1 }, (_, i) => Math.round((i * lines.length) / lanes.length));
  return lanes.map((lane, i) => {
    const [from, to] = [bounds[i] ?? 0, bounds[i + 1] ?? 0];
    return { binding: lane.binding, from, lines: lines.slice(from, to) };
  });
}

/** T for lines that are read: a single token would take other kernels. */
const longest = (lines: readonly Line[]): number => lines.reduce((most, { ids }) => Math.max(most, ids.length), 2);

const filled = (rows: readonly number[], L: number): number[] => Array.from({ length: L }, (_, l) => rows[l] ?? 0);

/** How many of its last rows a line wants. */
const wantedOf = ({ ids, wants }: Line): number => (wants === "all" ? ids.length : wants === "last" ? 1 : 0);

/** Which rows of [B, T] the lines want. */
function wanted(lines: readonly Line[], T: number): number[] {
  const rows: number[] = [];
  for (const [b, line] of lines.entries())
    for (let t = line.ids.length - wantedOf(line); t < line.ids.length; t++) rows.push(b * T + t);
  return rows;
}

const isPast = (name: string): boolean => !isHidden(name);

/** Whether the weights of the model's first module are there. */
const hasModule = (config: ModelConfig, weights: Weights): boolean =>
  mtpDepth(config) > 0 && weights.get(`model.layers.${config.num_hidden_layers}.eh_proj.weight`) !== undefined;

export interface OpenOptions extends WeightsOptions, Pick<DecoderOptions, "contextTokens" | "products"> {}

/** How often memory is let go of that holds what the runtime has packed by then: the file is packed at about 1 GB a second. */
const DROP_MS = 100;

/**
 * Reads the weights of a checkpoint that generation needs and compiles its graphs. Throws CheckpointError for tensors that
 * are missing, of another shape, not finite, or that nothing reads.
 */
export async function openDecoder(
  path: string,
  given: ModelConfig,
  { contextTokens, products, cache, drafts, deterministic = false, identify = false, ...options }: OpenOptions = {},
): Promise<Decoder> {
  const { config, weights, notes, about: weightsAbout, drop } = await openWeights(path, given, { drafts, ...options });
  const dropping = setInterval(drop, DROP_MS);
  try {
    const bits = new Set([...weights.values()].flatMap((weight) => (weight.dtype === "blocks" ? [weight.bits] : [])));
    const differs = deterministic ? await Promise.all([...bits].map(loneRowDiffers)) : [];
    const decoder = await Decoder.create(config, weights, {
      frozen: true,
      ofWeights: identify ? await weightsDigest(config, weights, options.onProgress) : undefined,
      notes,
      weightsAbout,
      contextTokens,
      cache,
      drafts,
      products: { twoRows: differs.includes(true), ...products },
    });
    for (const key of decoder.released) {
      const weight = weights.get(key);
      if (weight?.dtype === "f32") giveBack(weight.data);
    }
    return decoder;
  } finally {
    clearInterval(dropping);
    drop();
    trimMemory();
  }
}
