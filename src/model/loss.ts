import { ShapeError } from "../errors.ts";
import {
  add,
  constant,
  div,
  i64,
  less,
  linearCrossEntropy,
  mul,
  reshape,
  scalar,
  scope,
  slice,
  sub,
  type Tensor,
  where,
} from "../tensor/index.ts";
import { type ModelBuilder, ropeFromStart } from "./builder.ts";
import { type DeepseekConfig, hasMoe, mtpDepth } from "./config.ts";
import { balanceLoss, type Routing } from "./moe.ts";
import { mtpModule } from "./mtp.ts";
import { headKey } from "./parameters.ts";
import { embed, transformer } from "./transformer.ts";

export interface LossOptions {
  /** λ: weight of the mean of the MTP losses. A tensor may be fed, so that it can change while training. */
  lambda?: number | Tensor;
  /** α: weight of the sequence-wise balance loss of every mixture layer; 0 leaves it out. */
  alpha?: number;
  /** i64, shaped like ids: what each place should predict as a target; negative: not trained. Default: ids. */
  targets?: Tensor;
  /** MTP modules to train; default all. */
  depth?: number;
}

export interface TrainingLoss {
  /** main + λ · mean(mtp) + α · Σ balance, scalar. */
  loss: Tensor;
  mainLoss: Tensor;
  mtpLosses: Tensor[];
  /** Σ over the mixture layers without α; absent when α is 0 or there are none. */
  balanceLoss?: Tensor;
  /** Decisions of the mixture layers, in order, those of the MTP modules last. */
  routings: Routing[];
  /** Rows of the embedding that were read, [B·L', D] with their ids [B·L']: the table's gradient is theirs, added up by id. */
  embedded: Tensor;
  embeddedIds: Tensor;
  /** Negative log-likelihood of each target of the main model, [B·T]. */
  nll_X: Tensor;
}

/**
 * The training loss of ids [B, T + 1 + depth] (i64, lengths known): tokens 0 … T−1 are read, 1 … T predicted, and module k predicts
 * k + 1 … T + k. A token t given as ~t (−1 − t) is read but not predicted: part of no loss. arXiv:2412.19437 eq. 21-25.
 */
export function trainingLoss(model: ModelBuilder, ids: Tensor, options: LossOptions = {}): TrainingLoss {
  const { config } = model;
  const { lambda = 0.3, alpha = 0, targets = ids, depth = mtpDepth(config) } = options;
  const [B, L] = ids.shape;
  if (typeof B !== "number" || typeof L !== "number")
    throw new ShapeError(`loss: expected ids of known lengths, got [${ids.shape}]`);
  const D = config.hidden_size;
  const T = L - 1 - depth;
  const tokens = { B, T, X: B * T };
  const rope = ropeFromStart(config, B, T);
  const part = (of: Tensor, start: number, width?: number) =>
    reshape(slice(of, 1, start, start + T), width === undefined ? [B * T] : [B * T, width]);
  const given = reshape(slice(ids, 1, 0, T + depth), [B * (T + depth)]);
  const embeddedIds = where(less(given, constant(i64([], [0]))), sub(constant(i64([], [-1])), given), given);
  const embedded = embed(model, embeddedIds);
  const embedded_BLD = reshape(embedded, [B, T + depth, D]);
  const crossEntropy = (hidden_XD: Tensor, shift: number) =>
    scope("head", () => linearCrossEntropy(hidden_XD, model.weight(headKey(config)), part(targets, shift), model.head));

  const main = transformer(model, part(embedded_BLD, 0, D), rope, tokens);
  const routings = [...main.routings];
  const { loss: mainLoss, nll_X } = crossEntropy(main.hidden_XD, 1);
  let loss = mainLoss;
  let hidden_XD = main.hidden_XD;
  const mtpLosses: Tensor[] = [];
  for (let k = 1; k <= depth; k++) {
    const module = mtpModule(model, k, part(embedded_BLD, k, D), hidden_XD, rope, tokens);
    hidden_XD = module.hidden_XD;
    if (module.routing) routings.push(module.routing);
    mtpLosses.push(crossEntropy(hidden_XD, 1 + k).loss);
  }
  if (depth > 0) loss = add(loss, mul(div(mtpLosses.reduce(add), depth), lambda));
  const balanced = alpha > 0 && hasMoe(config) && routings.length > 0;
  const balance = balanced
    ? routings
        .map((routing) => scope("balance", () => balanceLoss(config as DeepseekConfig, routing, tokens)))
        .reduce(add)
    : undefined;
  if (balance) loss = add(loss, mul(balance, scalar(alpha)));
  return { loss, mainLoss, mtpLosses, balanceLoss: balance, routings, embedded, embeddedIds, nll_X };
}
