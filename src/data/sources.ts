/** The files that a list of paths means: folders walked, kinds told, duplicates dropped. */
import { existsSync, lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { extname, isAbsolute, join, resolve } from "node:path";
import { escapePath, globSync, isDynamicPattern } from "tinyglobby";
import { kindOf } from "../checkpoint/index.ts";
import { DataError } from "../errors.ts";
import { BUILTINS, type BuiltinName, builtinCount } from "./builtin.ts";

export type SourceKind = "text" | "jsonl" | "parquet" | "builtin";

/** One file, or one built-in corpus with `count` documents. */
export interface Source {
  kind: SourceKind;
  /** Absolute path, or `builtin:name`. */
  path: string;
  bytes: number;
  mtimeMs: number;
  /** When the file's entry changed last: unlike the other time, nobody can set it back. */
  ctimeMs: number;
  builtin?: { name: BuiltinName; count: number };
}

const KINDS: Record<string, SourceKind> = {
  ".txt": "text",
  ".text": "text",
  ".md": "text",
  ".jsonl": "jsonl",
  ".ndjson": "jsonl",
  ".parquet": "parquet",
};

/**
 * What a list of files, folders (searched to the bottom), globs and `builtin:name[:documents]` stands for, each file
 * once, in a fixed order: as listed, folders and globs sorted by name. Throws DataError for what cannot be read.
 */
export const findSources = (paths: readonly string[]): Source[] => surveySources(paths).sources;

/** What a list of paths stands for, and how many files of each other extension stood beside them. */
export interface Survey {
  sources: Source[];
  /** By extension, `(none)` for names without one; hidden files and folders are not counted. */
  ignored: Record<string, number>;
  /** What has the name of a text but is no file, in folders: on a pipe, reading would wait for ever. */
  notFiles: NotFile[];
}

export interface NotFile {
  path: string;
  /** `a pipe`, `a link to none`. */
  kind: string;
}

/** `findSources`, and what it passed over. */
export function surveySources(paths: readonly string[]): Survey {
  if (paths.length === 0)
    throw new DataError("data: expected at least one file, folder, glob or builtin:name, got none");
  const sources = new Map<string, Source>();
  const ignored = new Set<string>();
  const notFiles: NotFile[] = [];
  const add = (path: string, kind: SourceKind, stats: Stats) => {
    if (!sources.has(path))
      sources.set(path, { kind, path, bytes: stats.size, mtimeMs: stats.mtimeMs, ctimeMs: stats.ctimeMs });
  };
  for (const path of paths) {
    if (path.startsWith("builtin:")) {
      sources.set(path, builtinSource(path));
      continue;
    }
    const stats = statsOf(path);
    if (typeof stats === "string") throw new DataError(`${path}: expected a file, found ${stats}`);
    if (stats?.isFile()) {
      const kind = KINDS[extname(path).toLowerCase()];
      if (kind === undefined) throw new DataError(`${path}: expected one of ${Object.keys(KINDS).join(", ")}`);
      add(resolve(path), kind, stats);
    } else if (stats?.isDirectory()) {
      const files = filesBelow(resolve(path), ignored, notFiles);
      if (files.length === 0)
        throw new DataError(
          `${path}: expected a folder with ${Object.keys(KINDS).join(", ")} files, found ${notFiles.map((one) => `${one.path}, ${one.kind}`)[0] ?? "none"}`,
        );
      for (const file of files) add(file, KINDS[extname(file).toLowerCase()]!, statSync(file));
    } else if (isDynamicPattern(path)) {
      const files = globSync(path, { absolute: true, onlyFiles: true, expandDirectories: false }).sort();
      const known = files.filter((file) => extname(file).toLowerCase() in KINDS);
      const unknown = files.filter((file) => !(extname(file).toLowerCase() in KINDS));
      if (known.length === 0) throw new DataError(`${path}: no ${Object.keys(KINDS).join(", ")} file matches`);
      for (const file of unknown) ignored.add(resolve(file));
      for (const file of known) add(resolve(file), KINDS[extname(file).toLowerCase()]!, statSync(file));
    } else throw new DataError(`${path}: expected a file, folder, glob or builtin:name; there is nothing of that name`);
  }
  const counts: Record<string, number> = {};
  for (const path of ignored) {
    const extension = extname(path).toLowerCase() || "(none)";
    counts[extension] = (counts[extension] ?? 0) + 1;
  }
  return { sources: [...sources.values()], ignored: counts, notFiles };
}

/** The same paths, so that they mean the same in any other working directory. */
export function absolutePaths(paths: readonly string[]): string[] {
  return paths.map((path) => {
    if (path.startsWith("builtin:") || isAbsolute(path)) return path;
    const isPattern = !existsSync(path) && isDynamicPattern(path);
    return isPattern ? `${escapePath(process.cwd().replaceAll("\\", "/"))}/${path}` : resolve(path);
  });
}

function builtinSource(path: string): Source {
  const [, name, count, ...rest] = path.split(":");
  if (!(name! in BUILTINS) || rest.length > 0 || (count !== undefined && !/^[1-9]\d{0,9}$/.test(count)))
    throw new DataError(
      `${path}: expected builtin:NAME or builtin:NAME:DOCUMENTS with one of ${Object.keys(BUILTINS).join(", ")}`,
    );
  const documents = builtinCount(name as BuiltinName, count === undefined ? undefined : Number(count));
  const builtin = BUILTINS[name as BuiltinName];
  return {
    kind: "builtin",
    path,
    bytes: documents * builtin.bytesPerDocument,
    mtimeMs: 0,
    ctimeMs: 0,
    builtin: { name: name as BuiltinName, count: documents },
  };
}

/** What is at a path: a file's or folder's stats, any other thing in words, undefined for nothing. */
function statsOf(path: string): Stats | string | undefined {
  try {
    const stats = statSync(path);
    return stats.isFile() || stats.isDirectory() ? stats : kindOf(stats);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined;
    return code === "ENOENT" || code === "ELOOP" ? "a link to none" : `what cannot be read (${code})`;
  }
}

/** Files that can be read, to the bottom; the others are added to `ignored` and `notFiles`. */
function filesBelow(folder: string, ignored: Set<string>, notFiles: NotFile[]): string[] {
  const found: string[] = [];
  for (const entry of readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (entry.name.startsWith(".")) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...filesBelow(path, ignored, notFiles));
    else if (!(extname(entry.name).toLowerCase() in KINDS)) ignored.add(path);
    else {
      const stats = statsOf(path);
      if (typeof stats === "object" && stats.isFile()) found.push(path);
      else if (stats !== undefined)
        notFiles.push({ path, kind: typeof stats === "string" ? stats : "a link to a folder" });
    }
  }
  return found;
}
