/** Where a run's model goes: judged before the first step, filled after the last. */
import { constants, existsSync, realpathSync } from "node:fs";
import { copyFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import {
  checkTakeable,
  checkWritable,
  type Judgement,
  judgeFolder,
  ownedFolder,
  readManifest,
} from "../checkpoint/index.ts";
import { CheckpointError, UsageError } from "../errors.ts";

export interface Out {
  /** Absolute. */
  dir: string;
  overwrite: boolean;
  /** Nobody named the folder, so that another one will do when it is taken at the end. */
  byDefault: boolean;
}

const DEFAULT_FOLDER = "models";

/** `models/<recipe's name>`, whatever signs the name has. */
const defaultOut = (recipeName: string): string =>
  resolve(
    DEFAULT_FOLDER,
    recipeName
      .replace(/[^\p{L}\p{N}._-]+/gu, "-")
      .replace(/^[.-]+/, "")
      .slice(0, 60) || "model",
  );

/** Whether a folder that a run chose before was chosen by default: `models/tiny`, `models/tiny-2`. */
function isDefault(dir: string, recipeName: string): boolean {
  const name = basename(defaultOut(recipeName));
  const own = basename(dir);
  return (
    basename(dirname(dir)) === DEFAULT_FOLDER &&
    (own === name || (own.startsWith(`${name}-`) && /^\d+$/.test(own.slice(name.length + 1))))
  );
}

const isFree = (judgement: Judgement, overwrite: boolean): boolean =>
  judgement.verdict === "free" || (judgement.verdict === "ours" && overwrite);

/** `dir`, or `dir-2`, `dir-3` and so on: the first that nobody's files are in. */
export async function firstFree(dir: string, overwrite: boolean): Promise<string> {
  for (let n = 1; ; n++) {
    const candidate = n === 1 ? dir : `${dir}-${n}`;
    if (isFree(await judgeFolder(candidate, "model"), overwrite)) return candidate;
    if (n === 10_000)
      throw new CheckpointError(
        `${dir}: expected a free folder among ${dir}-2 to ${dir}-10000, got none. Choose one with --out`,
      );
  }
}

/** The folder that a run chose by default when it began, while it is free; else the next free one of the recipe's name. */
async function defaultFor(recipeName: string, earlier: string | undefined, overwrite: boolean): Promise<string> {
  if (earlier === undefined) return firstFree(defaultOut(recipeName), overwrite);
  if (isFree(await judgeFolder(earlier, "model"), overwrite)) return earlier;
  return firstFree(join(dirname(earlier), basename(defaultOut(recipeName))), overwrite);
}

/**
 * The folder for a run's model: as asked, as the run began, or `models/<recipe>` with a number behind it when that is taken. Throws
 * CheckpointError when something stands there that must not be replaced, when it lies among the runs, or when it cannot be written.
 */
export async function chooseOut(
  options: { out?: string; overwrite?: boolean; runs: string },
  earlier: string | undefined,
  recipeName: string,
): Promise<Out> {
  const { overwrite = false } = options;
  if (options.out?.trim() === "") throw new UsageError("--out: expected a folder, got an empty text");
  const given = options.out ?? (earlier !== undefined && !isDefault(earlier, recipeName) ? earlier : undefined);
  const dir = given !== undefined ? resolve(given) : await defaultFor(recipeName, earlier, overwrite);
  const where = options.out === undefined ? dir : `--out ${options.out}`;
  checkApart(dir, resolve(options.runs), where);
  await checkTakeable(dir, "model", { where, overwrite });
  await checkWritable(dir, where);
  return { dir, overwrite, byDefault: given === undefined };
}

/** The real path of something that need not be there yet. */
function realOf(path: string): string {
  for (let at = path, rest = ""; ; rest = join(basename(at), rest), at = dirname(at)) {
    if (existsSync(at)) return join(realpathSync(at), rest);
    if (at === dirname(at)) return path;
  }
}

/** The way from one folder down to another; undefined when it does not lead down. */
function below(folder: string, path: string): string[] | undefined {
  const way = relative(folder, path).split(sep);
  return way[0] === ".." || /^[A-Za-z]:$/.test(way[0] ?? "") ? undefined : way.filter((part) => part !== "");
}

/** A model lies neither in the folder of a run, nor in the cache, nor around the runs. */
function checkApart(dir: string, runsDir: string, where: string): void {
  const [model, runs] = [realOf(dir), realOf(runsDir)];
  const way = below(runs, model);
  const [first] = way ?? [];
  const inside = first !== undefined && (first === "cache" || existsSync(join(runs, first, "run.json")));
  if (below(model, runs) !== undefined || inside)
    throw new CheckpointError(
      `${where}: expected a folder apart from the runs in ${runsDir}, whose files come and go. Choose another folder with --out`,
    );
}

/** Copies a written model into another folder, whole or not at all. Throws CheckpointError and changes nothing there when it cannot. */
export async function copyModel(model: string, dir: string, overwrite: boolean): Promise<void> {
  const manifest = await readManifest(model);
  if (manifest === undefined) throw new CheckpointError(`${model}: expected a model that Sumbi wrote, found none`);
  const { files, version: _, ...origin } = manifest;
  const fill = async (temporary: string) => {
    for (const { name } of files) await copyFile(join(model, name), join(temporary, name), constants.COPYFILE_FICLONE);
  };
  await ownedFolder(dir, fill, { origin, overwrite, neededBytes: files.reduce((sum, file) => sum + file.bytes, 0) });
}

/** Lets a model be written where it shall be, or where there is room by now if nobody named the folder. The folder. */
export async function putInto(out: Out, write: (dir: string) => Promise<void>): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const dir = out.byDefault ? await firstFree(out.dir, out.overwrite) : out.dir;
    try {
      await write(dir);
      return dir;
    } catch (error) {
      // Another run took the folder at this very moment.
      if (!out.byDefault || attempt === 3 || isFree(await judgeFolder(dir, "model"), out.overwrite)) throw error;
    }
  }
}
