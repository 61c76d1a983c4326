/** The mixture of experts: routing, the experts' products, the sequence-wise balance loss. */
import {
  add,
  cast,
  collect,
  constant,
  type Dim,
  dimMul,
  dispatch,
  div,
  expand,
  f32,
  gatherElements,
  i64,
  iota,
  lengthOf,
  mean,
  mul,
  nonZero,
  reshape,
  scatterElements,
  sigmoid,
  softmax,
  split,
  stopGradient,
  sub,
  sum,
  type Tensor,
  topK,
  transpose,
  where,
  zerosLike,
} from "../tensor/index.ts";
import type { ModelBuilder, Tokens } from "./builder.ts";
import type { ModelConfig } from "./config.ts";
import { feedForward, swigluWeights } from "./ffn.ts";
import { type Mixture, mixtureOf } from "./mixture.ts";

/** Lower than any score: an expert of a group that was not chosen. */
const EXCLUDED = -1e30;

/** What a mixture layer decided for its tokens. */
export interface Routing {
  /** Affinity of every token to every expert, 0 … 1. */
  scores_XE: Tensor;
  /** The chosen experts and the weights of their outputs. */
  experts_XK: Tensor;
  weights_XK: Tensor;
  /** Tokens per expert, as f32. */
  load_E: Tensor;
}

/**
 * DeepSeekMoE: out_XD = Σ weight · expert(x) over the chosen experts + shared(x). No token is dropped. arXiv:2412.19437 §2.1.2.
 */
export function mixture(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  tokens: Tokens,
): { out_XD: Tensor; routing: Routing } {
  const routing = route(model, x_XD, at);
  const shared_XD =
    mixtureOf(model.config).shared > 0 ? feedForward(model, x_XD, `${at}.shared_experts`) : zerosLike(x_XD);
  return { out_XD: addExperts(model, x_XD, at, routing, tokens, shared_XD), routing };
}

/**
 * Scores and choice. V3: sigmoid scores, choice by score + correction bias (bias and choice get no gradient), weights from
 * the scores alone. Elsewhere: softmax scores. Experts outside the best groups count as −∞, as in DeepSeek's code.
 */
export function route(model: ModelBuilder, x_XD: Tensor, at: string): Routing {
  const { experts: E, perToken: K, scores, groups, normalized, scaling } = mixtureOf(model.config);
  const logits_XE = model.linear(x_XD, `${at}.gate`);
  const scores_XE = scores === "sigmoid" ? sigmoid(logits_XE) : softmax(logits_XE);
  const bias = `${at}.gate.e_score_correction_bias`;
  const free = stopGradient(scores_XE);
  const choice_XE = model.has(bias) ? add(free, model.weight(bias)) : free;
  const { indices: experts_XK } = topK(groups ? keepBestGroups(choice_XE, E, groups) : choice_XE, K);
  let weights_XK = gatherElements(scores_XE, experts_XK, 1, true);
  if (normalized) weights_XK = div(weights_XK, add(sum(weights_XK, 1, true), 1e-20));
  const chosen_XE = scatterElements(zerosLike(free), experts_XK, ones(experts_XK.shape), 1);
  return {
    scores_XE,
    experts_XK,
    weights_XK: mul(weights_XK, scaling),
    load_E: reshape(sum(chosen_XE, 0), [E]),
  };
}

/** Excludes experts outside the best groups. A group's score: V3 the sum of its two best, V2 its best. */
function keepBestGroups(
  choice_XE: Tensor,
  E: number,
  { count: G, kept, best }: NonNullable<Mixture["groups"]>,
): Tensor {
  const X = choice_XE.dim(0);
  const choice_XGE = reshape(choice_XE, [X, G, E / G]);
  const group_XG = sum(topK(choice_XGE, best).values, 2);
  const { indices } = topK(group_XG, kept);
  const kept_XG = scatterElements(zerosLike(group_XG), indices, ones(indices.shape), 1);
  const kept_XG1 = cast(reshape(kept_XG, [X, G, 1]), "bool");
  return reshape(where(kept_XG1, choice_XGE, EXCLUDED), [X, E]);
}

const ones = (shape: readonly Dim[]): Tensor => expand(constant(f32([1, 1], [1])), shape);

/** Sorts the X·K assignments by expert, runs every expert on its own rows, and adds the weighted results to `onto_XD`. */
function addExperts(
  model: ModelBuilder,
  x_XD: Tensor,
  at: string,
  routing: Routing,
  { X }: Tokens,
  onto_XD: Tensor,
): Tensor {
  const { experts: E, perToken: K } = mixtureOf(model.config);
  const A = dimMul(X, K);
  const { assignment_A, token_A1 } = sortByExpert(routing.experts_XK, X, E, K, A);
  const counts_E = cast(routing.load_E, "i64");
  const lengths = Array.from({ length: E }, (_, e) => `${at}.experts.${e}.rows`);
  const tokens = split(token_A1, 0, counts_E, lengths);
  const weight_A1 = reshape(gatherElements(reshape(routing.weights_XK, [A]), assignment_A, 0, true), [A, 1]);
  if (model.swiglu) {
    const blocks = tokens.map((_, e) => swigluWeights(model, `${at}.experts.${e}`));
    return model.swiglu(x_XD, blocks, { onto_XD, weight_A1, token_A1, assignment_A, tokens, counts_E });
  }
  const weights = split(weight_A1, 0, counts_E, lengths);
  const outs = dispatch(x_XD, tokens).map((rows, e) => feedForward(model, rows, `${at}.experts.${e}`, weights[e]));
  return collect(outs, tokens, onto_XD);
}

/** Orders the assignments (numbered x·K + k) by expert, then token. `assignment_A` and `token_A1`: which one stands at each place, and its token. */
function sortByExpert(experts_XK: Tensor, X: Dim, E: number, K: number, A: Dim) {
  const number_XK = reshape(add(iota(A), whole(1)), [X, K]);
  const number_XE = scatterElements(expand(constant(i64([1, 1], [0])), [X, E]), experts_XK, number_XK, 1);
  const number_EX = transpose(number_XE, [1, 0]);
  const [expert_1A, token_1A] = split(nonZero(number_EX, A), 0, [1, 1]);
  const place_A = reshape(add(mul(expert_1A, lengthOf(X)), token_1A), [A]);
  const assignment_A = sub(gatherElements(reshape(number_EX, [dimMul(E, X)]), place_A, 0, true), whole(1));
  return { assignment_A, token_A1: reshape(token_1A, [A, 1]) };
}

const whole = (n: number): Tensor => constant(i64([1], [n]));

/**
 * V3's sequence-wise balance loss without its factor α, averaged over the sequences: Σ f·P per sequence, with f the share of its
 * tokens that have the expert among their K best plain scores (times E/K) and P the mean normalized score. arXiv:2412.19437 eq. 17-20.
 */
export function balanceLoss(config: ModelConfig, { scores_XE }: Routing, { B, T }: Tokens): Tensor {
  const { experts: E, perToken: K } = mixtureOf(config);
  const { indices } = topK(stopGradient(scores_XE), K);
  const best_XE = scatterElements(zerosLike(scores_XE), indices, ones(indices.shape), 1);
  const f_BE = mul(mean(reshape(best_XE, [B, T, E]), 1), E / K);
  const share_XE = div(scores_XE, sum(scores_XE, 1, true));
  const p_BE = mean(reshape(share_XE, [B, T, E]), 1);
  return mean(sum(mul(f_BE, p_BE), 1));
}
