/** What each graph of generation computes, all of the same layers: reading prompts, steps, checks of guesses, and the guesses of the model's own module. */
import {
  type CacheForm,
  type CacheRows,
  cacheSpec,
  embed,
  isLatent,
  languageModel,
  layerCacheSpec,
  logits,
  type ModelBuilder,
  type ModelConfig,
  mtpJoined,
  mtpLayer,
  mtpRows,
  type Past,
  pastMask,
  placeRows,
  type Rope,
  readMask,
  ropeAt,
} from "../model/index.ts";
import { threads } from "../runtime/index.ts";
import {
  add,
  cast,
  concat,
  constant,
  type Dim,
  dimMul,
  exp,
  expand,
  f32,
  gather,
  HIDDEN_SCORE,
  i64,
  input,
  iota,
  less,
  max,
  minimum,
  mul,
  reshape,
  split,
  sub,
  sum,
  type Tensor,
  topK,
  where,
} from "../tensor/index.ts";
import { Rounding, type StoredRows, storedRows, widened } from "./cacheForm.ts";
import { BLOCK_TOKENS, RUN } from "./engine.ts";

/**
 * A model's own, by the mode of their past. draft: the MTP module takes the last token, what it holds likeliest is checked in the same run. recall: the rows
 * that the module's cache lacks.
 */
export type GraphName = Past["mode"] | "draft" | "recall";

export interface Tracing {
  contextTokens: number;
  cache: CacheForm;
  /** Passes also tell which experts the tokens chose. */
  experts?: boolean;
  /** What the module needs is kept. */
  module?: boolean;
}

/** What blocks hold of a position. `module`: for the model's own module, slot t made of the hidden state of t − 1 and the id of t; slot 0 holds nothing. */
export interface HeldRows {
  /** Of the model's layers, then what its head got, where the module is wanted. */
  model: StoredRows[];
  module: StoredRows[];
}

export function heldRows(config: ModelConfig, { cache, module = false }: Pick<Tracing, "cache" | "module">): HeldRows {
  return {
    model: storedRows([...cacheSpec(config), ...(module ? [hiddenSpec(config)] : [])], cache),
    module: module ? storedRows(moduleSpec(config), cache) : [],
  };
}

const HIDDEN = "hidden";
/** Whether a pool of that name holds hidden states. */
export const isHidden = (name: string): boolean => name.startsWith(HIDDEN);
const hiddenSpec = ({ hidden_size: D }: ModelConfig): CacheRows => ({ name: HIDDEN, heads: 1, width: D, parts: [D] });
const moduleSpec = (config: ModelConfig): CacheRows[] => layerCacheSpec(config, config.num_hidden_layers);

/** The outputs of a graph by name; `new.` and a pool's name for the rows that it gains. */
export function trace(name: GraphName, model: ModelBuilder, how: Tracing): Record<string, Tensor> {
  if (name === "draft") return traceDraft(model, how);
  return name === "recall" ? traceRecall(model, how) : tracePass(name, model, how);
}

function tracePass(name: Past["mode"], model: ModelBuilder, how: Tracing): Record<string, Tensor> {
  const { config } = model;
  const spec = cacheSpec(config);
  const [B, T]: [Dim, Dim] = name === "alone" ? [1, 1] : ["B", name === "step" ? 1 : "T"];
  const positions_BT = input("positions", "i64", [B, T]);
  const rows = new Rows(how.cache);
  const stored = storedRows(spec, how.cache);
  const held =
    name === "alone" ? stored.map(({ name: of, width, dtype }) => input(of, dtype, [1, "S", width])) : undefined;
  const past = rows.widened(spec, held ?? gathered(stored, input("table", "i64", [B, "N"])));
  const S = past[0]!.dim(-2);
  const rows_L = T === "T" ? input("rows", "i64", ["L"]) : undefined;
  const out = languageModel(model, input("ids", "i64", [B, T]), ropeOf(model, positions_BT, how), {
    past: {
      rows: past,
      mode: name,
      mask: name === "read" ? readMask(positions_BT, S) : pastMask(positions_BT, S),
      places_BT: positions_BT,
      kept: rows.kept,
      turned: turned(config, name),
    },
    rows_L,
  });
  const chosen = out.routings.map(({ experts_XK }) => {
    const experts = cast(experts_XK, "f32");
    return rows_L ? gather(experts, rows_L) : experts;
  });
  return {
    ...(how.experts && chosen.length > 0 ? { experts: concat(chosen, 1) } : {}),
    ...(name === "read" && rows_L ? { states: gather(out.hidden_XD, rows_L) } : {}),
    ...scoresOf(out.logits, input("sharpness", "f32", [out.logits.dim(0), 1])),
    ...rows.gained(spec, out.rows, B, T),
    ...(how.module ? hiddenGained(model, rows, out.hidden_XD, B, T) : {}),
  };
}

/**
 * seen_B2: the ids of a sequence's last two positions, the latter not read yet; places_B2: where the hidden states before them lie, of all blocks' positions. The
 * module's likeliest id (`guess`) is read behind the last one, as two rows of a check.
 */
function traceDraft(model: ModelBuilder, how: Tracing): Record<string, Tensor> {
  const { config } = model;
  const D = config.hidden_size;
  const own_B1 = input("positions", "i64", ["B", 1]);
  const before_B1 = sub(own_B1, one());
  const seen_B2 = input("seen", "i64", ["B", 2]);
  const table_BN = input("table", "i64", ["B", "N"]);
  const rope = ropeOf(model, own_B1, how);
  const rows = new Rows(how.cache);

  const joined_XD = joinedOf(model, seen_B2, input("places", "i64", ["B", 2]), rows);
  const [beforeJoined, ownJoined] = split(reshape(joined_XD, ["B", 2, D]), 1, [1, 1]);
  const flat = (x: Tensor | undefined) => reshape(x!, ["B", D]);
  const single = { B: "B", T: 1, X: "B" };
  const gained = mtpRows(model, 1, flat(beforeJoined), { ...rope, positions_BT: before_B1 }, single, rows.kept);
  const spec = moduleSpec(config);
  const held = rows.widened(spec, gathered(storedRows(spec, how.cache), table_BN));
  const S = held[0]!.dim(-2);
  const isFirst = less(reshape(iota(S), [1, 1, S]), one());
  const last = mtpLayer(model, 1, flat(ownJoined), rope, single, {
    rows: held.map((past, i) => placeRows(past, gained[i]!, before_B1)),
    mode: "step",
    mask: add(pastMask(own_B1, S), where(isFirst, HIDDEN_SCORE, 0)),
    places_BT: own_B1,
    kept: rows.kept,
  });
  const guess_B1 = topK(logits(model, last.hidden_XD), 1).indices;

  const positions_BT = concat([own_B1, add(own_B1, one())], 1);
  const main = cacheSpec(config);
  const [, own] = split(seen_B2, 1, [1, 1]);
  const out = languageModel(model, concat([own!, guess_B1], 1), ropeOf(model, positions_BT, how, rope), {
    past: {
      rows: rows.widened(main, gathered(storedRows(main, how.cache), table_BN)),
      mode: "check",
      mask: pastMask(positions_BT, S),
      places_BT: positions_BT,
      kept: rows.kept,
      turned: turned(config, "check"),
    },
  });
  return {
    guess: guess_B1,
    ...scoresOf(out.logits, input("sharpness", "f32", [out.logits.dim(0), 1])),
    ...rows.gained(main, out.rows, "B", 2),
    ...hiddenGained(model, rows, out.hidden_XD, "B", 2),
    ...rows.gained(
      spec,
      spec.map((_, i) => [gained[i]!, last.rows[i]!]),
      "B",
      2,
    ),
  };
}

/** The rows that the module's cache gains of the ids seen_BT at `positions`, with the hidden states before them as in `traceDraft`. */
function traceRecall(model: ModelBuilder, how: Tracing): Record<string, Tensor> {
  const positions_BT = input("positions", "i64", ["B", "T"]);
  const rows = new Rows(how.cache);
  const joined_XD = joinedOf(model, input("seen", "i64", ["B", "T"]), input("places", "i64", ["B", "T"]), rows);
  const tokens = { B: "B", T: "T", X: dimMul("B", "T") };
  const made = mtpRows(model, 1, joined_XD, ropeOf(model, positions_BT, how), tokens, rows.kept);
  return rows.gained(moduleSpec(model.config), made, "B", "T");
}

const one = (): Tensor => constant(i64([1, 1], [1]));

/** What the module's layer gets of each id and the hidden state of the position before it, which lies at `places`. */
function joinedOf(model: ModelBuilder, seen_BT: Tensor, places_BT: Tensor, rows: Rows): Tensor {
  const X = dimMul(seen_BT.dim(0), seen_BT.dim(1));
  const spec = hiddenSpec(model.config);
  const places_X = reshape(places_BT, [X]);
  const held = storedRows([spec], rows.form).map(({ name, width, dtype }) => {
    const pool = input(name, dtype, ["P", BLOCK_TOKENS * width]);
    return gather(reshape(pool, [dimMul("P", BLOCK_TOKENS), width]), places_X);
  });
  const [hidden_XD] = rows.widened([spec], held);
  return mtpJoined(model, 1, embed(model, reshape(seen_BT, [X])), hidden_XD!);
}

const hiddenGained = (model: ModelBuilder, rows: Rows, hidden_XD: Tensor, B: Dim, T: Dim) => {
  const spec = hiddenSpec(model.config);
  return rows.gained([spec], [rows.kept?.(hidden_XD, spec.parts) ?? hidden_XD], B, T);
};

/** Angles of positions; what fills a pass up may stand beyond the context, where nobody looks. The tables of `like` where they are there already. */
function ropeOf({ config }: ModelBuilder, positions: Tensor, { contextTokens }: Tracing, like?: Rope): Rope {
  const known = minimum(positions, constant(i64([], [contextTokens - 1])));
  return like ? { ...like, positions_BT: known } : ropeAt(config, known, contextTokens);
}

/** Rows on their way out of the cache and into it, in one graph. */
class Rows {
  readonly #rounding: Rounding | undefined;
  /** As `Past` takes it. */
  readonly kept: Past["kept"];

  constructor(readonly form: CacheForm) {
    this.#rounding = form === "int8" ? new Rounding() : undefined;
    this.kept = this.#rounding?.round;
  }

  /** In f32, of what is stored of `spec`. */
  widened(spec: readonly CacheRows[], held: readonly Tensor[]): Tensor[] {
    if (!this.#rounding) return [...held];
    return spec.map(({ parts }, i) => widened(held[2 * i]!, held[2 * i + 1]!, parts));
  }

  /** What is to be stored of rows of T tokens, by name; several in one place follow each other in T. */
  gained(spec: readonly CacheRows[], made: readonly (Tensor | Tensor[])[], B: Dim, T: Dim): Record<string, Tensor> {
    const parts = made.map((rows) =>
      [rows].flat().map((row) => (this.#rounding ? this.#rounding.of(row) : ([row] as const))),
    );
    const stored = storedRows(spec, this.form);
    const each = stored.length / spec.length;
    return Object.fromEntries(
      stored.map(({ name, heads, width }, i) => {
        const tokens = parts[Math.floor(i / each)]!.map((part) => part[i % each]!);
        const shaped = (row: Tensor, count: Dim) => reshape(row, [B, heads, count, width]);
        const only = tokens.length === 1;
        return [
          `new.${name}`,
          only
            ? shaped(tokens[0]!, T)
            : concat(
                tokens.map((row) => shaped(row, 1)),
                2,
              ),
        ];
      }),
    );
  }
}

/** Past rows taken from pools of blocks by a table of each sequence's. */
function gathered(stored: readonly StoredRows[], table_BN: Tensor): Tensor[] {
  const B = table_BN.dim(0);
  const S = dimMul(BLOCK_TOKENS, "N");
  return stored.map(({ name, heads: J, width, dtype }) => {
    const pool = input(name, dtype, [J === 1 ? "P" : `${J} a block`, BLOCK_TOKENS * width]);
    if (J === 1) return reshape(gather(pool, table_BN), [B, S, width]);
    const first = mul(reshape(table_BN, [B, 1, "N"]), constant(i64([], [J])));
    return reshape(gather(pool, add(first, reshape(iota(J), [1, J, 1]))), [B, J, S, width]);
  });
}

/** Whether a step's weighted sum of rows must go column by column: products of up to 64 columns, or cut to fewer than 128, group rows otherwise. */
function turned(config: ModelConfig, mode: Past["mode"]): boolean {
  const width = cacheSpec(config)[0]?.width ?? 0;
  return isLatent(config) && (width <= 64 || (mode !== "step" && width < 128 * threads()));
}

/**
 * What drawing needs: logits_LV; weights_LV = e^((logit − largest) · sharpness), and their sums over runs of RUN tokens; the largest logit and
 * Σ e^(logit − largest), from which the log of the whole sum is made in f64.
 */
function scoresOf(
  logits_LV: Tensor,
  sharpness_L1: Tensor,
): Record<"logits" | "weights" | "sums" | "largest" | "totals", Tensor> {
  const [L, V] = logits_LV.shape as [Dim, number];
  const largest_L1 = max(logits_LV, 1, true);
  // rows of whole runs: the exponential's last few of an odd length go another way
  const runs = Math.ceil(V / RUN);
  const filler = expand(constant(f32([1, 1], [-1e9])), [L, runs * RUN - V]);
  const below = sub(runs * RUN === V ? logits_LV : concat([logits_LV, filler], 1), largest_L1);
  const weights = exp(mul(below, sharpness_L1));
  const sums = sum(reshape(weights, [L, runs, RUN]), 2);
  return { logits: logits_LV, weights, sums, largest: largest_L1, totals: sum(exp(below), 1, true) };
}
