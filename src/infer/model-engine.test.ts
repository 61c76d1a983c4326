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

test("a guide says what may come, late or not; one that fails ends its own sequence alone", async () => {
  const engine = new ModelEngine(fakeModel(hashLogits));
  const only = (ids: number[], late: boolean) => {
    let at = 0;
    return {
      ready: () => (late ? new Promise<void>((resolve) => setTimeout(resolve, 1)) : undefined),
      allowed: () => {
        const bits = new Uint32Array(VOCAB / 32 + 1);
        bits[ids[at]! >> 5]! |= 1 << (ids[at]! % 32);
        return bits;
      },
      accept: (id: number) => void (at += id === ids[at] ? 1 : NaN),
    };
  };
  const broken = {
    ready: () => undefined,
    allowed: () => {
      throw new Error("no grammar");
    },
    accept: () => undefined,
  };
  const answers = await Promise.allSettled([
    all(engine.generate(request([1, 2], { guide: only([5, 4, 3], true), maxTokens: 3 }))),
    all(engine.generate(request([1, 2], { guide: only([200, 33, 7], false), maxTokens: 3 }))),
    all(engine.generate(request([1, 2], { maxTokens: 3 }))),
    all(engine.generate(request([1, 2], { guide: broken, maxTokens: 3 }))),
  ]);
  const ids = answers.map((one) => (one.status === "fulfilled" ? one.value.map((t) => t.id) : String(one.reason)));
  expect(ids).toEqual([[5, 4, 3], [200, 33, 7], greedy([1, 2], 3), "Error: no grammar"]);
  expect(engine.blocks.held).toBe(0);
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

/** A prompt that no other begins like. */
const promptOf = (length: number, first = 0): number[] => Array.from({ length }, (_, i) => (i * 7 + first) % 256);
const drawn = (seed: number) => ({ ...SAMPLING_DEFAULTS, seed });

describe("what was read is not read again", () => {
  test("n answers to one prompt read it once, and each is as if it were asked alone", async () => {
    const model = fakeModel(hashLogits);
    const engine = new ModelEngine(model, { prefillTokens: 64 });
    const prompt = promptOf(200);
    const ask = (seed: number) => all(engine.generate(request(prompt, { maxTokens: 20, sampling: drawn(seed) })));
    const together = await Promise.all([0, 1, 2, 3, 4, 5, 6, 7].map(ask));
    expect(model.counts.tokens).toBe(200 + 8 * 19);
    expect(together.map((tokens) => tokens[0]?.cachedTokens)).toEqual([0, ...new Array(7).fill(200)]);
    const fresh = new ModelEngine(fakeModel(hashLogits));
    for (const [seed, tokens] of together.entries()) {
      const alone = await all(fresh.generate(request(prompt, { maxTokens: 20, sampling: drawn(seed) })));
      expect(tokens.map(({ id }) => id)).toEqual(alone.map(({ id }) => id));
    }
    expect(engine.blocks.held).toBe(0);
  });

  test("a later prompt that begins alike is read from there on, until the weights change", async () => {
    const model = fakeModel(hashLogits);
    const engine = new ModelEngine(model);
    const ask = async (prompt: number[]) => {
      const before = model.counts.tokens;
      const tokens = await all(engine.generate(request(prompt, { maxTokens: 1 })));
      expect(tokens[0]?.id).toBe(greedy(prompt, 1)[0]);
      return { cached: tokens[0]?.cachedTokens, read: model.counts.tokens - before };
    };
    expect(await ask(promptOf(100))).toEqual({ cached: 0, read: 100 });
    expect(await ask(promptOf(100))).toEqual({ cached: 96, read: 4 });
    expect(await ask([...promptOf(70), 1, 2, 3])).toEqual({ cached: 64, read: 9 });
    expect(await ask(promptOf(96))).toEqual({ cached: 80, read: 16 });
    model.version++;
    expect(await ask(promptOf(100))).toEqual({ cached: 0, read: 100 });
  });

  test("who waits for another's reading goes on with it when that one leaves", async () => {
    const model = fakeModel(hashLogits, { delayMs: 1 });
    const engine = new ModelEngine(model, { prefillTokens: 16 });
    const prompt = promptOf(200);
    const left = new AbortController();
    const first = all(engine.generate(request(prompt), left.signal));
    const others = [1, 2].map((seed) => all(engine.generate(request(prompt, { sampling: drawn(seed) }))));
    await until(() => model.counts.tokens >= 64);
    left.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    for (const tokens of await Promise.all(others)) expect(tokens).toHaveLength(8);
    expect(model.counts.tokens).toBe(200 + 2 * 7);
    expect(engine.blocks.held).toBe(0);
  });
});

describe("many answers at once", () => {
  test("are in order, with both probabilities of every token, and told of as they come", async () => {
    const model = fakeModel(hashLogits);
    const engine = new ModelEngine(model, { maxActive: 32 });
    const prompts = Array.from({ length: 30 }, (_, i) => promptOf(1 + i, i));
    const told: number[] = [];
    const sampling = { temperature: 0.5, topK: 20 };
    const answers = await engine.sample({
      prompts,
      n: 4,
      maxTokens: 12,
      sampling,
      seed: 9,
      onProgress: ({ answers: count }) => told.push(count),
    });
    expect(told).toEqual(Array.from({ length: 120 }, (_, i) => i + 1));
    expect(model.counts.widest).toBe(32);
    for (const index of [0, 5, 77, 119]) {
      const { ids, logprobs, drawnLogprobs, finish } = answers[index]!;
      expect(finish).toBe("length");
      const tokens = [...prompts[index >> 2]!];
      const sampler = { ...SAMPLING_DEFAULTS, ...sampling, seed: 9 + index * 2 ** 32 };
      const alone = await all(engine.generate(request(tokens, { maxTokens: 12, sampling: sampler })));
      expect([...ids]).toEqual(alone.map(({ id }) => id));
      for (const [t, id] of ids.entries()) {
        const logits = hashLogits(tokens);
        expect(logprobs[t]).toBeCloseTo(logits[id]! - logSumExp(logits), 4);
        const best = logits.toSorted((a, b) => b - a).slice(0, 20);
        expect(drawnLogprobs[t]).toBeCloseTo(ratio(logits[id]!, best, 0.5), 4);
        tokens.push(id);
      }
    }
  });

  test("can be aborted", async () => {
    const model = fakeModel(hashLogits, { delayMs: 1 });
    const engine = new ModelEngine(model);
    const left = new AbortController();
    const prompts = Array.from({ length: 300 }, (_, i) => promptOf(20, i));
    const running = engine.sample({ prompts, maxTokens: 100, seed: 1 }, left.signal);
    await until(() => model.counts.passes > 5);
    left.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
    await until(() => engine.blocks.held === 0);
    expect(engine.status()).toEqual({ active: 0, waiting: 0 });
  });
});

/** log of one's share among others, at a temperature. */
const ratio = (logit: number, among: Float32Array, temperature: number): number =>
  logit / temperature - logSumExp(among.map((other) => other / temperature));

test("with few blocks the youngest wait again, and nobody's tokens change", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 60 })), {
        minLength: 2,
        maxLength: 10,
      }),
      fc.integer({ min: 11, max: 24 }),
      async (sizes, blocks) => {
        const model = fakeModel(hashLogits, { contextTokens: 160 });
        const engine = new ModelEngine(model, { cacheBytes: blocks * model.blockBytes, prefillTokens: 40 });
        const ask = ([length, maxTokens]: [number, number], seed: number) =>
          all(engine.generate(request(promptOf(length, 3 * seed), { maxTokens, sampling: drawn(seed) })));
        const together = await Promise.all(sizes.map(ask));
        const roomy = new ModelEngine(fakeModel(hashLogits, { contextTokens: 160 }));
        for (const [seed, [length, maxTokens]] of sizes.entries()) {
          const options = { maxTokens, sampling: drawn(seed) };
          const alone = await all(roomy.generate(request(promptOf(length, 3 * seed), options)));
          expect(together[seed]?.map(({ id }) => id)).toEqual(alone.map(({ id }) => id));
        }
        expect(engine.blocks.held).toBe(0);
      },
    ),
    { numRuns: 25 },
  );
});

/** Requests of all kinds, some left at any moment; at the end nothing is held and a last answer is right. */
async function mixed(count: number, seed: number): Promise<void> {
  const model = fakeModel((tokens) => (tokens.length % 97 === 0 ? EOS : hashLogits(tokens)), { contextTokens: 200 });
  const engine = new ModelEngine(model, { maxActive: 40, cacheBytes: 300 * model.blockBytes, prefillTokens: 100 });
  let state = seed;
  const random = (n: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 1) % n;
  const pending = new Set<Promise<unknown>>();
  for (let i = 0; i < count; i++) {
    const left = new AbortController();
    const prompt = promptOf(1 + random(100), random(6));
    const options = { maxTokens: 1 + random(60), sampling: drawn(i), stopIds: [EOS], logprobs: random(3) || undefined };
    const kind = random(10);
    const client = ["a", "b", "c"][random(3)];
    const work = async () => {
      if (kind === 0) await engine.score(prompt, 1, left.signal, client);
      else if (kind === 1)
        await engine.sample({ prompts: [prompt, prompt], n: 2, maxTokens: 20, seed: i }, left.signal, client);
      else {
        let taken = 0;
        for await (const _ of engine.generate(request(prompt, options), left.signal, client))
          if (kind === 2 && ++taken === 5) break;
      }
    };
    const one: Promise<unknown> = work()
      .catch((error: Error) => expect(error.message).toBe("left"))
      .finally(() => pending.delete(one));
    pending.add(one);
    if (kind > 6) setTimeout(() => left.abort(new Error("left")), random(20));
    if (pending.size > 60) await Promise.race(pending);
  }
  await Promise.all(pending);
  expect(engine.status()).toEqual({ active: 0, waiting: 0 });
  await until(() => engine.blocks.held === 0);
  model.version++;
  const tokens = await all(engine.generate(request([1, 2, 3])));
  expect(tokens.map(({ id }) => id)).toEqual(greedy([1, 2, 3], 8));
  // three tokens fill no block: nothing is remembered
  expect(engine.blocks).toEqual({ held: 0, remembered: 0 });
}

test("requests of all kinds that come and leave at any moment leave nothing behind", () => mixed(300, 7));

test.runIf(process.env.SUMBI_TEST === "full")("10,000 of them", () => mixed(10_000, 11), 600_000);

test("whoever is alone lies in a row of blocks, though it shares a prompt with one before it: its past is read in place", async () => {
  const model = fakeModel(hashLogits);
  const run = model.run.bind(model);
  const tables: number[][] = [];
  model.run = (pass) => {
    if (pass.kind === "step") tables.push(Array.from(pass.lines[0]!.table));
    return run(pass);
  };
  const engine = new ModelEngine(model);
  const prompt = Array.from({ length: 32 }, (_, i) => (i * 7) % 256);
  const [first, second] = [
    await all(engine.generate(request(prompt, { maxTokens: 20 }))),
    await all(engine.generate(request(prompt, { maxTokens: 20 }))),
  ];
  expect(second.map(({ id }) => id)).toEqual(first.map(({ id }) => id));
  expect(second[0]!.cachedTokens).toBe(16);
  expect(tables).toHaveLength(38);
  for (const table of tables) expect(table).toEqual(table.map((_, n) => table[0]! + n));
  expect(engine.blocks.held).toBe(0);
});
