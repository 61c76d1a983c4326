/** Names of cached things: a hash of what they were made of. */
import { createHash } from "node:crypto";

export const hashOf = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
