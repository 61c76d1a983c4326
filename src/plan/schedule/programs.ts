/** What each rank of a pipeline does in which order: 1F1B, interleaved, zero-bubble, DualPipe and DualPipeV. */
import type { ScheduleShape } from "./shape.ts";

/** Kinds of work, as the numbers that programs hold. FB: a forward and a whole backward of two chunks, run together. */
export const F = 0,
  B = 1,
  W = 2,
  BW = 3,
  FB = 4;
export const KIND_NAMES = ["F", "B", "W", "BW", "FB"] as const;

/** Numbers per item: kind, stage, micro-batch, and for FB the stage and micro-batch that go backward (else -1). */
export const ITEM = 5;

/** What one rank does, in order: items of `ITEM` numbers. */
export type Program = number[];

/** The order of work of every rank. The order never depends on how long anything takes, so longer work can never finish a step earlier. */
export function programsOf(shape: ScheduleShape): Program[] {
  return Array.from({ length: shape.pp }, (_, rank) => {
    const writer = new Writer();
    switch (shape.schedule) {
      case "1f1b":
        oneForwardOneBackward(writer, shape, rank);
        break;
      case "interleaved":
        shape.vp === 1 ? oneForwardOneBackward(writer, shape, rank) : interleaved(writer, shape, rank);
        break;
      case "zero-bubble":
        zeroBubble(writer, shape, rank);
        break;
      case "dualpipe": {
        // The second half of the ranks mirrors the first with the directions exchanged.
        const mirrored = rank >= shape.pp / 2;
        const half = shape.microBatches / 2;
        const along = { stage: rank, first: 0 },
          against = { stage: shape.pp - 1 - rank, first: half };
        bidirectional(
          writer,
          mirrored ? [against, along] : [along, against],
          shape.pp / 2,
          mirrored ? shape.pp - 1 - rank : rank,
          half,
        );
        break;
      }
      case "dualpipev":
        bidirectional(
          writer,
          [
            { stage: rank, first: 0 },
            { stage: 2 * shape.pp - 1 - rank, first: 0 },
          ],
          shape.pp,
          rank,
          shape.microBatches,
        );
        break;
    }
    return writer.program;
  });
}

/** Fills the pipe with pp - rank forwards, then one backward for one forward (PipeDream-Flush, arXiv:2006.09503; arXiv:2104.04473 §2.2). */
function oneForwardOneBackward(out: Writer, { pp, microBatches: m }: ScheduleShape, rank: number): void {
  const warmup = Math.min(pp - 1 - rank, m);
  for (let i = 0; i < warmup; i++) out.f(rank, i);
  for (let i = 0; i < m; i++) {
    if (warmup + i < m) out.f(rank, warmup + i);
    out.bw(rank, i);
  }
}

/** vp chunks a rank, stage = chunk·pp + rank; micro-batches pass each chunk in groups of pp (Megatron-LM, arXiv:2104.04473 §2.2). */
function interleaved(out: Writer, { pp, vp, microBatches: m }: ScheduleShape, rank: number): void {
  const total = m * vp;
  const warmup = Math.min((pp - 1 - rank) * 2 + (vp - 1) * pp, total);
  const group = pp * vp;
  const microBatchAt = (i: number) => Math.floor(i / group) * pp + (i % pp);
  const chunkAt = (i: number) => Math.floor((i % group) / pp);
  const forward = (i: number) => out.f(chunkAt(i) * pp + rank, microBatchAt(i));
  const backward = (i: number) => out.bw((vp - 1 - chunkAt(i)) * pp + rank, microBatchAt(i));
  for (let i = 0; i < warmup; i++) forward(i);
  for (let i = 0; i < total; i++) {
    if (warmup + i < total) forward(warmup + i);
    backward(i);
  }
}

/**
 * ZB-H1 (arXiv:2401.10241 §2): 1F1B with the backward cut in two; rank r lets r gradients of weights wait, so that later ranks send
 * their B sooner and fill the end with W. No rank holds more than pp micro-batches, as in 1F1B.
 */
function zeroBubble(out: Writer, { pp, microBatches: m }: ScheduleShape, rank: number): void {
  const warmup = Math.min(pp - 1 - rank, m);
  for (let i = 0; i < warmup; i++) out.f(rank, i);
  for (let i = 0; i < m; i++) {
    if (warmup + i < m) out.f(rank, warmup + i);
    out.b(rank, i);
    if (out.waiting > rank) out.w();
  }
  while (out.waiting > 0) out.w();
}

/**
 * DualPipe and DualPipeV: the eight phases of deepseek-ai/DualPipe, `half` ranks from an end to the fold, this one `depth` from the end.
 * Way 0 enters the pipe near this rank, way 1 far from it; `count` micro-batches go each way.
 */
function bidirectional(out: Writer, ways: [Way, Way], half: number, depth: number, count: number): void {
  const forwards = [0, 0],
    backwards = [0, 0];
  const f = (way: 0 | 1) => out.f(ways[way].stage, ways[way].first + forwards[way]!++);
  const b = (way: 0 | 1, split: boolean) => {
    const microBatch = ways[way].first + backwards[way]!++;
    if (split) out.b(ways[way].stage, microBatch);
    else out.bw(ways[way].stage, microBatch);
  };
  const pair = (ahead: 0 | 1, back: 0 | 1) =>
    out.fb(
      ways[ahead].stage,
      ways[ahead].first + forwards[ahead]!++,
      ways[back].stage,
      ways[back].first + backwards[back]!++,
    );
  const toFold = half - 1 - depth;

  for (let i = 0; i < 2 * toFold; i++) f(0);
  for (let i = 0; i <= depth; i++) {
    f(0);
    f(1);
  }
  for (let i = 0; i < toFold; i++) {
    b(1, true);
    out.w();
    f(1);
  }
  const pairs = count - 2 * half + depth + 1;
  for (let i = 0; i < pairs; i++) {
    // At the fold the first two are better one after the other: the backward's neighbour waits for it.
    if (i === 0 && toFold === 0) {
      f(0);
      b(1, false);
    } else pair(0, 1);
    pair(1, 0);
  }
  for (let i = 0; i < toFold; i++) {
    b(1, false);
    pair(1, 0);
  }
  // 2·(depth + 1) backwards; the second half of them leaves its W for the gaps that follow.
  for (let i = 0; i < 2 * (depth + 1); i++) b(i % 2 === 0 ? 1 : 0, i > depth);
  for (let i = 0; i < toFold; i++) {
    out.w();
    b(0, true);
  }
  while (out.waiting > 0) out.w();
}

interface Way {
  stage: number;
  /** Its first micro-batch. */
  first: number;
}

class Writer {
  readonly program: Program = [];
  /** (stage, micro-batch) pairs whose W is still to run, oldest first from `next`. */
  private readonly kept: number[] = [];
  private next = 0;

  get waiting(): number {
    return (this.kept.length - this.next) / 2;
  }
  f(stage: number, microBatch: number): void {
    this.program.push(F, stage, microBatch, -1, -1);
  }
  b(stage: number, microBatch: number): void {
    this.kept.push(stage, microBatch);
    this.program.push(B, stage, microBatch, -1, -1);
  }
  w(): void {
    this.program.push(W, this.kept[this.next++]!, this.kept[this.next++]!, -1, -1);
  }
  bw(stage: number, microBatch: number): void {
    this.program.push(BW, stage, microBatch, -1, -1);
  }
  fb(stage: number, microBatch: number, backStage: number, backMicroBatch: number): void {
    this.program.push(FB, stage, microBatch, backStage, backMicroBatch);
  }
}

/**
 * Peak of what each rank's activations weigh, `weightOfStage` being one micro-batch's at a stage. A forward adds it before a paired backward
 * takes its own away; B gives back all but the share kept for W.
 */
export function heldPeaks(
  programs: Program[],
  weightOfStage: (stage: number) => number,
  keptForWeights: number,
): number[] {
  return programs.map((program) => {
    let held = 0,
      peak = 0;
    for (let i = 0; i < program.length; i += ITEM) {
      const kind = program[i]!,
        weight = weightOfStage(program[i + 1]!);
      if (kind === F || kind === FB) held += weight;
      if (held > peak) peak = held;
      if (kind === BW) held -= weight;
      else if (kind === FB) held -= weightOfStage(program[i + 3]!);
      else if (kind === B) held -= weight * (1 - keptForWeights);
      else if (kind === W) held -= weight * keptForWeights;
    }
    return peak;
  });
}
