import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EOS, fakeModel, hashLogits, until } from "../../../test/support/fake-model.ts";
import { type GeneratedToken, type GenerateRequest, SAMPLING_DEFAULTS, type Sampling } from "../engine.ts";
import { ModelEngine } from "../model-engine.ts";
import { Drafts, type DraftsOptions, type Guesser } from "./drafts.ts";
import { Lookup } from "./lookup.ts";
import { Pace } from "./pace.ts";

const VOCAB = 261;
const all = async (tokens: AsyncIterable<GeneratedToken>): Promise<GeneratedToken[]> => {
  const out: GeneratedToken[] = [];
  for await (const token of tokens) out.push(token);
  return out;
};
const request = (prompt: readonly number[], sampling: Partial<Sampling>, maxTokens = 40): GenerateRequest => ({
  prompt,
  maxTokens,
  sampling: { ...SAMPLING_DEFAULTS, seed: 1, ...sampling },
  stopIds: [EOS],
});
/** Checks the longest that is proposed, whatever it costs. */
const eager: NonNullable<DraftsOptions["pace"]> = () => ({
  choose: (ways) => ways.at(-1),
  took: () => undefined,
  learn: () => undefined,
  stepSeconds: undefined,
});
/** Now one way, now another, now a step. */
const turns: DraftsOptions["pace"] = () => {
  let turn = 0;
  return { ...eager(1), choose: (ways) => ways[turn++ % (ways.length + 1)] };
};
/** Right in two of three places. */
const nowAndThen =
  (truth: (ids: readonly number[]) => number) =>
  (ids: readonly number[]): number =>
    ids.length % 3 > 0 ? truth(ids) : 7;
/** Right `of` times in ten, as it falls out; beyond that ids that nobody would expect. */
const guesses =
  (truth: (ids: readonly number[]) => number, of: number): Guesser =>
  ({ ids }, count) => {
    const so = [...ids];
    for (let i = 0; i < count; i++) {
      const isRight = (Math.imul(so.length, 2654435761) >>> 8) % 10 < of;
      so.push(isRight ? truth(so) : (so.length * 31) % 256);
    }
    return { kind: "test", ids: so.slice(ids.length) };
  };

/** Says the same things again and again, not quite: logits depend on the last two ids, and on the place a little. */
const babble = (ids: readonly number[]): Float32Array => {
  const logits = hashLogits(ids.slice(-2));
  logits[(ids.length * 7) % 50]! += ids.length % 5 === 0 ? 8 : 0;
  return logits.map((x) => 1.5 * x);
};

const samplings: fc.Arbitrary<Sampling> = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1),
  topP: fc.constantFrom(1, 0.9),
  topK: fc.constantFrom(0, 5),
  minP: fc.constantFrom(0, 0.02),
  frequencyPenalty: fc.constantFrom(0, 0.7),
  presencePenalty: fc.constantFrom(0, 0.4),
  repetitionPenalty: fc.constantFrom(1, 1.3),
  logitBias: fc.constantFrom(new Map<number, number>(), new Map([[7, 3]])),
  seed: fc.nat(),
});

describe("checked guesses change nothing", () => {
  test("tokens, log-probabilities and ends are those of plain steps, whatever is guessed and however it is drawn", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 40 }),
        fc.array(samplings, { minLength: 1, maxLength: 4 }),
        fc.constantFrom("lookup", "module", "both", 0, 3, 8, 10),
        fc.integer({ min: 6, max: 20 }),
        async (prompt, drawn, source, blocks) => {
          const likeliest = (ids: readonly number[]) =>
            babble(ids).reduce((best, x, i, of) => (x > of[best]! ? i : best), 0);
          const guesser = typeof source === "number" ? { guesser: guesses(likeliest, source) } : {};
          const module = source === "module" || source === "both";
          const pace = source === "both" ? turns : eager;
          const ask = (engine: ModelEngine) =>
            Promise.all(drawn.map((sampling) => all(engine.generate({ ...request(prompt, sampling), logprobs: 2 }))));
          const model = fakeModel(babble, { contextTokens: 96 });
          const plain = await ask(new ModelEngine(model));
          const options = {
            contextTokens: 96,
            cacheBytes: blocks * model.blockBytes,
            drafts: new Drafts(VOCAB, { ...guesser, module, pace }),
          };
          const engine = new ModelEngine(fakeModel(babble, { ...options, module: nowAndThen(likeliest) }), options);
          const checked = await ask(engine);
          const bare = (tokens: GeneratedToken[]) =>
            tokens.map(({ guessed: _, refuted: __, cachedTokens: ___, ...token }) => token);
          expect(checked.map(bare)).toEqual(plain.map(bare));
          expect(engine.blocks.held).toBe(0);
          const { guessed, accepted } = engine.drafts!;
          const marks = checked.flat();
          expect(marks.filter((token) => token.guessed).length).toBe(accepted);
          expect(guessed).toBeGreaterThanOrEqual(accepted);
        },
      ),
      {
        numRuns: 20,
        // an answer that ends with a token that was guessed
        examples: [
          [
            [0, 0, 120],
            [
              { ...SAMPLING_DEFAULTS, topK: 5, repetitionPenalty: 1.3, seed: 1899964419 },
              { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 },
            ],
            8,
            6,
          ],
        ],
      },
    );
  });

  test("what was guessed right costs no pass, and is told", async () => {
    const next = (ids: readonly number[]) => (ids.length * 11) % 250;
    const model = fakeModel(next);
    const drafts = new Drafts(VOCAB, { guesser: guesses(next, 10), pace: eager });
    const engine = new ModelEngine(model, { drafts });
    const tokens = await all(engine.generate(request([1, 2, 3], { temperature: 0 }, 41)));
    // the first comes with the prompt, then eight in each pass
    expect(model.counts.passes).toBe(1 + 5);
    expect(tokens.filter((token) => token.guessed)).toHaveLength(35);
    expect(tokens.some((token) => token.refuted)).toBe(false);
    expect(engine.drafts).toMatchObject({ checks: 5, steps: 0, guessed: 35, accepted: 35 });
  });

  test.each(["lookup", "module"])(
    "shared blocks stay as they are: forks of one prompt, each with wrong guesses: %s",
    async (source) => {
      const prompt = Array.from({ length: 27 }, (_, i) => i % 9);
      const drafts = new Drafts(VOCAB, { guesser: guesses(() => 3, 0), module: source === "module", pace: eager });
      const asked = { prompts: [prompt], n: 3, maxTokens: 30, seed: 4 };
      const engine = new ModelEngine(fakeModel(babble, { module: ({ length }) => length % 250 }), { drafts });
      const plain = new ModelEngine(fakeModel(babble));
      const expected = await plain.sample(asked);
      expect(await engine.sample(asked)).toEqual(expected);
      expect(await engine.sample(asked), "with the prompt remembered").toEqual(expected);
      expect(engine.drafts!.checks).toBeGreaterThan(20);
      expect(engine.blocks.held).toBe(0);
    },
  );

  test("the model's own module: two tokens a pass, also after steps with others", async () => {
    const next = (ids: readonly number[]) => (ids.length * 11) % 250;
    const model = fakeModel(next, { module: next });
    const engine = new ModelEngine(model, {
      drafts: new Drafts(VOCAB, { guesser: () => undefined, module: true, pace: eager }),
    });
    const tokens = await all(engine.generate(request([1, 2, 3], { temperature: 0 }, 41)));
    // the first comes with the prompt
    expect(model.counts.passes).toBe(1 + 20);
    expect(tokens.filter((token) => token.guessed)).toHaveLength(20);
    expect(engine.drafts).toMatchObject({ checks: 20, steps: 0, guessed: 20, accepted: 20 });
    // six at once make steps, until few are left: what the module has not seen by then it is told
    const lengths = [20, 30, 40, 50, 60, 70];
    const answers = await Promise.all(
      lengths.map((length, i) => all(engine.generate(request([4, i], { temperature: 0 }, length)))),
    );
    for (const [i, answer] of answers.entries())
      expect(answer.map(({ id }) => id)).toEqual(Array.from({ length: lengths[i]! }, (_, n) => ((2 + n) * 11) % 250));
    expect(engine.drafts!.accepted).toBeGreaterThan(40);
  });

  test("who leaves in the middle leaves nothing behind", async () => {
    const model = fakeModel(babble, { delayMs: 1, module: (ids) => ids.length % 5 });
    const drafts = new Drafts(VOCAB, { guesser: guesses((ids) => ids.length % 7, 5), module: true, pace: turns });
    const engine = new ModelEngine(model, { drafts });
    const left = new AbortController();
    const gone = all(engine.generate(request([1, 2], {}, 400), left.signal));
    await until(() => model.counts.passes > 4);
    left.abort(new Error("gone"));
    await expect(gone).rejects.toThrow("gone");
    let taken = 0;
    for await (const _ of engine.generate(request([1, 2], {}, 400))) if (++taken === 3) break;
    await until(() => engine.blocks.held === 0);
    const plain = await all(new ModelEngine(fakeModel(babble)).generate(request([5, 6], {})));
    const after = await all(engine.generate(request([5, 6], {})));
    expect(after.map(({ id }) => id)).toEqual(plain.map(({ id }) => id));
  });
});

test("what is drawn has the model's own distribution, with right guesses and with absurd ones", async () => {
  const V = 5;
  const table = (ids: readonly number[]) =>
    Float32Array.from({ length: V }, (_, v) => Math.sin(3 * v + (ids.at(-1) ?? 0)) + 0.4 * Math.cos(v * ids.length));
  const start = 2;
  /** The probability of every three tokens after `start`. */
  const expected = new Float64Array(V ** 3);
  const shares = (ids: readonly number[]) => {
    const e = Array.from(table(ids), Math.exp);
    const sum = e.reduce((a, b) => a + b, 0);
    return e.map((x) => x / sum);
  };
  for (const [a, pa] of shares([start]).entries())
    for (const [b, pb] of shares([start, a]).entries())
      for (const [c, pc] of shares([start, a, b]).entries()) expected[(a * V + b) * V + c] = pa * pb * pc;
  const likely = (ids: readonly number[]) => shares(ids).reduce((best, x, i, of) => (x > of[best]! ? i : best), 0);
  const COUNT = 3000;
  for (const guesser of [guesses(likely, 10), () => ({ kind: "absurd", ids: [0, 0] }), undefined] as Guesser[]) {
    const module = guesser === undefined;
    const drafts = new Drafts(V, { guesser: (one, count) => guesser?.(one, Math.min(count, 2)), module, pace: eager });
    const engine = new ModelEngine(fakeModel(table, { vocabSize: V, module: likely }), { drafts, maxActive: 4 });
    const answers = await engine.sample({ prompts: [[start]], n: COUNT, maxTokens: 3, seed: 12 });
    const seen = new Float64Array(V ** 3);
    for (const { ids } of answers) seen[(ids[0]! * V + ids[1]!) * V + ids[2]!]!++;
    let chi = 0;
    let rare = 0;
    let rareSeen = 0;
    let cells = 0;
    for (let i = 0; i < V ** 3; i++) {
      const mean = COUNT * expected[i]!;
      if (mean < 5) {
        rare += mean;
        rareSeen += seen[i]!;
        continue;
      }
      cells++;
      chi += (seen[i]! - mean) ** 2 / mean;
    }
    if (rare > 5) chi += (rareSeen - rare) ** 2 / rare;
    // Wilson and Hilferty: beyond 4 deviations once in 30,000 seeds
    const z = (Math.cbrt(chi / cells) - (1 - 2 / (9 * cells))) / Math.sqrt(2 / (9 * cells));
    expect(Math.abs(z)).toBeLessThan(4);
    expect(engine.drafts!.checks).toBeGreaterThan(COUNT / 8);
  }
});

describe("looking up", () => {
  test("finds the latest place that ends alike, by definition", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 6 }),
        (ids, count) => {
          const lookup = new Lookup(4);
          for (let n = 1; n <= ids.length; n++) {
            const so = ids.slice(0, n);
            const got = lookup.guess(so, count);
            let found = -1;
            for (let end = 1; end < n - 1; end++) if (so[end] === so[n - 1] && so[end - 1] === so[n - 2]) found = end;
            if (found < 0) {
              expect(got).toBeUndefined();
              continue;
            }
            let alike = 0;
            while (alike < 8 && alike <= found && so[found - alike] === so[n - 1 - alike]) alike++;
            expect(got!.alike).toBe(alike);
            const repeated = [...so];
            while (repeated.length < n + count) repeated.push(repeated[repeated.length - (n - 1 - found)]!);
            expect(got!.ids).toEqual(repeated.slice(n));
          }
        },
      ),
    );
  });
});

describe("pace", () => {
  const way = { name: "2", guesses: [{ kind: "k", count: 1 }] };
  /** Passes of a world in which a check takes so much longer than a step, and a guess is right so often; the share of time lost by guessing. */
  function world(passes: number, cost: number, right: number): { seconds: number; tokens: number; checks: number } {
    const pace = new Pace();
    let seconds = 0;
    let tokens = 0;
    let checks = 0;
    let state = 1;
    const random = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 1) / 2 ** 31;
    for (let i = 0; i < passes; i++) {
      const chosen = pace.choose([way]);
      const hit = random() < right;
      const took = (chosen ? cost : 1) * (0.9 + 0.2 * random()) * (random() < 0.01 ? 20 : 1);
      pace.took(chosen?.name, took);
      pace.learn("k", hit);
      seconds += chosen ? cost : 1;
      tokens += chosen && hit ? 2 : 1;
      if (chosen) checks++;
    }
    return { seconds, tokens, checks };
  }
  test("checks where it pays, nearly always", () => {
    const { seconds, tokens } = world(3000, 1.3, 0.9);
    expect(tokens / seconds).toBeGreaterThan(0.97 * (1.9 / 1.3));
  });
  test("a way is not given up for one slow pass, nor for another way that does not pay", () => {
    const pace = new Pace();
    const module = { name: "mtp", guesses: [{ kind: "mtp", count: 1 }] };
    const lookup = { name: "7", guesses: [{ kind: "look", count: 7 }] };
    const taken: (string | undefined)[] = [];
    for (let i = 0; i < 400; i++) {
      const chosen = pace.choose([lookup, module]);
      taken.push(chosen?.name);
      const isMtp = chosen === module;
      const first = taken.filter((name) => name === "mtp").length <= 2;
      pace.took(chosen?.name, isMtp ? (first ? 3 : 1.4) : chosen ? 4 : 1);
      pace.learn(isMtp ? "mtp" : "look", isMtp);
    }
    expect(taken.slice(100).filter((name) => name === "mtp").length).toBeGreaterThan(280);
    expect(taken.filter((name) => name === "7").length).toBeLessThan(20);
  });
  test("costs next to nothing where it does not pay", () => {
    for (const [cost, right] of [
      [1.5, 0.1],
      [2.5, 0.9],
      [1.2, 0.15],
    ] as const) {
      const { seconds, tokens, checks } = world(3000, cost, right);
      expect(seconds / tokens).toBeLessThan(1.02);
      expect(checks).toBeGreaterThan(2);
    }
  });
});
