import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError } from "../../errors.ts";
import type { ScheduleEvent, ScheduleInput, ScheduleName, StageTimes } from "../types.ts";
import {
  activationBytes,
  breakdown,
  chunksOf,
  idleSeconds,
  makespan,
  rankOf,
  SCHEDULES,
  shapeProblem,
  simulate,
  slots,
  stagesOf,
} from "./index.ts";

function uniform(
  schedule: ScheduleName,
  pp: number,
  vp: number,
  microBatches: number,
  times: StageTimes,
  sendSeconds = 0,
): ScheduleInput {
  const shape = { schedule, pp, vp, microBatches };
  return { ...shape, sendSeconds, stages: Array.from({ length: stagesOf(shape) }, () => times) };
}

const times = (
  forward: number,
  backwardInput: number,
  backwardWeight: number,
  pair = forward + backwardInput + backwardWeight,
): StageTimes => ({ forward, backwardInput, backwardWeight, pair });

describe("closed forms, all stages alike", () => {
  it("1F1B takes (m + p - 1)(F + B) and rank r holds p - r micro-batches", () => {
    for (const [pp, m] of [
      [1, 3],
      [4, 2],
      [4, 4],
      [8, 20],
      [16, 120],
    ] as const) {
      const result = simulate(uniform("1f1b", pp, 1, m, times(2, 3, 1)));
      expect(result.seconds).toBeCloseTo((m + pp - 1) * 6, 9);
      expect(result.inFlight).toEqual(Array.from({ length: pp }, (_, r) => Math.min(m, pp - r)));
      expect(result.bubble).toBeCloseTo((pp - 1) / (m + pp - 1), 9);
    }
  });

  it("sending delays 1F1B by twice p - 1 sends in the fill and drain, and in the steady state as the cycle of p ranks needs", () => {
    // m = 1 has no steady state: F down and B up the pipe, each hop a send.
    expect(makespan(uniform("1f1b", 4, 1, 1, times(2, 3, 1), 0.5))).toBeCloseTo(4 * 6 + 2 * 3 * 0.5, 9);
  });

  it("interleaving divides the bubble by the chunks", () => {
    for (const [pp, vp, m] of [
      [4, 2, 8],
      [4, 4, 16],
      [8, 3, 24],
      [2, 5, 2],
    ] as const) {
      const input = uniform("interleaved", pp, vp, m, times(1, 1.5, 0.5));
      const result = simulate(input);
      expect(breakdown(result).idle).toBeCloseTo(idleSeconds(input, input.stages[0]!), 9);
      // vp chunks of a third make a rank's F + B of 3·vp, so its bubble is (p - 1)/vp of those.
      expect(result.seconds - m * vp * 3).toBeCloseTo(((pp - 1) / vp) * (vp * 3), 9);
      expect(result.inFlight[0]).toBe(Math.min(m * vp, 2 * (pp - 1) + (vp - 1) * pp + 1));
    }
    expect(simulate(uniform("interleaved", 4, 1, 7, times(1, 1, 1))).seconds).toBe(30);
  });

  it("ZB-H1 idles (p - 1)(F + B - 2W), B whole, in 1F1B's memory", () => {
    for (const [f, b, w] of [
      [1, 1, 1],
      [1, 1.4, 0.7],
      [1, 2, 0.5],
      [1, 1, 0.8],
    ] as const) {
      for (const [pp, m] of [
        [2, 4],
        [4, 8],
        [8, 32],
        [16, 64],
      ] as const) {
        const input = uniform("zero-bubble", pp, 1, m, times(f, b, w));
        const result = simulate(input);
        expect(breakdown(result).idle).toBeCloseTo(idleSeconds(input, input.stages[0]!), 9);
        expect(Math.max(...result.inFlight)).toBe(pp);
      }
    }
  });

  // The table of deepseek-ai/DualPipe counts a bubble that exists where B for inputs takes as long as F and W no longer. The rank at the fold then idles exactly that.
  // Ranks nearer the ends run fewer pairs and more single items, so where pairs save time they are busier and idle less in the same step.
  it("DualPipe idles (p/2 - 1)(F&B + B - 3W) at the fold", () => {
    for (const t of [times(1, 1, 1), times(1, 1, 1, 2.5), times(1, 1, 0.7, 2.3), times(2, 2, 1, 4)]) {
      for (const [pp, m] of [
        [2, 4],
        [4, 8],
        [8, 20],
        [16, 120],
      ] as const) {
        const input = uniform("dualpipe", pp, 1, m, t);
        const result = simulate(input);
        expect(result.ranks[pp / 2 - 1]!.idle).toBeCloseTo(idleSeconds(input, t), 9);
        expect(Math.max(...result.ranks.map((rank) => rank.idle))).toBeCloseTo(idleSeconds(input, t), 9);
        expect(result.inFlight).toEqual(Array.from({ length: pp }, () => pp + 1));
        expect(result.parameterCopies).toBe(2);
      }
    }
  });

  // Where B for inputs is longer than F, single backwards at the fill and drain hide behind others' work and the step ends a little earlier than the table says;
  // where it is shorter, or W longer than F, a little later.
  it("DualPipe stays near its table when F, B and W differ", () => {
    for (const [pp, t, expected] of [
      [16, times(1, 1.4, 0.7, 3.1), 20.7],
      [16, times(1, 2, 0.5, 3), 27],
      [8, times(1, 1.2, 1, 3), 6],
      [16, times(1, 0.8, 1, 2.5), 11.9],
    ] as const) {
      const input = uniform("dualpipe", pp, 1, 64, t);
      const idle = simulate(input).ranks[pp / 2 - 1]!.idle;
      expect(idle).toBeCloseTo(expected, 9);
      expect(Math.abs(idle - idleSeconds(input, t))).toBeLessThan(0.4 * idleSeconds(input, t));
    }
  });

  it("DualPipeV does on half the ranks what DualPipe does, for one copy of the model", () => {
    for (const [pp, m] of [
      [2, 4],
      [4, 10],
      [8, 40],
    ] as const) {
      const t = times(1, 1, 0.8, 2.4);
      const input = uniform("dualpipev", pp, 1, m, t);
      const result = simulate(input);
      expect(result.ranks[pp - 1]!.idle).toBeCloseTo(idleSeconds(input, t), 9);
      expect(result.inFlight).toEqual(Array.from({ length: pp }, () => 2 * pp + 1));
      expect([result.parameterCopies, result.chunks]).toEqual([1, 2]);
      // DualPipe of twice the ranks and twice the micro-batches (both ways) is the same order of work.
      expect(result.seconds).toBeCloseTo(simulate(uniform("dualpipe", 2 * pp, 1, 2 * m, t)).seconds, 9);
    }
  });
});

describe("DeepSeek-V3's step (arXiv:2505.09343, Table 4)", () => {
  // 16 ranks; a batch of 15,360 sequences over 2,048 / 16 = 128 pipelines, one sequence a micro-batch.
  const shape = { schedule: "dualpipe", pp: 16, vp: 1, microBatches: 15_360 / 128 } as const;
  const published = {
    forward: 1.13,
    backward: 1.99,
    weight: 0.48,
    pair: 13.95,
    idle: 2.06,
    optimizer: 0.29,
    step: 19.926,
  };

  it("has its numbers of slots per rank", () => {
    const count = slots(shape);
    expect(count).toEqual({ forward: 19.625, backward: 19.625, wholeBackwards: 8.125, weight: 11.5, pair: 100.375 });
    expect(count.forward + count.pair).toBe(120);
    expect(count.wholeBackwards + count.weight + count.pair).toBe(120);
  });

  it("gives back the published parts from the durations they imply, and a bubble below the published one", () => {
    const count = slots(shape);
    const forward = published.forward / count.forward,
      backwardWeight = published.weight / count.weight,
      pair = published.pair / count.pair;
    const backwardInput = (published.backward - count.wholeBackwards * backwardWeight) / count.backward;
    // 139 ms a pair, where a profile of one pair without pipeline communication (deepseek-ai/profile-data) spans 129 ms.
    expect(pair).toBeCloseTo(0.139, 3);
    expect(forward).toBeCloseTo(0.0576, 4);
    expect(backwardInput).toBeCloseTo(0.0841, 4);
    const result = simulate(uniform("dualpipe", 16, 1, 120, { forward, backwardInput, backwardWeight, pair }));
    const parts = breakdown(result);
    for (const kind of ["forward", "backward", "weight", "pair"] as const)
      expect(parts[kind]).toBeCloseTo(published[kind], 9);
    // Equal stages and free sending leave 0.80 s idle on average (0.92 at the fold) of the 2.06 published: the rest is sending, unequal stages and waiting that no order of work causes.
    expect(parts.idle).toBeCloseTo(0.8, 2);
    expect(result.ranks[7]!.idle).toBeCloseTo(0.92, 2);
    // One explanation that suffices: a last stage (with the head and MTP) that takes 1.2 times as long as the others, and 1.2 ms a send.
    const stage = { forward, backwardInput, backwardWeight, pair };
    const last = {
      forward: 1.2 * forward,
      backwardInput: 1.2 * backwardInput,
      backwardWeight: 1.2 * backwardWeight,
      pair: 1.2 * pair,
    };
    const uneven = simulate({
      ...shape,
      sendSeconds: 0.0012,
      stages: Array.from({ length: 16 }, (_, s) => (s === 15 ? last : stage)),
    });
    expect(breakdown(uneven).idle).toBeCloseTo(2.11, 2);
    expect(
      published.forward + published.backward + published.weight + published.pair + published.idle + published.optimizer,
    ).toBeCloseTo(published.step, 1);
    // 16 ranks of 1F1B would idle three times the published bubble.
    expect(
      idleSeconds({ ...shape, schedule: "1f1b" }, { forward, backwardInput, backwardWeight, pair }),
    ).toBeGreaterThan(2.7);
  });
});

const seconds = fc.integer({ min: 1, max: 40 }).map((tenth) => tenth / 10);
const shapes = fc
  .record({
    schedule: fc.constantFrom(...SCHEDULES),
    pp: fc.integer({ min: 1, max: 8 }),
    vp: fc.integer({ min: 1, max: 4 }),
    more: fc.integer({ min: 0, max: 16 }),
  })
  .map(({ schedule, pp: anyPp, vp: anyVp, more }) => {
    const pp = schedule === "dualpipe" ? 2 * Math.ceil(anyPp / 2) : anyPp;
    const vp = schedule === "interleaved" ? anyVp : 1;
    const microBatches =
      schedule === "interleaved"
        ? pp * (1 + (more % 5))
        : schedule === "dualpipe"
          ? 2 * pp + 2 * more
          : schedule === "dualpipev"
            ? 2 * pp + more
            : 1 + more;
    return { schedule, pp, vp, microBatches };
  });
const inputs: fc.Arbitrary<ScheduleInput> = shapes.chain((shape) =>
  fc
    .record({
      stages: fc.array(
        fc.record({ forward: seconds, backwardInput: seconds, backwardWeight: seconds, pair: seconds }),
        { minLength: stagesOf(shape), maxLength: stagesOf(shape) },
      ),
      sendSeconds: fc.integer({ min: 0, max: 10 }).map((tenth) => tenth / 10),
    })
    .map((rest) => ({ ...shape, ...rest })),
);

describe("any schedule, any stages", () => {
  it("runs every forward and backward once, none before what it needs, none beside another of its rank", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const result = simulate(input);
        const stages = stagesOf(input);
        const when = new Map<string, ScheduleEvent>();
        const once = (key: string, event: ScheduleEvent) => {
          expect(when.has(key)).toBe(false);
          when.set(key, event);
        };
        const lastEnd = Array.from({ length: input.pp }, () => 0);
        for (const event of [...result.events].sort((a, b) => a.start - b.start || a.end - b.end)) {
          expect(event.start).toBeGreaterThanOrEqual(lastEnd[event.rank]! - 1e-9);
          lastEnd[event.rank] = event.end;
          const at = `${event.stage}/${event.microBatch}`;
          expect(event.rank).toBe(rankOf(input, event.stage, event.microBatch));
          if (event.kind === "F" || event.kind === "FB") once(`F${at}`, event);
          if (event.kind === "B" || event.kind === "BW") once(`B${at}`, event);
          if (event.kind === "W" || event.kind === "BW") once(`W${at}`, event);
          if (event.kind === "FB") {
            once(`B${event.backward!.stage}/${event.backward!.microBatch}`, event);
            once(`W${event.backward!.stage}/${event.backward!.microBatch}`, event);
          }
        }
        expect(when.size).toBe(3 * stages * input.microBatches);
        const after = (later: string, earlier: string, send: number) =>
          expect(when.get(later)!.start).toBeGreaterThanOrEqual(when.get(earlier)!.end + send - 1e-9);
        for (let m = 0; m < input.microBatches; m++) {
          for (let s = 0; s < stages; s++) {
            const send = s > 0 && rankOf(input, s, m) !== rankOf(input, s - 1, m) ? input.sendSeconds : 0;
            if (s > 0) after(`F${s}/${m}`, `F${s - 1}/${m}`, send);
            if (s > 0) after(`B${s - 1}/${m}`, `B${s}/${m}`, send);
            after(`B${s}/${m}`, `F${s}/${m}`, 0);
            if (when.get(`W${s}/${m}`) !== when.get(`B${s}/${m}`)) after(`W${s}/${m}`, `B${s}/${m}`, 0);
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it("conserves rank-seconds and never beats its busiest rank", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        const result = simulate(input);
        let busy = 0;
        result.ranks.forEach((rank, r) => {
          const work = rank.forward + rank.backward + rank.weight + rank.pair;
          const measured = result.events
            .filter((event) => event.rank === r)
            .reduce((sum, event) => sum + event.end - event.start, 0);
          expect(measured).toBeCloseTo(work, 6);
          expect(work + rank.idle).toBeCloseTo(result.seconds, 6);
          expect(result.seconds).toBeGreaterThanOrEqual(work - 1e-9);
          busy += work;
        });
        expect(result.bubble * result.seconds * input.pp + busy).toBeCloseTo(result.seconds * input.pp, 6);
        const parts = breakdown(result);
        expect(parts.forward + parts.backward + parts.weight + parts.pair + parts.idle).toBeCloseTo(result.seconds, 6);
        const quick = simulate(input, { events: false });
        expect({ ...quick, events: result.events }).toEqual(result);
        expect(makespan(input)).toBe(result.seconds);
      }),
      { numRuns: 150 },
    );
  });

  it("never shortens when anything takes longer", () => {
    fc.assert(
      fc.property(
        inputs,
        fc.nat(),
        fc.constantFrom("forward", "backwardInput", "backwardWeight", "pair", "send"),
        seconds,
        (input, any, what, extra) => {
          const before = makespan(input);
          const at = any % input.stages.length;
          const longer =
            what === "send"
              ? { ...input, sendSeconds: input.sendSeconds + extra }
              : {
                  ...input,
                  stages: input.stages.map((stage, s) =>
                    s === at ? { ...stage, [what]: stage[what] + extra } : stage,
                  ),
                };
          expect(makespan(longer)).toBeGreaterThanOrEqual(before - 1e-9);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("more micro-batches never raise the bubble's share, stages alike", () => {
    fc.assert(
      fc.property(shapes, seconds, seconds, fc.integer({ min: 1, max: 3 }), (shape, base, w, factor) => {
        const t = times(base, base, w, 0.85 * (2 * base + w));
        const share = (microBatches: number) =>
          simulate(uniform(shape.schedule, shape.pp, shape.vp, microBatches, t), { events: false }).bubble;
        const step = shape.schedule === "interleaved" ? shape.pp : 2;
        expect(share(shape.microBatches + factor * step)).toBeLessThanOrEqual(share(shape.microBatches) + 1e-9);
      }),
      { numRuns: 200 },
    );
  });

  it("weighs activations as it counts them", () => {
    fc.assert(
      fc.property(shapes, (shape) => {
        const result = simulate(uniform(shape.schedule, shape.pp, shape.vp, shape.microBatches, times(1, 1, 1)), {
          events: false,
        });
        const ones = Array.from({ length: stagesOf(shape) }, () => 1);
        expect(activationBytes(shape, ones)).toEqual(result.inFlight);
        activationBytes(shape, ones, 0.25).forEach((bytes, r) =>
          expect(bytes).toBeLessThanOrEqual(result.inFlight[r]! + 1e-9),
        );
        expect(result.chunks).toBe(chunksOf(shape));
      }),
    );
  });
});

it("weighs unequal stages rank by rank", () => {
  expect(activationBytes({ schedule: "1f1b", pp: 3, vp: 1, microBatches: 9 }, [10, 20, 30])).toEqual([30, 40, 30]);
  // ZB-H1's last rank keeps two W waiting: with nothing kept for W it holds a single micro-batch.
  expect(activationBytes({ schedule: "zero-bubble", pp: 3, vp: 1, microBatches: 9 }, [10, 10, 10], 0)).toEqual([
    30, 20, 10,
  ]);
  expect(activationBytes({ schedule: "zero-bubble", pp: 3, vp: 1, microBatches: 9 }, [10, 10, 10], 1)).toEqual([
    30, 30, 30,
  ]);
});

it("prefers, for V3's stage times, DualPipe to ZB-H1 to 1F1B", () => {
  const t = times(0.0576, 0.0841, 0.0417, 0.139);
  const of = (schedule: ScheduleName) => makespan(uniform(schedule, 16, 1, 120, t));
  expect(of("dualpipe")).toBeLessThan(of("zero-bubble"));
  expect(of("zero-bubble")).toBeLessThan(of("1f1b"));
});

describe("what cannot run", () => {
  const refused = (schedule: ScheduleName, pp: number, vp: number, microBatches: number) =>
    shapeProblem({ schedule, pp, vp, microBatches });
  it("says what is wrong and the nearest that works", () => {
    expect(refused("dualpipe", 7, 1, 40)).toBe(
      "schedule dualpipe: expected an even pp, got 7; the nearest that work are 6 and 8",
    );
    expect(refused("dualpipe", 8, 1, 21)).toContain("got 21; the nearest that work are 20 and 22");
    expect(refused("dualpipe", 8, 1, 7)).toContain("at least 2·pp = 16, got 7; the nearest that works is 16");
    expect(refused("dualpipev", 8, 1, 15)).toContain("the nearest that works is 16");
    expect(refused("interleaved", 4, 2, 10)).toContain("multiple of pp=4, got 10; the nearest that work are 8 and 12");
    expect(refused("interleaved", 4, 2, 3)).toContain("the nearest that works is 4");
    expect(refused("1f1b", 4, 2, 8)).toContain("vp=2 works with the interleaved schedule");
    expect(refused("zero-bubble", 4, 1, 0)).toContain("the nearest is 1");
    expect(refused("1f1b", 2.5, 1, 8)).toContain("whole number");
    expect(refused("dualpipe", 8, 1, 16)).toBeUndefined();
    expect(refused("gpipe" as ScheduleName, 8, 1, 16)).toContain("1f1b, interleaved");
  });

  it("throws ConfigError, for missing and impossible times too", () => {
    const input = uniform("1f1b", 4, 1, 8, times(1, 1, 1));
    expect(() => simulate({ ...input, schedule: "dualpipe", microBatches: 7 })).toThrow(ConfigError);
    expect(() => simulate({ ...input, stages: input.stages.slice(1) })).toThrow(/expected times of 4 stages .* got 3/);
    expect(() =>
      simulate({ ...input, stages: input.stages.map((s, i) => (i === 2 ? { ...s, backwardInput: NaN } : s)) }),
    ).toThrow(/backwardInput of stage 2/);
    expect(() => makespan({ ...input, sendSeconds: -1 })).toThrow(/sendSeconds/);
    expect(() => slots({ schedule: "dualpipe", pp: 3, vp: 1, microBatches: 8 })).toThrow(ConfigError);
    expect(() => activationBytes(input, [1])).toThrow(/4 stages/);
  });
});
