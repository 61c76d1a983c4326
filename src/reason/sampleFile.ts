/** A data set as it is being sampled: a file beside it, appended batch by batch, that becomes the data set at the end. */
import { constants } from "node:fs";
import { type FileHandle, link, open, readFile, rm, stat } from "node:fs/promises";
import { kindOf, writeError } from "../checkpoint/index.ts";
import { CheckpointError } from "../errors.ts";
import { isRecord, parseJson } from "../json.ts";

/** More is refused: what is read back is held in memory. */
const BYTES_MAX = 2 ** 30;
const KIND = "sumbi reason sample";

/** What was done with some problems: a line of the file beside. */
export interface SampledBatch {
  /** Problems done with it, from the first on. */
  done: number;
  lines: object[];
  counts: Record<string, number>;
}

/**
 * `FILE.part` while it is under way, `FILE` when all is done: an interrupted one goes on behind its last whole batch, and nothing that stands at
 * either place is ever replaced. The first line says what is sampled; one of anything else is refused.
 */
export class SampleFile {
  private constructor(
    readonly path: string,
    readonly batches: SampledBatch[],
    private readonly handle: FileHandle,
  ) {}

  static async open(path: string, about: Readonly<Record<string, unknown>>): Promise<SampleFile> {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined)
      throw new CheckpointError(
        `--out ${path}: expected a new file, found ${found.isFile() ? "one that is there" : kindOf(found)}; choose another name`,
      );
    const part = `${path}.part`;
    const head = JSON.stringify({ kind: KIND, ...about });
    const there = await stat(part).catch(() => undefined);
    if (there !== undefined && (!there.isFile() || there.size > BYTES_MAX))
      throw new CheckpointError(
        `${part}: expected a file of at most 1 GiB, found ${there.isFile() ? "more" : kindOf(there)}`,
      );
    const bytes = there === undefined ? Buffer.alloc(0) : await readFile(part);
    const whole = bytes.subarray(0, bytes.lastIndexOf("\n") + 1);
    const [first, ...rest] = whole.toString("utf8").split("\n").slice(0, -1);
    if (bytes.length > 0 && first !== head)
      throw new CheckpointError(
        `${part}: expected an unfinished data set of this very command, found another; finish that with its own options, choose another --out, or remove it`,
      );
    const batches = rest.map((line, i) => batchOf(line, `${part}:${i + 2}`));
    const handle = await open(part, constants.O_CREAT | constants.O_RDWR).catch(async (error: unknown) => {
      throw await writeError(error, part);
    });
    const file = new SampleFile(path, batches, handle);
    await handle.truncate(whole.length);
    if (first === undefined) await file.#append(`${head}\n`, 0);
    return file;
  }

  /** Problems that were done before. */
  get done(): number {
    return this.batches.at(-1)?.done ?? 0;
  }

  /** On disk when it resolves. */
  async add(batch: SampledBatch): Promise<void> {
    this.batches.push(batch);
    await this.#append(`${JSON.stringify(batch)}\n`);
  }

  async #append(text: string, from?: number): Promise<void> {
    const at = from ?? (await this.handle.stat()).size;
    try {
      await this.handle.write(text, at);
      await this.handle.sync();
    } catch (error) {
      await this.handle.truncate(at).catch(() => {});
      throw await writeError(error, `${this.path}.part`);
    }
  }

  /** Writes the data set; how many lines it has. */
  async finish(): Promise<number> {
    const lines = this.batches.flatMap((batch) => batch.lines);
    const ready = `${this.path}.ready`;
    try {
      const handle = await open(ready, "w");
      try {
        await handle.writeFile(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
        await handle.sync();
      } finally {
        await handle.close();
      }
      // unlike a rename, a link replaces nothing
      await link(ready, this.path);
    } catch (error) {
      throw await writeError(error, this.path);
    } finally {
      await rm(ready, { force: true });
    }
    await this.handle.close();
    await rm(`${this.path}.part`, { force: true });
    return lines.length;
  }

  async close(): Promise<void> {
    await this.handle.close().catch(() => {});
  }
}

function batchOf(line: string, where: string): SampledBatch {
  const value = (() => {
    try {
      return parseJson(line);
    } catch {
      return undefined;
    }
  })();
  if (
    !isRecord(value) ||
    typeof value["done"] !== "number" ||
    !Array.isArray(value["lines"]) ||
    !isRecord(value["counts"])
  )
    throw new CheckpointError(
      `${where}: expected a batch of samples, got something else; remove the file and sample anew`,
    );
  return value as unknown as SampledBatch;
}
