import { setTimeout as delay } from "node:timers/promises";
import type { Engine, GeneratedToken, GenerateRequest } from "../../src/infer/index.ts";
import { RunReader, type RunRecord } from "../../src/runs/index.ts";
import { createApp } from "../../src/serve/app.ts";
import { pageRoutes } from "../../src/serve/pages.ts";
import { listen, type RunningServer } from "../../src/serve/server.ts";
import type { ServeTokenizer } from "../../src/serve/tokens.ts";

/** What a scripted model says to a question. `msPerToken` 0 writes as fast as it can. */
export interface Script {
  text: string;
  msPerToken?: number;
}

const EOS = 256;
const USER = "\u0001user:";
const END = "\u0002";
const BEGUN = "\u0001assistant:";
const encoder = new TextEncoder();

/** Whether each prompt was to be thought about. */
const asked: (boolean | undefined)[] = [];

/** One token per byte, and one that ends the text: enough of a tokenizer to serve any text. */
const byteTokenizer: ServeTokenizer = {
  vocabSize: 257,
  bosId: undefined,
  eosIds: [EOS],
  encode: (text) => [...encoder.encode(text)],
  decode: (ids) => new TextDecoder().decode(new Uint8Array([...ids].filter((id) => id < EOS))),
  bytesOf: (id) => (id < EOS ? new Uint8Array([id]) : new Uint8Array()),
  idOf: () => undefined,
  surrounding: { before: [], after: [] },
  encodeChat(messages, { prefill, thinking } = {}) {
    asked.push(thinking);
    const begun = prefill ? `${BEGUN}${prefill.thought ?? ""}${prefill.answer ?? ""}` : "";
    const text = messages.map((m) => `\u0001${m.role}:${m.content}${END}`).join("") + begun;
    return { text, ids: this.encode(text), opensThought: false };
  },
  stream() {
    const decoder = new TextDecoder();
    return {
      push: (id) => decoder.decode(new Uint8Array(id < EOS ? [id] : []), { stream: true }),
      flush: () => decoder.decode(),
    };
  },
};

/** An engine that answers the last question by a script, and remembers what it was asked and what was given up. */
export class ScriptedEngine implements Engine {
  readonly limits = { contextTokens: 4_096, vocabSize: 257 };
  readonly prompts: string[] = [];
  readonly requests: GenerateRequest[] = [];
  readonly thinking = asked;
  abandoned = 0;

  constructor(private readonly script: (question: string, prompt: string) => Script) {}

  async *generate(request: GenerateRequest, signal?: AbortSignal): AsyncGenerator<GeneratedToken> {
    const prompt = byteTokenizer.decode([...request.prompt]);
    this.prompts.push(prompt);
    this.requests.push(request);
    const from = prompt.lastIndexOf(USER) + USER.length;
    const { text: whole, msPerToken = 0 } = this.script(prompt.slice(from, prompt.indexOf(END, from)), prompt);
    const begun = prompt.slice(prompt.lastIndexOf(END) + 1).replace(BEGUN, "");
    const text = whole.slice(begun.length);
    let done = false;
    try {
      const ids = [...encoder.encode(text)];
      for (let i = 0; i < ids.length; i++) {
        if (msPerToken > 0) await delay(msPerToken, undefined, { signal });
        signal?.throwIfAborted();
        if (i === request.maxTokens - 1) {
          done = true;
          yield { id: ids[i]!, finish: "length" };
          return;
        }
        yield { id: ids[i]! };
      }
      done = true;
      yield { id: EOS, finish: "stop" };
    } finally {
      if (!done) this.abandoned++;
    }
  }

  score(): Promise<never> {
    return Promise.reject(new Error("a scripted model scores nothing"));
  }

  status() {
    return { active: 0, waiting: 0 };
  }

  async close(): Promise<void> {}
}

export interface PagesServer extends RunningServer {
  engine: ScriptedEngine;
}

/** The real server, API and pages, before a scripted model. */
export async function servePages(options: {
  script: (question: string, prompt: string) => Script;
  pagesDir: string;
  runsDir: string;
  port?: number;
  /** false: a server as a training run starts it, with nothing to talk to. */
  withModel?: boolean;
  /** API keys of which the pages must send one. */
  keys?: string[];
}): Promise<PagesServer> {
  const engine = new ScriptedEngine(options.script);
  const app = createApp({
    model:
      options.withModel === false
        ? undefined
        : {
            engine,
            tokenizer: byteTokenizer,
            info: {
              id: "scripted",
              createdSeconds: 1_790_000_000,
              architecture: "deepseek_v3",
              parameters: { total: 9_437_184, active: 3_145_728 },
              layers: 8,
              contextTokens: engine.limits.contextTokens,
              vocabSize: 257,
              reasons: true,
              thinkingSwitch: true,
              weightsBytes: 8_012_345,
              training: { tokens: 12e6, seconds: 3_120, joules: 124_800, usd: 0.0485, stages: 2, machine: "two cores" },
              examples: ["What is 347 + 586?", "What is 48 × 27?", "What is 1000 - 463?", "Solve 3x + 7 = 22."],
            },
          },
    runs: new RunReader(options.runsDir),
    keys: options.keys,
    pages: pageRoutes(options.pagesDir),
  });
  const server = await listen(app, { host: "127.0.0.1", port: options.port ?? 0 });
  return Object.assign(server, { engine });
}

/** The records of a made-up training step, smooth and the same every time. */
export function stepRecords(
  step: number,
  steps: number,
  options: { layers?: number; experts?: number; base?: number } = {},
): RunRecord[] {
  const { layers = 6, experts = 16, base = 1.6 } = options;
  const noise = (i: number) => {
    const x = Math.sin(i * 127.1 + 311.7) * 43_758.5453;
    return x - Math.floor(x) - 0.5;
  };
  const loss = base + 6.4 * Math.exp(-step / (steps * 0.12)) + 0.16 * noise(step);
  const warm = Math.min(1, step / (steps * 0.05));
  const records: RunRecord[] = [
    {
      type: "step",
      step,
      steps,
      tokens: step * 8_192,
      loss: loss + 0.3,
      mainLoss: loss,
      mtpLoss: loss * 1.12 + 0.1 * noise(step + 7),
      balanceLoss: 0.0011 + 0.0002 * noise(step + 3),
      lr: 2.2e-3 * warm * (step < steps * 0.7 ? 1 : 0.55 + 0.45 * Math.cos((Math.PI * (step / steps - 0.7)) / 0.3)),
      gradNorm: 0.6 + 2 * Math.exp(-step / (steps * 0.05)) + 0.3 * Math.abs(noise(step + 11)),
      tokensPerSecond: 10_450 + 600 * noise(step + 5),
      flopsPerSecond: 2.13e11,
      gemmShare: 0.58 + 0.03 * noise(step + 5),
      seconds: step * 0.78,
      etaSeconds: (steps - step) * 0.78,
      usd: step * 0.0000087,
      joules: step * 31,
      batch: step < steps * 0.2 ? 8 : 16,
      stepSeconds: 0.78,
    },
  ];
  if (step % 10 === 0) {
    const calm = Math.exp(-step / (steps * 0.2));
    const load = Array.from({ length: layers }, (_, l) =>
      Array.from({ length: experts }, (_, e) =>
        Math.max(0.02, 1 + (0.22 + 1.5 * calm) * noise(l * 131 + e * 17 + Math.floor(step / 40) * 3)),
      ),
    );
    records.push({ type: "load", step, load, busiest: Math.max(...load.flat()) });
  }
  if (step % 50 === 0) records.push({ type: "eval", step, loss: loss + 0.06, tokens: 65_536 });
  if (step % 100 === 0) {
    records.push({ type: "checkpoint", step, path: `models/mine/step-${step}` });
    records.push({
      type: "sample",
      step,
      prompt: "The captain said",
      text: ` that the ${"sea ".repeat(1 + ((step / 100) % 4))}was calm, and step ${step} had passed.`,
    });
  }
  return records;
}

/** The records of a made-up step of reinforcement, in which thinking comes to pay. */
export function policyRecords(step: number, steps: number, options: { late?: number } = {}): RunRecord[] {
  const { late = 0.4 } = options;
  const share = 1 / (1 + Math.exp(-12 * (step / steps - late)));
  const [longRight, shortRight] = [0.98, 0.5];
  const reward = share * longRight + (1 - share) * shortRight;
  const length = 3 + 18 * share;
  const [seconds, stepSeconds] = [step * 2, 2];
  return [
    {
      type: "step",
      step,
      steps,
      tokens: step * 4_000,
      loss: -0.002 * share,
      lr: 1e-4,
      gradNorm: 0.1 + share,
      tokensPerSecond: 4_000,
      seconds,
      etaSeconds: (steps - step) * 2,
      usd: seconds * 2.7e-6,
      joules: seconds * 65,
      stepSeconds,
    },
    {
      type: "policy",
      step,
      reward,
      parts: { answer: reward, format: share },
      length,
      longShare: share,
      longRight,
      shortRight,
      truncated: 0.02,
      groups: 20,
      dead: 0.1 + 0.5 * share,
      solved: 0.5 * share,
      hopeless: 0.01,
      trained: 256,
      entropy: 0.5 * (1 - share) + 0.01,
      driftMax: 1e-5,
      driftMean: 1e-7,
      flips: 0,
      rolloutSeconds: 1.2,
      trainSeconds: 0.8,
    },
  ];
}
