/** A server that speaks OpenAI's chat completions as a test wants it to. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Asked {
  model: string;
  messages: { role: string; content: string }[];
  max_tokens: number;
  temperature: number;
  seed?: number;
  key?: string;
}

export interface FakeAnswer {
  status?: number;
  headers?: Record<string, string>;
  /** Sent as it is. */
  body: string | object;
}

export interface FakeEndpoint extends AsyncDisposable {
  url: string;
  asked: Asked[];
  /** The most requests that were under way at once. */
  most(): number;
}

/** A completion's body. */
export const completion = (message: object, finish = "stop"): object => ({
  choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: finish }],
  usage: { completion_tokens: 7 },
});

/** Serves `answer` to every request, number `i` from 0. */
export async function fakeEndpoint(answer: (asked: Asked, i: number) => FakeAnswer): Promise<FakeEndpoint> {
  const asked: Asked[] = [];
  let [active, most] = [0, 0];
  const server = createServer((request, response) => {
    if (request.url?.endsWith("/models")) return void response.end(JSON.stringify({ data: [{ id: "teacher" }] }));
    most = Math.max(most, ++active);
    void bodyOf(request).then((text) => {
      const one = { ...(JSON.parse(text) as Asked), key: request.headers.authorization };
      const { status = 200, headers = {}, body } = answer(one, asked.push(one) - 1);
      setTimeout(() => {
        active--;
        response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body));
      }, 5);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/v1`,
    asked,
    most: () => most,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
