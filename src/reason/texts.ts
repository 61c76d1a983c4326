/** Texts of a task as a file that `sumbi train` reads. */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { breather } from "../abort.ts";
import { type Task, type TextOptions, taskText } from "./task.ts";

/**
 * Writes texts 0 … count − 1 of a task, a conversation a line, all from the train split. The same options give the same file.
 * Throws what the disk says, the signal's reason, and DataError for a task without solutions.
 */
export async function writeTaskTexts(
  path: string,
  task: Task,
  count: number,
  options: TextOptions & { signal?: AbortSignal },
): Promise<void> {
  const breathe = breather(options.signal);
  const file = createWriteStream(path, { flags: "wx" });
  const failed = once(file, "error").then(([error]) => Promise.reject(error));
  failed.catch(() => undefined);
  try {
    for (let index = 0; index < count; index++) {
      const line = `${JSON.stringify(await taskText(task, index, options))}\n`;
      if (!file.write(line)) await Promise.race([once(file, "drain"), failed]);
      await breathe();
    }
    file.end();
    await Promise.race([once(file, "finish"), failed]);
  } finally {
    file.destroy();
  }
}
