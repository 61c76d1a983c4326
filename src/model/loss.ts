/** What a sequence's tokens cost: the cross-entropy of the model and of its MTP modules, and V3's pretraining loss made of them. */
import { ShapeError } from "../errors.ts";
import {
  add,
  type CrossEntropy,
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
  stopGradient,
  sub,
  type Tensor,
  where,
} from "../tensor/index.ts";
import { type ModelBuilder, ropeFromStart } from "./builder.ts";
import { hasMoe, mtpDepth } from "./mixture.ts";
import { balanceLoss, type Routing } from "./moe.ts";
import { mtpModule } from "./mtp.ts";
import { headKey } from "./parameters.ts";
import { embed, transformer } from "./transformer.ts";

export interface PredictOptions {
  /** i64, shaped like ids: what each place should predict as a target; negative: not trained. Default: ids. */
  targets?: Tensor;
  /** MTP modules to run; default all. */
  depth?: number;
  /** The modules' gradients stay in them: the model, its embedding and its head get none. */
  detachMtp?: boolean;
  /** Divides the model's logits, not those of the modules. */
  temperature?: number;
  /** Also gives the entropy of the model's every prediction. */
  entropy?: boolean;
  /** Ids [B·T, kept] that the model's predictions are among; the others are cut. */
  kept_XK?: Tensor;
}

export interface Predictions {
  /** What the model makes of each place, [B·T, D], and the head that predicts from it, [V, D]. */
  hidden_XD: Tensor;
  head_VD: Tensor;
  /** Of the model: nll_X [B·T] of token t+1 at place t. */
  main: CrossEntropy;
  /** Of module k, from 1, at index k − 1: of token t+1+k at place t. */
  mtp: CrossEntropy[];
  /** Decisions of the mixture layers, in order, those of the MTP modules last. */
  routings: Routing[];
  /** Rows of the embedding that were read, [B·(T + depth), D] with their ids: the table's gradient is theirs, added up by id. */
  embedded: Tensor;
  embeddedIds: Tensor;
  tokens: { B: number; T: number; X: number };
}

/**
 * Predicts within ids [B, T + 1 + depth] (i64, lengths known): tokens 0 … T−1 are read, 1 … T predicted, and module k predicts
 * k + 1 … T + k. A token t given as ~t (−1 − t) is read but not predicted: part of no loss, its nll 0. arXiv:2412.19437 §2.2.
 */
export function predict(model: ModelBuilder, ids: Tensor, options: PredictOptions = {}): Predictions {
  const { config } = model;
  const { targets = ids, depth = mtpDepth(config), detachMtp = false, temperature, entropy, kept_XK } = options;
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
  const head = model.weight(headKey(config));

  const { hidden_XD, routings } = transformer(model, part(embedded_BLD, 0, D), rope, tokens);
  const main = scope("head", () =>
    linearCrossEntropy(hidden_XD, head, part(targets, 1), { products: model.head, temperature, entropy, kept_XK }),
  );
  const own = (x: Tensor) => (detachMtp ? stopGradient(x) : x);
  const { head: products } = model;
  // What multiplies by the head knows it by its name, which the stopped one has not.
  const mtpProducts = products && { ...products, toInput: (d_XV: Tensor) => products.toInput(d_XV, head) };
  let before_XD = own(hidden_XD);
  const mtp: CrossEntropy[] = [];
  for (let k = 1; k <= depth; k++) {
    const module = mtpModule(model, k, own(part(embedded_BLD, k, D)), before_XD, rope, tokens);
    before_XD = module.hidden_XD;
    if (module.routing) routings.push(module.routing);
    mtp.push(
      scope("head", () => linearCrossEntropy(before_XD, own(head), part(targets, 1 + k), { products: mtpProducts })),
    );
  }
  return { hidden_XD, head_VD: head, main, mtp, routings, embedded, embeddedIds, tokens };
}

export interface LossOptions extends Pick<PredictOptions, "targets" | "depth"> {
  /** λ: weight of the mean of the MTP losses. A tensor may be fed, so that it can change while training. */
  lambda?: number | Tensor;
  /** α: weight of the sequence-wise balance loss of every mixture layer; 0 leaves it out. */
  alpha?: number;
}

export interface TrainingLoss extends Pick<Predictions, "routings" | "embedded" | "embeddedIds"> {
  /** main + λ · mean(mtp) + α · Σ balance, scalar. */
  loss: Tensor;
  mainLoss: Tensor;
  mtpLosses: Tensor[];
  /** Σ over the mixture layers without α; absent when α is 0 or there are none. */
  balanceLoss?: Tensor;
  /** Negative log-likelihood of each target of the main model, [B·T]. */
  nll_X: Tensor;
}

/** V3's pretraining loss of ids [B, T + 1 + depth], read as `predict` says. arXiv:2412.19437 eq. 21-25. */
export function trainingLoss(model: ModelBuilder, ids: Tensor, options: LossOptions = {}): TrainingLoss {
  const { config } = model;
  const { lambda = 0.3, alpha = 0, ...rest } = options;
  const { main, mtp, tokens, routings, embedded, embeddedIds } = predict(model, ids, rest);
  const mtpLosses = mtp.map(({ loss }) => loss);
  let loss = main.loss;
  if (mtpLosses.length > 0) loss = add(loss, mul(div(mtpLosses.reduce(add), mtpLosses.length), lambda));
  const balanceOf = (routing: Routing) => scope("balance", () => balanceLoss(config, routing, tokens));
  const balanced = alpha > 0 && hasMoe(config) && routings.length > 0;
  const balance = balanced ? routings.map(balanceOf).reduce(add) : undefined;
  if (balance) loss = add(loss, mul(balance, scalar(alpha)));
  return {
    routings,
    embedded,
    embeddedIds,
    loss,
    mainLoss: main.loss,
    mtpLosses,
    balanceLoss: balance,
    nll_X: main.nll_X,
  };
}
