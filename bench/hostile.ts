// What hostile requests do to the other clients of a server: how long /health takes while they are under way.
//   npx tsx bench/hostile.ts [MODEL] [--at-once 4] [--rounds 2] [--only NAME] [--out FILE [--overwrite]]
// MODEL (default models/nano) is served by a process of its own; the requests are sent raw, one at a time and several at once, and another thread asks
// for /health all the while. Prints the worst time of each, what was answered, and the server's memory; one JSON object with --out.
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { connect } from "node:net";
import { cpus, loadavg, release } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { threadUrl } from "../src/thread.ts";
import { resultFile } from "./result.ts";

interface Hostile {
  name: string;
  path: string;
  body: string;
  /** Sent in chunks of so many bytes. */
  chunkBytes?: number;
}

interface Latency {
  polls: number;
  medianMs: number;
  worstMs: number;
}

const MIB = 2 ** 20;

/** The requests; each body made when it is its turn. */
function* hostileRequests(): Generator<Hostile> {
  const completion = "/v1/completions";
  const chat = "/v1/chat/completions";
  yield { name: "7M zeros and a text", path: completion, body: `{"prompt":[${"0,".repeat(7e6)}"x"]}` };
  yield { name: "500,000 zeros and a text (1 MB)", path: completion, body: `{"prompt":[${"0,".repeat(5e5)}"x"]}` };
  yield {
    name: "a million zeros in lists",
    path: completion,
    body: `{"prompt":[${new Array(1000).fill(`[${"0,".repeat(1000)}0]`).join(",")},["x"]]}`,
  };
  for (const [name, text] of [
    ["newlines", "\\n"],
    ["emoji", "😀"],
    ["digits", "7"],
    ["spaces", " "],
    ["escapes", "\\u0000"],
  ] as const) {
    const many = text.repeat(Math.floor((15 * MIB) / Buffer.byteLength(text)));
    yield { name: `15 MB of ${name}`, path: completion, body: `{"prompt":"${many}"}` };
    yield {
      name: `15 MB of ${name}, in a chat`,
      path: chat,
      body: `{"messages":[{"role":"user","content":"${many}"}]}`,
    };
    yield {
      name: `15 MB of ${name}, in a chat that may be shortened`,
      path: chat,
      body: `{"truncation":"auto","messages":[{"role":"user","content":"hi"},{"role":"user","content":"${many}"}]}`,
    };
  }
  const message = '{"role":"user","content":"x"},';
  yield {
    name: "500,000 messages",
    path: chat,
    body: `{"messages":[${message.repeat(499_999)}${message.slice(0, -1)}]}`,
  };
  yield {
    name: "16,000 messages of 1 kB, may be shortened",
    path: chat,
    body: `{"truncation":"auto","max_tokens":1,"messages":[${new Array(16_000).fill(`{"role":"user","content":"${"x".repeat(900)}"}`).join(",")}]}`,
  };
  yield {
    name: "a thought of 15 MB in the past",
    path: chat,
    body: `{"max_tokens":1,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"<think>${"so ".repeat(5e6)}</think>y"},{"role":"user","content":"x"}]}`,
  };
  yield {
    name: "1.2M biases",
    path: chat,
    body: `{"messages":[${message.slice(0, -1)}],"logit_bias":{${Array.from({ length: 1.2e6 }, (_, i) => `"${i}":1`).join(",")}}}`,
  };
  yield {
    name: "400,000 biases",
    path: chat,
    body: `{"messages":[${message.slice(0, -1)}],"logit_bias":{${Array.from({ length: 4e5 }, (_, i) => `"${i}":1`).join(",")}}}`,
  };
  yield {
    name: "400,000 unknown parameters",
    path: chat,
    body: `{"messages":[${message.slice(0, -1)}],${Array.from({ length: 4e5 }, (_, i) => `"k${i}":{}`).join(",")}}`,
  };
  yield { name: "1 MB of a", path: completion, body: `{"prompt":"${"a".repeat(MIB)}"}` };
  yield {
    name: "1 MB of a, in chunks of 100 bytes",
    path: completion,
    body: `{"prompt":"${"a".repeat(MIB)}"}`,
    chunkBytes: 100,
  };
  yield {
    name: "1 MB of a, in chunks of a byte",
    path: completion,
    body: `{"prompt":"${"a".repeat(MIB)}"}`,
    chunkBytes: 1,
  };
  yield {
    name: "25 kB of a, nearly a context",
    path: completion,
    body: `{"prompt":"${"a".repeat(25_000)}","max_tokens":1}`,
  };
  yield {
    name: "2,000 texts of 8 kB",
    path: completion,
    body: `{"max_tokens":1,"prompt":[${new Array(2000).fill(`"${"ab".repeat(4000)}"`).join(",")}]}`,
  };
  yield {
    name: "2,000 texts that nearly fill a context, the last one too long",
    path: completion,
    body: `{"max_tokens":1,"prompt":[${new Array(1999).fill(`"${"ab".repeat(1000)}"`).join(",")},"${"ab".repeat(3000)}"]}`,
  };
  yield {
    name: "2,000 answers",
    path: completion,
    body: `{"max_tokens":1,"prompt":[${new Array(2000).fill('"x"').join(",")}]}`,
  };
  yield { name: "a stop text of 15 MB", path: completion, body: `{"prompt":"x","stop":"${"a".repeat(15e6)}"}` };
  const lists = "[".repeat(1e5) + "]".repeat(1e5);
  const objects = '{"a":'.repeat(1e5) + "1" + "}".repeat(1e5);
  for (const field of ["prompt", "stop", "logit_bias", "stream_options", "metadata"])
    yield { name: `lists 100,000 deep as ${field}`, path: completion, body: `{"${field}":${lists}}` };
  for (const field of ["messages", "tools", "response_format", "unknown"])
    yield { name: `objects 100,000 deep as ${field}`, path: chat, body: `{"${field}":${objects}}` };
  yield { name: "15 MB of opening brackets", path: chat, body: "[".repeat(15e6) };
}

/** Asks for /health until told to end, which it does once the last answer is there; the thread's only work, so that nothing else delays it. */
function poll(url: string): void {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let times: number[] = [];
  let asking = true;
  parentPort?.on("message", (word: "report" | "end") => {
    if (word === "end") asking = false;
    else parentPort?.postMessage(times);
    times = [];
  });
  const ask = (): void => {
    const begun = performance.now();
    get(`${url}/health`, { agent }, (response) => {
      response.resume().on("end", () => {
        times.push(performance.now() - begun);
        if (asking) setTimeout(ask, 5);
        else {
          agent.destroy();
          parentPort?.close();
        }
      });
    }).on("error", (error) => {
      throw error;
    });
  };
  ask();
}

function inChunks(bytes: Buffer, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) {
    const piece = bytes.subarray(at, at + size);
    parts.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n"));
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

/** Sends a request as it is; gives the status and how long the answer took. */
function send(port: number, { path, body, chunkBytes }: Hostile): Promise<{ status: number; seconds: number }> {
  return new Promise((resolve) => {
    const pieces = chunkBytes === undefined ? Buffer.from(body) : inChunks(Buffer.from(body), chunkBytes);
    const begun = performance.now();
    const socket = connect(port, "127.0.0.1", () => {
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${chunkBytes ? "Transfer-Encoding: chunked" : `Content-Length: ${pieces.length}`}\r\n\r\n`,
      );
      socket.write(pieces);
    });
    let answer = "";
    socket.on("data", (data) => (answer += data.toString("latin1")));
    socket.on("error", () => undefined);
    socket.on("close", () =>
      resolve({
        status: Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1] ?? 0),
        seconds: (performance.now() - begun) / 1000,
      }),
    );
  });
}

/** The most memory that a process has had, in MB; undefined where that cannot be read. */
function peakMemory(pid: number | undefined): number | undefined {
  try {
    return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
  } catch {
    return undefined;
  }
}

function serve(model: string): Promise<{ process: ChildProcess; url: string; port: number }> {
  const main = new URL("../src/cli/main.ts", import.meta.url).href;
  const code = `const { main } = await import(${JSON.stringify(main)}); process.exitCode = await main(["node", "sumbi", "serve", ${JSON.stringify(model)}, "--port", "0", "--json"]);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
    cwd: fileURLToPath(new URL("..", import.meta.url)),
  });
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", (data) =>
      resolve({ process: child, ...(JSON.parse(String(data)) as { url: string; port: number }) }),
    );
    child.once("exit", (code) => reject(new Error(`the server ended with ${code}`)));
  });
}

const rounded = (x: number, digits = 1): number => Math.round(x * 10 ** digits) / 10 ** digits;
const latencyOf = (times: number[]): Latency => {
  const sorted = [...times].sort((a, b) => a - b);
  return {
    polls: sorted.length,
    medianMs: rounded(sorted[sorted.length >> 1] ?? 0),
    worstMs: rounded(sorted.at(-1) ?? 0),
  };
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "at-once": { type: "string", default: "4" },
      rounds: { type: "string", default: "2" },
      only: { type: "string" },
      out: { type: "string" },
      overwrite: { type: "boolean", default: false },
    },
  });
  const save = resultFile(values.out, "/health while hostile requests are under way", values.overwrite);
  const [model = "models/nano"] = positionals;
  const server = await serve(model);
  process.once("exit", () => server.process.kill());
  const poller = new Worker(threadUrl(import.meta.url, "hostile"), { workerData: { url: server.url } });
  const report = (): Promise<Latency> =>
    new Promise((resolve) => {
      poller.once("message", (times: number[]) => resolve(latencyOf(times)));
      poller.postMessage("report");
    });
  const rows: object[] = [];
  const say = (name: string, latency: Latency, what: string): void =>
    console.log(
      `${name.padEnd(52)} ${`${latency.worstMs} ms`.padStart(10)} worst ${`${latency.medianMs} ms`.padStart(8)} median  ${what}`,
    );
  await new Promise((resolve) => setTimeout(resolve, 2000));
  await report();
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const idle = await report();
  say("nothing", idle, `${idle.polls} polls`);
  for (const hostile of hostileRequests()) {
    if (values.only !== undefined && !hostile.name.includes(values.only)) continue;
    for (const atOnce of [1, Number(values["at-once"])]) {
      await report();
      const answers: { status: number; seconds: number }[] = [];
      for (let round = 0; round < Number(values.rounds); round++)
        answers.push(...(await Promise.all(Array.from({ length: atOnce }, () => send(server.port, hostile)))));
      const latency = await report();
      const statuses = [...new Set(answers.map(({ status }) => status))];
      const seconds = rounded(Math.max(...answers.map((answer) => answer.seconds)), 2);
      say(
        `${hostile.name}${atOnce > 1 ? `, ${atOnce} at once` : ""}`,
        latency,
        `answered ${statuses.join(", ")} within ${seconds} s`,
      );
      rows.push({
        name: hostile.name,
        megabytes: rounded(Buffer.byteLength(hostile.body) / 1e6, 2),
        atOnce,
        statuses,
        seconds,
        health: latency,
      });
      if (server.process.exitCode !== null) throw new Error("the server ended");
    }
  }
  const result = {
    command: `npx tsx bench/hostile.ts ${model} --at-once ${values["at-once"]} --rounds ${values.rounds}`,
    model,
    machine: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      kernel: release(),
      node: process.version,
      loadAverage: rounded(loadavg()[0] ?? 0),
    },
    idle,
    worstMs: Math.max(...rows.map((row) => (row as { health: Latency }).health.worstMs)),
    serverPeakMB: peakMemory(server.process.pid),
    rows,
  };
  console.log(`worst of all ${result.worstMs} ms; the server's memory at most ${result.serverPeakMB ?? "?"} MB`);
  const ended = new Promise((resolve) => poller.once("exit", resolve));
  poller.postMessage("end");
  await ended;
  server.process.kill();
  save(result);
}

if (isMainThread) await main();
else poll((workerData as { url: string }).url);
