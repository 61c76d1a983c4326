/** Putting Sumbi's files into a folder without touching anybody else's. */
import { lstat, mkdir, readdir, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CheckpointError } from "../errors.ts";
import {
  checkSpace,
  codeOf,
  exists,
  inTurn,
  isMissing,
  isSystemError,
  recoverFolder,
  syncFolder,
  syncTree,
  writeError,
} from "./atomic.ts";
import { isTemporary, release, removeLeftovers, temporaryIn } from "./leftovers.ts";
import { MANIFEST, type Manifest, manifestText, type Origin, readManifest, stateOf } from "./manifest.ts";

/*
 * A folder that is not there yet is written under a temporary name beside it and renamed. In one that is there nothing is moved but
 * our own files: the new ones are written into a temporary folder in it, which is renamed `.sumbi-new` when it is whole. From then on
 * the replacement happens, whoever goes on with it: the files in it take their places one by one, those of the old manifest that the
 * new one does not list go, the manifest comes last. A crash in between leaves `.sumbi-new`, and `finishReplacing` goes on.
 */
const PENDING = ".sumbi-new";

/** Names that readers of a model folder look at, so that a foreign file of such a name cannot stay beside our own. */
const READ_BY_NAME =
  /^(?:(?:sumbi|config|adapter_config|generation_config|recipe|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|chat_template)\.json|merges\.txt|chat_template\.jinja|tokenizer\.model|(?:adapter_)?model(?:-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json)$/i;

/** What systems put into folders by themselves. */
const LITTER = new Set([".ds_store", "thumbs.db", "desktop.ini", "lost+found", ".gitkeep"]);

/** Whose a folder is: nobody's, ours (to be replaced when asked), or another's, with the reason in words: "holds …". */
export type Judgement =
  | { verdict: "free" }
  | { verdict: "ours"; manifest: Manifest }
  | { verdict: "foreign"; reason: string };

const foreign = (reason: string): Judgement => ({ verdict: "foreign", reason });
const some = (names: readonly string[]): string => names.slice(0, 3).join(", ") + (names.length > 3 ? " and more" : "");

/** Whether files of this kind may be put into a folder. Changes nothing, but finishes a replacement that a crash interrupted. */
export async function judgeFolder(dir: string, kind: Origin["kind"]): Promise<Judgement> {
  try {
    const link = await lstat(dir).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return undefined;
      throw error;
    });
    if (link === undefined) return { verdict: "free" };
    if (!(await exists(dir))) return foreign("is a link to nothing");
    if (!(await stat(dir)).isDirectory()) return foreign("is a file, not a folder");
    await finishReplacing(dir);
    const names = (await readdir(dir)).filter((name) => !LITTER.has(name.toLowerCase()) && !isTemporary(name));
    if (names.length === 0) return { verdict: "free" };
    const manifest = await readManifest(dir);
    if (manifest === undefined) return foreign(`holds files that Sumbi did not put there (${some(names)})`);
    if (manifest.kind !== kind) return foreign(`holds a ${manifest.kind} that Sumbi wrote, not a ${kind}`);
    const listed = new Set([MANIFEST, ...manifest.files.map((file) => file.name)]);
    const inTheWay = names.filter((name) => !listed.has(name) && READ_BY_NAME.test(name));
    if (inTheWay.length > 0)
      return foreign(`holds files that Sumbi did not put there but would read (${some(inTheWay)})`);
    const changed = await changedFiles(dir, manifest);
    if (changed.length > 0) return foreign(`holds files that were changed after Sumbi wrote them (${some(changed)})`);
    return { verdict: "ours", manifest };
  } catch (error) {
    if (error instanceof CheckpointError) return foreign(`cannot be judged (${error.message})`);
    if (isSystemError(error)) return foreign(`cannot be read (${error.code})`);
    throw error;
  }
}

/** What is in the way, for people: `a model that Sumbi put there: that of run 2026… (tiny, step 200)`. */
function described({ kind, run, recipe, step }: Manifest): string {
  const from = [recipe, step === undefined ? undefined : `step ${step}`]
    .filter((part) => part !== undefined)
    .join(", ");
  return `a ${kind} that Sumbi put there${run === undefined ? "" : `: that of run ${run}`}${from === "" ? "" : ` (${from})`}`;
}

/** Throws CheckpointError when files of this kind may not be put into a folder that a command line names; `where` is how: "--out m". */
export async function checkTakeable(
  dir: string,
  kind: Origin["kind"],
  { where, overwrite }: { where: string; overwrite: boolean },
): Promise<void> {
  const judgement = await judgeFolder(dir, kind);
  if (judgement.verdict === "foreign")
    throw new CheckpointError(
      `${where}: ${judgement.reason}; nothing in it is touched. Choose another folder with --out`,
    );
  if (judgement.verdict === "ours" && !overwrite)
    throw new CheckpointError(
      `${where}: holds ${described(judgement.manifest)}. Choose another folder with --out, or replace that ${kind} with --overwrite`,
    );
}

async function changedFiles(dir: string, manifest: Manifest): Promise<string[]> {
  const changed: string[] = [];
  for (const file of manifest.files) if ((await stateOf(dir, file)) === "changed") changed.push(file.name);
  return changed;
}

export interface OwnedOptions {
  origin: Origin;
  /** Whether our own files in the folder may be replaced. Anybody else's never are. */
  overwrite?: boolean;
  neededBytes?: number;
}

/**
 * Writes files into a folder, with a manifest of them: `fill` gets a temporary folder. A new folder appears whole or not at all. In a
 * folder that Sumbi wrote before, and only with `overwrite`, exactly the files that it wrote are replaced; whatever else is in there
 * stays. Throws CheckpointError when the folder is another's, holds changed files or the disk refuses; nothing is changed then.
 */
export function ownedFolder(
  dir: string,
  fill: (temporaryDir: string) => Promise<void>,
  options: OwnedOptions,
): Promise<void> {
  return inTurn(dir, async (target) => {
    try {
      await recoverFolder(target);
      // Another process may be putting a folder into the same place: the one that comes second judges again.
      for (let attempt = 0; ; attempt++) {
        await refuseUnless(dir, target, options);
        if (await writeOnce(target, fill, options)) return;
        if (attempt === 2)
          throw new CheckpointError(`${dir}: other processes keep writing into this folder; nothing was changed`);
      }
    } catch (error) {
      throw isSystemError(error) ? await writeError(error, dir, options.neededBytes) : error;
    }
  });
}

async function refuseUnless(dir: string, target: string, { origin, overwrite = false }: OwnedOptions): Promise<void> {
  const judgement = await judgeFolder(target, origin.kind);
  if (judgement.verdict === "foreign")
    throw new CheckpointError(`${dir}: ${judgement.reason}; nothing in it was changed. Choose another folder`);
  if (judgement.verdict === "ours" && !overwrite)
    throw new CheckpointError(`${dir}: exists already; choose another folder or ask to overwrite it`);
}

/** False when another process put something there meanwhile. */
async function writeOnce(
  target: string,
  fill: (temporaryDir: string) => Promise<void>,
  options: OwnedOptions,
): Promise<boolean> {
  const inside = await exists(target);
  const folder = inside ? target : dirname(target);
  await removeLeftovers(folder);
  await checkSpace(target, options.neededBytes);
  const temporary = temporaryIn(folder);
  try {
    await mkdir(temporary, { recursive: true });
    await fill(temporary);
    await writeFile(join(temporary, MANIFEST), await manifestText(temporary, options.origin));
    await syncTree(temporary);
    if (inside) await refuseUnless(target, target, options);
    if (!(await renameInto(temporary, inside ? join(target, PENDING) : target))) return false;
    await syncFolder(folder);
  } finally {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    release(temporary);
  }
  if (inside) await finishReplacing(target);
  return true;
}

/** Renames a folder to a name that nothing has; false when something has it. */
async function renameInto(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    const taken =
      ["EEXIST", "ENOTEMPTY", "ENOTDIR"].includes(codeOf(error) ?? "") ||
      (codeOf(error) === "EPERM" && (await exists(to)));
    if (taken) return false;
    throw error;
  }
}

/** Renames a file of a replacement; another process may have done it. */
async function takePlace(dir: string, name: string): Promise<void> {
  await rename(join(dir, PENDING, name), join(dir, name)).catch((error: unknown) => {
    if (!isMissing(error)) throw error;
  });
}

/**
 * Goes on with a replacement that was interrupted; does nothing when there is none. Readers call it too. Throws CheckpointError when
 * somebody changed a file in between that would be replaced, or when the folder cannot be written.
 */
export async function finishReplacing(dir: string): Promise<void> {
  const pending = join(dir, PENDING);
  if (!(await lstat(pending).catch(() => undefined))?.isDirectory()) return;
  try {
    const next = await readManifest(pending);
    const old = await readManifest(dir);
    if (next !== undefined) {
      await checkUnchanged(dir, pending, old, next);
      const kept = new Set(next.files.map((file) => file.name));
      for (const { name } of old?.files ?? []) if (!kept.has(name)) await rm(join(dir, name), { force: true });
    }
    // Without its manifest the folder was emptied but for what a process that came late did not see.
    for (const { name } of (next ?? old)?.files ?? []) await takePlace(dir, name);
    await syncFolder(dir);
    await takePlace(dir, MANIFEST);
    await syncFolder(dir);
    await rmdir(pending).catch((error: unknown) => {
      if (!isMissing(error) && codeOf(error) !== "ENOTEMPTY") throw error;
    });
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new CheckpointError(
      `${resolve(dir)}: was being replaced when Sumbi was interrupted, and that cannot be finished: ${error.code}. Make the folder writable and try again`,
      { cause: error },
    );
  }
}

/** Puts a folder in order after a crash in the middle of replacing it; call before opening one. */
export async function settleFolder(dir: string): Promise<void> {
  await recoverFolder(dir);
  await finishReplacing(dir);
}

/** What stands in the new files' places must be what Sumbi wrote, or nothing. */
async function checkUnchanged(dir: string, pending: string, old: Manifest | undefined, next: Manifest): Promise<void> {
  const before = new Map(old?.files.map((file) => [file.name, file]));
  const changed: string[] = [];
  for (const file of next.files) {
    if (!(await exists(join(pending, file.name)))) continue;
    const was = before.get(file.name) ?? { ...file, sha256: "" };
    if ((await stateOf(dir, was)) === "changed") changed.push(file.name);
  }
  for (const file of old?.files ?? [])
    if (!next.files.some(({ name }) => name === file.name) && (await stateOf(dir, file)) === "changed")
      changed.push(file.name);
  if (changed.length > 0)
    throw new CheckpointError(
      `${resolve(dir)}: was being replaced when Sumbi was interrupted, and ${some(changed)} changed since. Move that away and try again`,
    );
}
