/** Answers as micro-batches of one shape, for the policy objective. */
import type { Batch } from "../train/index.ts";
import { type Aggregation, tokenWeights } from "./policy.ts";
import type { Group } from "./rollouts.ts";

/** One answer as it is trained on. Values are of each of its tokens. */
export interface Answer {
  prompt: readonly number[];
  ids: Int32Array;
  advantage: number;
  /** It is read and counts nothing. */
  masked?: boolean;
  drawnLogProbabilities: Float32Array;
  oldLogProbabilities?: Float32Array;
  referenceLogProbabilities?: Float32Array;
  kept?: readonly Int32Array[];
  /** [tokens, layers · K]: the experts chosen in drawing. */
  experts?: Uint16Array;
}

export interface RowShape {
  /** Sequences of a micro-batch. */
  rows: number;
  /** Tokens of a sequence that are read and followed by a prediction: T. */
  tokens: number;
  /** Ids beyond T: 1 + MTP depth. */
  extra: number;
  /** Read where a sequence has ended, and never trained. */
  pad: number;
  /** Ids that each token was drawn from at most, where others were cut; 0: none were. */
  kept?: number;
}

/** Micro-batches, and `place[i]`: where in their [rows, T] answer i begins. */
export interface Laid {
  batches: Batch[];
  place: number[];
}

/** Lengths are rounded up to this, so that few shapes are compiled. */
const ROUND = 32;

/** T: enough for the longest question and answer. */
export function tokensFor(answers: readonly Pick<Answer, "prompt" | "ids">[]): number {
  const longest = answers.reduce((most, { prompt, ids }) => Math.max(most, prompt.length + ids.length), 2);
  return ROUND * Math.ceil((longest - 1) / ROUND);
}

/** Ids that a token was drawn from at most, rounded up to a power of 2; 0 where none were cut. */
export function keptFor(answers: readonly Pick<Answer, "kept">[]): number {
  let most = 0;
  for (const { kept = [] } of answers) for (const { length } of kept) most = Math.max(most, length);
  return most === 0 ? 0 : 2 ** Math.ceil(Math.log2(most));
}

/** The answers of groups, in their order; with `maskCut`, those that met the limit of tokens count nothing. */
export const answersOf = (groups: readonly Group[], maskCut = false): Answer[] =>
  groups.flatMap(({ prompt, rollouts }) =>
    rollouts.map(({ ids, advantage, drawnLogprobs, kept, experts, finish }) => ({
      prompt,
      ids,
      advantage,
      drawnLogProbabilities: drawnLogprobs,
      kept,
      experts,
      masked: maskCut && finish === "length",
    })),
  );

const VALUES = ["oldLogProbabilities", "referenceLogProbabilities", "drawnLogProbabilities"] as const;

/**
 * A row for each answer: the question (read, not trained), the sampled ids, padding. Weights are those of one update, so that it does not
 * matter how it is cut; rows that fill up the last micro-batch count nothing.
 */
export function microBatches(answers: readonly Answer[], shape: RowShape, aggregation: Aggregation): Laid {
  const { rows, tokens, extra, pad, kept: width = 0 } = shape;
  const weights = tokenWeights(
    answers.map(({ ids, masked }) => (masked ? 0 : ids.length)),
    aggregation,
  );
  const [wide, counted] = [tokens + extra, tokens + extra - 1];
  const batches: Batch[] = [];
  const place: number[] = [];
  for (let first = 0; first < answers.length; first += rows) {
    const ids = new Int32Array(rows * wide).fill(~pad);
    const tokenWeights = new Float32Array(rows * counted);
    const inputs: Record<string, Float32Array> = { advantages: new Float32Array(rows * tokens), tokenWeights };
    for (const key of VALUES) if (answers[0]?.[key]) inputs[key] = new Float32Array(rows * tokens);
    if (width > 0) inputs["keptIds"] = new Float32Array(rows * tokens * width);
    for (const [row, answer] of answers.slice(first, first + rows).entries()) {
      for (const [i, id] of answer.prompt.entries()) ids[row * wide + i] = ~id;
      ids.set(answer.ids, row * wide + answer.prompt.length);
      // an id is predicted at the place before its own
      const from = answer.prompt.length - 1;
      const at = row * tokens + from;
      inputs["advantages"]!.fill(answer.advantage, at, at + answer.ids.length);
      tokenWeights.fill(weights[first + row] ?? 0, row * counted + from, row * counted + from + answer.ids.length);
      for (const key of VALUES) if (answer[key]) inputs[key]?.set(answer[key], at);
      for (const [t, some] of (answer.kept ?? []).entries()) {
        const all = inputs["keptIds"]!.subarray((at + t) * width, (at + t + 1) * width);
        all.fill(some[0] ?? 0).set(some);
      }
      place.push(first * tokens + at);
    }
    batches.push({ ids, inputs });
  }
  return { batches, place };
}
