/** A layer's list of operations: products and passes over memory, with what recomputation does again. */
import type { Collective, Group, Job, Op, Precision } from "./types.ts";

/** What a recomputation runs again: attention's core, what is cheap, every second product (and everything cheap). */
export type Redo = "core" | "cheap" | "alternate";

/** Which of them a job's selective recomputation is. */
export const redoOf = (job: Job): Redo => {
  if (job.selective === "alternateEager") return "alternate";
  return job.selective ?? ((job.fusedAttention ?? true) ? "cheap" : "core");
};

/** Bytes of 16-bit numbers. */
export const HALF = 2;
/** A number in FP8 with its share of a 32-bit scale for every 128. */
export const FP8 = 1 + 4 / 128;

interface LinearOptions {
  count?: number;
  precision?: Precision;
  redo?: Redo[];
  /** Operands that are in 8 bits without a cast of their own. */
  free?: ("input" | "gradient")[];
}

/** Collects a layer's operations: what is added forward brings its backward along. */
export class Operations {
  readonly forward: { op: Op; redo: Redo[] }[] = [];
  readonly backwardInput: Op[] = [];
  readonly backwardWeight: Op[] = [];
  /** Run in every backward pass whatever the layout says: a fused attention's scores. */
  readonly again: Op[] = [];

  constructor(readonly precision: Precision) {}

  /**
   * `count` products x[m,k]·w[k,n] and their two backward products; FP8 brings its casts: each operand is read in 16 bits and written in 8 (twice where it is
   * needed transposed), but costs nothing where what made it (a norm, an activation) writes 8 bits instead, or where it came in 8 bits (`free`).
   */
  linear(name: string, m: number, n: number, k: number, o: LinearOptions = {}): void {
    const { count = 1, precision = this.precision, redo = [], free = [] } = o;
    const gemm = (suffix: string, m: number, n: number, k: number): Op => ({
      kind: "gemm",
      name: name + suffix,
      m,
      n,
      k,
      count,
      precision,
    });
    if (precision === "fp8") {
      if (!free.includes("input"))
        this.memory(`${name} cast`, count * m * k * (HALF + 1), 0, redo.includes("cheap") ? redo : ["alternate"]);
      if (!free.includes("gradient"))
        this.backwardInput.push({ kind: "memory", name: `${name} gradient cast`, bytes: count * m * n * (HALF + 2) });
      this.backwardWeight.push({ kind: "memory", name: `${name} transpose`, bytes: count * m * k * 2 });
    }
    this.forward.push({ op: gemm("", m, n, k), redo });
    this.backwardInput.push(gemm(" dx", m, k, n));
    this.backwardWeight.push(gemm(" dw", k, n, m));
  }

  memory(name: string, forwardBytes: number, backwardBytes: number, redo: Redo[] = ["cheap", "alternate"]): void {
    if (forwardBytes > 0) this.forward.push({ op: { kind: "memory", name, bytes: forwardBytes }, redo });
    if (backwardBytes > 0) this.backwardInput.push({ kind: "memory", name: `${name} back`, bytes: backwardBytes });
  }

  /** Rows sorted by expert, or back: read and written, as often as software does it. */
  routed(name: string, forwardBytes: number, backwardBytes: number): void {
    this.forward.push({ op: { kind: "memory", name, bytes: forwardBytes, routed: true }, redo: ["alternate"] });
    this.backwardInput.push({ kind: "memory", name: `${name} back`, bytes: backwardBytes, routed: true });
  }

  /** A collective forward and its mirror image backward; nothing where the group is one GPU. */
  collective(
    name: string,
    group: Group,
    size: number,
    forward: Collective,
    bytes: number,
    backward: Collective,
    backwardBytes = bytes,
    nodesPerToken?: number,
  ): void {
    if (size <= 1 || bytes === 0) return;
    const op = (collective: Collective, suffix: string, b: number): Op => ({
      kind: "collective",
      name: name + suffix,
      collective,
      bytes: b,
      group,
      overlaps: group === "cp",
      ...(nodesPerToken !== undefined && { nodesPerToken }),
    });
    this.forward.push({ op: op(forward, "", bytes), redo: forward === "allGather" ? ["alternate"] : [] });
    this.backwardInput.push(op(backward, " back", backwardBytes));
  }
}

/** Matrix FLOPs of operations: products and attention, two for a multiply and an add. */
export const matrixFlops = (ops: Op[]): number =>
  ops.reduce(
    (a, op) => a + (op.kind === "gemm" ? 2 * op.m * op.n * op.k * op.count : op.kind === "attention" ? op.flops : 0),
    0,
  );
