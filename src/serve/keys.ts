/** API keys: who may use the server, and who it is that uses it. */
import type { MiddlewareHandler } from "hono";
import { ApiError } from "../errors.ts";
import { setClient } from "./client.ts";

/** Keys of `Authorization: Bearer KEY` or, as Anthropic's clients send them, `x-api-key: KEY`, compared by their digests, so that the time taken tells nothing about them. */
export class ApiKeys {
  readonly #digests: Promise<Uint8Array[]>;

  constructor(keys: readonly string[]) {
    this.#digests = Promise.all(keys.map(digest));
  }

  /** Which of the keys it is; undefined for none of them. */
  async find(given: string | undefined): Promise<number | undefined> {
    if (given === undefined) return undefined;
    const own = await digest(given);
    let found: number | undefined;
    for (const [i, key] of (await this.#digests).entries()) {
      let difference = 0;
      for (const [at, byte] of own.entries()) difference |= byte ^ (key[at] ?? 0);
      if (difference === 0) found = i;
    }
    return found;
  }
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/** Refuses requests without one of the keys with 401. OPTIONS passes: browsers ask it without the key. */
export function requireKey(keys: ApiKeys): MiddlewareHandler {
  return async (c, next) => {
    if (c.req.method === "OPTIONS") return next();
    const authorization = c.req.header("authorization");
    const apart = c.req.header("x-api-key");
    const bearer = /^Bearer +(\S+) *$/i.exec(authorization ?? "")?.[1];
    const key = (await keys.find(bearer)) ?? (await keys.find(apart));
    if (key === undefined) {
      c.header("www-authenticate", "Bearer");
      const what =
        authorization === undefined && apart === undefined
          ? "This server wants an API key: send it as 'Authorization: Bearer KEY'"
          : "The API key is not one of this server's";
      throw new ApiError(401, what, "invalid_request_error", "invalid_api_key");
    }
    setClient(c, `key ${key}`);
    return next();
  };
}
