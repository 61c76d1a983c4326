import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { EOS, fakeModel, hashLogits, until, VOCAB } from "../../test/support/fake-model.ts";
import { type GeneratedToken, type GenerateRequest, SAMPLING_DEFAULTS } from "./engine.ts";
import { ModelEngine } from "./model-engine.ts";
import { argmax, logSumExp } from "./sampling.ts";

const request = (prompt: number[], options: Partial<GenerateRequest> = {}): GenerateRequest => ({
  prompt,
  maxTokens: 8,
  sampling: { ...SAMPLING_DEFAULTS, temperature: 0, seed: 0 },
  stopIds: [],
  ...options,
});
const all = async (tokens: AsyncIterable<GeneratedToken>): Promise<GeneratedToken[]> => {
  const out: GeneratedToken[] = [];
  for await (const token of tokens) out.push(token);
  return out;
};
/** The greedy answer by definition: every token from all before it, without any engine. */
function greedy(prompt: number[], n: number): number[] {
  const tokens = [...prompt];
  for (let i = 0; i < n; i++) tokens.push(argmax(hashLogits(tokens)));
  return tokens.slice(prompt.length);
}
const prompts = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 20 });

test("tokens are those of the model, however the prompt is cut into passes", async () => {
  await fc.assert(
    fc.asyncProperty(prompts, fc.integer({ min: 1, max: 21 }), async (prompt, prefillTokens) => {
      const model = fakeModel(hashLogits);
      const engine = new ModelEngine(model, { prefillTokens });
      const tokens = await all(engine.generate(request(prompt, { logprobs: 2 })));
      expect(tokens.map((t) => t.id)).toEqual(greedy(prompt, 8));
      expect(tokens.map((t) => t.finish)).toEqual([...new Array(7).fill(undefined), "length"]);
      expect(tokens[0]!.top![0]).toEqual({ id: tokens[0]!.id, logprob: tokens[0]!.logprob });
      expect(engine.blocks.held).toBe(0);
      expect(model.counts.tokens).toBe(prompt.length + 7);
    }),
    { numRuns: 40 },
  );
});

test("scores are the log probabilities of each token after those before it", async () => {
  await fc.assert(
    fc.asyncProperty(prompts, fc.integer({ min: 1, max: 21 }), async (prompt, prefillTokens) => {
      const model = fakeModel(hashLogits);
      const engine = new ModelEngine(model, { prefillTokens });
      const scores = await engine.score(prompt, 1);
      expect(scores.map((s) => s.id)).toEqual(prompt);
      scores.forEach((score, i) => {
        if (i === 0) return expect(score).toEqual({ id: prompt[0], logprob: null, top: null });
        const logits = hashLogits(prompt.slice(0, i));
        expect(score.logprob).toBeCloseTo(logits[prompt[i]!]! - logSumExp(logits), 9);
        expect(score.top![0]!.id).toBe(argmax(logits));
      });
      let received: unknown;
      const scorePrompt = { top: 1, receive: (s: unknown) => void (received = s) };
      const tokens = await all(engine.generate(request(prompt, { scorePrompt })));
      expect(received).toEqual(scores);
      expect(tokens.map((t) => t.id)).toEqual(greedy(prompt, 8));
      expect(engine.blocks.held).toBe(0);
    }),
    { numRuns: 40 },
  );
});

test("an end token ends the text and is told", async () => {
  const engine = new ModelEngine(fakeModel((tokens) => (tokens.length < 5 ? 65 : EOS)));
  const tokens = await all(engine.generate(request([1, 2], { stopIds: [EOS] })));
  expect(tokens.map((t) => t.id)).toEqual([65, 65, 65, EOS]);
  expect(tokens.at(-1)!.finish).toBe("stop");
});

test("requests that run together give what each gives alone, and share the passes evenly", async () => {
  const model = fakeModel(hashLogits);
  const engine = new ModelEngine(model, { maxActive: 3, prefillTokens: 9 });
  const sampling = (seed: number) => ({ ...SAMPLING_DEFAULTS, seed });
  const order: number[] = [];
  const run = async (seed: number): Promise<number[]> => {
    const ids: number[] = [];
    for await (const token of engine.generate(request([seed, 2, 3], { sampling: sampling(seed) }))) {
      ids.push(token.id);
      order.push(seed);
    }
    return ids;
  };
  const alone: number[][] = [];
  for (let seed = 0; seed < 6; seed++) alone.push(await run(seed));
  order.length = 0;
  expect(await Promise.all([0, 1, 2, 3, 4, 5].map(run))).toEqual(alone);
  // nobody is ahead by more than the pass in which it came first, and one token not yet taken
  for (let n = 1; n <= 20; n++) {
    const counts = [0, 1, 2].map((seed) => order.slice(0, n).filter((one) => one === seed).length);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2);
  }
  expect(model.counts.widest).toBe(3);
  expect(engine.status()).toEqual({ active: 0, waiting: 0 });
});

describe("leaving", () => {
  test("a consumer that stops reading frees its cache", async () => {
    const model = fakeModel(hashLogits);
    const engine = new ModelEngine(model);
    for await (const _ of engine.generate(request([1], { maxTokens: 100 }))) break;
    // it may be some tokens ahead, not more
    expect(model.counts.passes).toBeLessThanOrEqual(4);
    await until(() => engine.blocks.held === 0);
    expect(engine.status()).toEqual({ active: 0, waiting: 0 });
  });

  test("an aborted request stops after the pass it is in", async () => {
    const model = fakeModel(hashLogits, { delayMs: 2 });
    const engine = new ModelEngine(model);
    const left = new AbortController();
    const running = all(engine.generate(request([1], { maxTokens: 400 }), left.signal));
    await until(() => model.counts.passes >= 3);
    left.abort(new Error("gone"));
    const passes = model.counts.passes;
    await expect(running).rejects.toThrow("gone");
    await until(() => engine.blocks.held === 0);
    expect(model.counts.passes).toBeLessThanOrEqual(passes + 1);
  });

  test("a waiting request can leave the line, and the line moves on", async () => {
    const model = fakeModel(hashLogits, { delayMs: 1 });
    const engine = new ModelEngine(model, { maxActive: 1, maxWaiting: 2 });
    const first = all(engine.generate(request([1])));
    const left = new AbortController();
    const second = all(engine.generate(request([2]), left.signal));
    const third = all(engine.generate(request([3])));
    await until(() => engine.status().waiting === 2);
    await expect(all(engine.generate(request([4])))).rejects.toThrow(/2 requests are waiting/);
    left.abort(new Error("gone"));
    await expect(second).rejects.toThrow("gone");
    expect((await first).map((t) => t.id)).toEqual(greedy([1], 8));
    expect((await third).map((t) => t.id)).toEqual(greedy([3], 8));
  });

  test("a closed engine aborts what runs and refuses what comes", async () => {
    const model = fakeModel(hashLogits, { delayMs: 1 });
    const engine = new ModelEngine(model);
    const running = all(engine.generate(request([1], { maxTokens: 400 })));
    await until(() => model.counts.passes > 1);
    await Promise.all([expect(running).rejects.toThrow(/closed/), engine.close()]);
    await expect(all(engine.generate(request([1])))).rejects.toThrow(/closed/);
    expect(engine.blocks.held).toBe(0);
  });
});

test("a model that fails fails its request only", async () => {
  let broken = true;
  const model = fakeModel((tokens) => {
    if (broken && tokens.length > 2) return new Float32Array(VOCAB).fill(NaN);
    return hashLogits(tokens);
  });
  const engine = new ModelEngine(model);
  await expect(all(engine.generate(request([1, 2])))).rejects.toThrow(/NaN/);
  expect(engine.blocks.held).toBe(0);
  broken = false;
  expect((await all(engine.generate(request([1, 2])))).map((t) => t.id)).toEqual(greedy([1, 2], 8));
});

test("what does not fit is refused", async () => {
  const engine = new ModelEngine(fakeModel(hashLogits, { contextTokens: 10 }));
  await expect(all(engine.generate(request([1, 2, 3])))).rejects.toThrow(/fit in 10 tokens, got 3 \+ 8/);
  await expect(all(engine.generate(request([])))).rejects.toThrow(/at least one/);
  await expect(all(engine.generate(request([VOCAB])))).rejects.toThrow(/token ids from 0 to 260, got 261/);
  expect(await all(engine.generate(request([1, 2])))).toHaveLength(8);
});
