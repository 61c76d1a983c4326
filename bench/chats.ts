// Many chats at once, and a thousand connections that say nothing, at Sumbi's server and at llama.cpp's, in one run and in turns:
//   npx tsx bench/chats.ts MODEL [--python P --gguf FILE] [--chats 64] [--idle 1000] [--tokens 64] [--rounds 2] [--threads 2 (of llama.cpp; Sumbi takes all)] [--weights f32|q8|q4] [--json] [--out FILE [--overwrite]]
// Each chat asks one question of its own by OpenAI's API and reads the stream; all ask at once, each to its last token (ignore_eos, or a bias against the end where a server has none).
// Idle connections come from several addresses of this machine (Linux), since one address has a bound. First tokens and whole answers in seconds, over all chats; `slowest` ÷ median says
// whether anybody starves. Memory is the most that the server held (VmHWM). llama.cpp is `python -m llama_cpp.server` on FILE (pip install "llama-cpp-python[server]").
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readSse } from "../src/web/net/sse.ts";
import { resultFile } from "./result.ts";

const WHAT = "many chats";
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: "string" },
    gguf: { type: "string" },
    chats: { type: "string", default: "64" },
    idle: { type: "string", default: "1000" },
    tokens: { type: "string", default: "64" },
    rounds: { type: "string", default: "2" },
    threads: { type: "string", default: "2" },
    weights: { type: "string", default: "f32" },
    json: { type: "boolean", default: false },
    out: { type: "string" },
    overwrite: { type: "boolean", default: false },
  },
});
const model = positionals[0] ?? "models/nano";
const [chats, idle, tokens, rounds, threads] = (["chats", "idle", "tokens", "rounds", "threads"] as const).map((name) =>
  Number(values[name]),
) as [number, number, number, number, number];

interface Server {
  name: string;
  start(port: number): ChildProcess;
  /** What a request has besides messages and max_tokens. */
  extra: object;
}

const sumbi: Server = {
  name: "sumbi",
  start: (port) => {
    const bin = fileURLToPath(new URL("../bin/sumbi.js", import.meta.url));
    const args = ["serve", model, "--port", `${port}`, "--weights", values.weights];
    return spawn(process.execPath, [bin, ...args], {
      stdio: ["ignore", "ignore", "inherit"],
      env: { ...process.env, SUMBI_THREADS: `${threads}` },
    });
  },
  extra: { ignore_eos: true },
};

const llama = (python: string, gguf: string): Server => ({
  name: "llama.cpp",
  start: (port) =>
    spawn(
      python,
      ["-m", "llama_cpp.server", "--model", gguf, "--port", `${port}`, "--n_threads", `${threads}`, "--n_ctx", "1024"],
      { stdio: "ignore" },
    ),
  extra: {},
});

interface Chat {
  first: number;
  whole: number;
  tokens: number;
}

interface Chunk {
  choices?: { delta?: { content?: string; reasoning_content?: string } }[];
  usage?: { completion_tokens: number } | null;
}

/** One question, streamed; in seconds. */
async function chat(port: number, number: number, extra: object): Promise<Chat> {
  const began = performance.now();
  const since = () => (performance.now() - began) / 1000;
  const body = JSON.stringify({
    ...{
      stream: true,
      stream_options: { include_usage: true },
      temperature: 0.8,
      seed: number,
      max_tokens: tokens,
      ...extra,
    },
    messages: [{ role: "user", content: `${number + 10} + ${number * 7 + 3} = ?` }],
  });
  const headers = { "content-type": "application/json" };
  const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: "POST", headers, body });
  if (!response.ok || !response.body) throw new Error(`chat ${number}: status ${response.status}`);
  let [first, pieces] = [0, 0];
  let told: number | undefined;
  for await (const { data } of readSse(response.body)) {
    if (data === "[DONE]") break;
    const { choices, usage } = JSON.parse(data) as Chunk;
    if (usage) told = usage.completion_tokens;
    const delta = choices?.[0]?.delta;
    if (!delta?.content && !delta?.reasoning_content) continue;
    first ||= since();
    pieces++;
  }
  return { first, whole: since(), tokens: told ?? pieces };
}

/** Connections that say nothing, some of each of several addresses of this machine. */
async function silent(port: number): Promise<{ open: () => number; close: () => void }> {
  const sockets: Socket[] = [];
  let open = 0;
  for (let i = 0; i < idle; i++) {
    const socket = connect({ port, host: "127.0.0.1", localAddress: `127.0.0.${2 + Math.floor(i / 200)}` });
    socket.on("error", () => {});
    socket.on("connect", () => open++).on("close", () => open--);
    sockets.push(socket);
    if (i % 100 === 99) await new Promise((done) => setTimeout(done, 50));
  }
  return { open: () => open, close: () => sockets.forEach((socket) => socket.destroy()) };
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** The most memory that a process and its children held, in bytes; Linux. */
function mostMemory(pid: number): number {
  const kB = /VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").filter(Boolean);
  return 1024 * Number(kB) + children.reduce((sum, child) => sum + mostMemory(Number(child)), 0);
}

const START_MS = 60_000;

/** Waits until a server answers; gives its model's name. */
async function ready(port: number): Promise<string> {
  const until = performance.now() + START_MS;
  for (;;) {
    const listed = await fetch(`http://127.0.0.1:${port}/v1/models`).then(
      (response) => (response.ok ? (response.json() as Promise<{ data?: { id: string }[] }>) : undefined),
      () => undefined,
    );
    const id = listed?.data?.[0]?.id;
    if (id !== undefined) return id;
    if (performance.now() > until) throw new Error(`bench: no server answered at ${port} in a minute`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
const ascending = (numbers: number[]): number[] => numbers.sort((a, b) => a - b);
const rounded = (n: number): number => Number(n.toPrecision(3));

/** Of one round: seconds, but for counts and bytes. */
interface Round {
  tokensPerSecond: number;
  firstMedian: number;
  firstSlowest: number;
  wholeMedian: number;
  slowestByMedian: number;
  idleStillOpen: number;
  memoryBytes: number;
}

/** One round at one server: started, loaded, asked, ended. */
async function measure(server: Server): Promise<Round> {
  const port = await freePort();
  const child = server.start(port);
  try {
    const extra = { ...server.extra, model: await ready(port) };
    await chat(port, 0, extra);
    const connections = await silent(port);
    const began = performance.now();
    const answers = await Promise.all(Array.from({ length: chats }, (_, i) => chat(port, i + 1, extra)));
    const seconds = (performance.now() - began) / 1000;
    const firsts = ascending(answers.map(({ first }) => first));
    const wholes = ascending(answers.map(({ whole }) => whole));
    const drawn = answers.reduce((sum, { tokens: own }) => sum + own, 0);
    const open = connections.open();
    connections.close();
    return {
      tokensPerSecond: rounded(drawn / seconds),
      firstMedian: rounded(quantile(firsts, 0.5)),
      firstSlowest: rounded(quantile(firsts, 1)),
      wholeMedian: rounded(quantile(wholes, 0.5)),
      slowestByMedian: rounded(quantile(wholes, 1) / quantile(wholes, 0.5)),
      idleStillOpen: open,
      memoryBytes: mostMemory(child.pid!),
    };
  } finally {
    child.kill();
    await new Promise((done) => child.once("exit", done));
  }
}

async function main(): Promise<void> {
  const write = resultFile(values.out, WHAT, values.overwrite);
  const servers = [sumbi, ...(values.python && values.gguf ? [llama(values.python, values.gguf)] : [])];
  const taken = new Map<string, Round[]>();
  for (let round = 0; round < rounds; round++)
    for (const server of servers) {
      const one = await measure(server);
      process.stderr.write(`${server.name}: ${JSON.stringify(one)}\n`);
      taken.set(server.name, [...(taken.get(server.name) ?? []), one]);
    }
  const best = (name: string) => taken.get(name)?.reduce((a, b) => (b.tokensPerSecond > a.tokensPerSecond ? b : a));
  const [ours, theirs] = [best("sumbi"), best("llama.cpp")];
  const result = {
    ...{
      model,
      weights: values.weights,
      chats,
      idle,
      tokens,
      threads,
      rounds,
      cpu: cpus()[0]?.model,
      node: process.version,
    },
    sumbi: ours,
    ...(ours &&
      theirs && {
        "llama.cpp": theirs,
        ratio: rounded(ours.tokensPerSecond / theirs.tokensPerSecond),
        firstRatio: rounded(theirs.firstMedian / ours.firstMedian),
      }),
  };
  write(result);
  process.stdout.write(`${JSON.stringify({ what: WHAT, ...result }, null, values.json ? 0 : 2)}\n`);
}

await main();
