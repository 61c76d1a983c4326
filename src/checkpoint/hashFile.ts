/** What a file says, as one number that two files share only when they say the same. */
import { createHash } from "node:crypto";
import { CheckpointError } from "../errors.ts";
import { type ErrorClass, openRegularFile } from "./regularFile.ts";

const READ_BYTES = 1 << 20;

export interface HashFileOptions {
  onBytes?: (bytes: number) => void;
  signal?: AbortSignal;
  Refusal?: ErrorClass;
}

/** SHA-256 of a file's bytes, in hex. Throws `Refusal` (CheckpointError) naming the path when it cannot be read, or is no ordinary file. */
export async function hashFile(
  path: string,
  { onBytes = () => {}, signal, Refusal = CheckpointError }: HashFileOptions = {},
): Promise<string> {
  const hash = createHash("sha256");
  const { handle } = await openRegularFile(path, Refusal);
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (let at = 0; ; ) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, at).catch((error: NodeJS.ErrnoException) => {
        throw new Refusal(`${path}: cannot be read: ${error.code}`, { cause: error });
      });
      if (bytesRead === 0) return hash.digest("hex");
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
      onBytes(bytesRead);
    }
  } finally {
    await handle.close();
  }
}
