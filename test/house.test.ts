// The house: which room may import which, that there are no circles, that rooms are entered by their doors, where Node's modules may be used, and that files say what they are.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { describe, expect, it } from "vitest";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** What a room may import, besides the files that stand in src itself. */
const BELOW: Record<string, readonly string[]> = {
  tensor: [],
  runtime: ["tensor"],
  model: ["tensor"],
  tokenizer: [],
  plan: ["model"],
  checkpoint: ["tokenizer", "model", "tensor"],
  hub: ["checkpoint"],
  data: ["checkpoint", "tokenizer"],
  train: ["model", "runtime", "tensor"],
  infer: ["checkpoint", "model", "runtime", "tensor"],
  runs: ["infer", "train", "data", "checkpoint", "tokenizer", "model", "runtime", "tensor"],
  reason: ["runs", "infer", "train", "data", "checkpoint", "tokenizer", "model", "runtime", "tensor"],
  serve: ["infer", "runs", "data", "checkpoint", "tokenizer", "model"],
  cli: ["hub", "serve", "reason", "runs", "plan", "data", "checkpoint", "tokenizer", "model", "runtime"],
  web: ["runs", "plan", "model"],
};
/** Doors besides a room's own index: parts that are rooms of their own, and what a browser or the planner takes of a larger room. */
const DOORS = [
  /^src\/plan\/(audit|claims|rules|schedule)\/index\.ts$/,
  /^src\/model\/(config|flops|presets)\.ts$/,
  /^src\/infer\/browser\.ts$/,
  /^src\/runs\/id\.ts$/,
];
/** What "sumbi" is in Node and in a browser: made of rooms, imported by none. */
const ENTRIES = ["src/index.ts", "src/browser.ts"];
/** Where Node's own modules may be used in rooms that otherwise run in a browser. */
const NODE_ROOMS = ["cli", "data", "checkpoint", "hub", "runs", "reason"];
const NODE_FILES = [
  /^src\/thread\.ts$/,
  /^src\/runtime\/(compile|library|mapped|ort|threads)\.ts$/,
  /^src\/serve\/(connections|encoderProcess|inflate|load|pages|parseWorker|requestReader|server)\.ts$/,
  /^src\/serve\/structure\/(service|worker|xgrammar)\.ts$/,
  /^src\/web\/(keepForeign|vite\.config|plan\/site\/vite\.config)\.ts$/,
];

interface Import {
  from: string;
  to: string;
}

const files = readdirSync(join(ROOT, "src"), { recursive: true, encoding: "utf8" })
  .map((name) => join("src", name).replaceAll("\\", "/"))
  .filter((name) => /\.tsx?$/.test(name) && !/\.test\.tsx?$/.test(name));

/** Sources that are not rooms': benches and scripts. */
const beside = ["bench", "scripts"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name).replaceAll("\\", "/"))
    .filter((name) => /\.(ts|mjs|py)$/.test(name)),
);

/** The file that a specifier means; itself when it is a package or a module of Node. */
function target(from: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  const path = normalize(join(dirname(from), specifier.replace(/\?.*$/, ""))).replaceAll("\\", "/");
  return (
    [path, path.replace(/\.js$/, ".ts"), `${path}.ts`, `${path}.tsx`].find((p) => existsSync(join(ROOT, p))) ?? path
  );
}

function importsOf(from: string): Import[] {
  const source = ts.createSourceFile(from, readFileSync(join(ROOT, from), "utf8"), ts.ScriptTarget.Latest, true);
  const found: Import[] = [];
  const add = (specifier: ts.Node | undefined): void => {
    if (specifier && ts.isStringLiteral(specifier)) found.push({ from, to: target(from, specifier.text) });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node.moduleSpecifier);
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node.arguments[0]);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

const imports = files.flatMap(importsOf);
const roomOf = (file: string): string | undefined => /^src\/([^/]+)\//.exec(file)?.[1];
const said = ({ from, to }: Import): string => `${from} imports ${to}`;
const crossing = imports.filter(({ from, to }) => roomOf(from) && roomOf(to) && roomOf(from) !== roomOf(to));

/** Circles of files that import each other, be it for types alone; each by its files. */
function circles(): string[][] {
  const next = new Map<string, string[]>(files.map((file) => [file, []]));
  for (const { from, to } of imports) if (next.has(to)) next.get(from)?.push(to);
  const reach = (from: string): Set<string> => {
    const seen = new Set<string>();
    const todo = [...(next.get(from) ?? [])];
    for (let file = todo.pop(); file !== undefined; file = todo.pop())
      if (!seen.has(file)) {
        seen.add(file);
        todo.push(...(next.get(file) ?? []));
      }
    return seen;
  };
  const reached = new Map(files.map((file) => [file, reach(file)]));
  const inCircle = files.filter((file) => reached.get(file)?.has(file));
  return inCircle.map((file) =>
    inCircle.filter((other) => reached.get(file)?.has(other) && reached.get(other)?.has(file)),
  );
}

describe("the house", () => {
  it("has the rooms that it is said to have", () => {
    expect([...new Set(files.map(roomOf).filter((room) => room !== undefined))].sort()).toEqual(
      Object.keys(BELOW).sort(),
    );
    expect(imports.length).toBeGreaterThan(500);
  });

  it("imports downwards only", () => {
    const upwards = crossing.filter(({ from, to }) => !BELOW[roomOf(from)!]?.includes(roomOf(to)!));
    expect(upwards.map(said)).toEqual([]);
    const shared = imports.filter(({ from, to }) => /^src\/[^/]+$/.test(from) && !ENTRIES.includes(from) && roomOf(to));
    expect(shared.map(said)).toEqual([]);
  });

  it("has no circles, of types neither", () => {
    expect(circles()).toEqual([]);
  });

  it("is entered by the rooms' doors", () => {
    const deep = crossing.filter(
      ({ to }) => !/^src\/[^/]+\/index\.ts$/.test(to) && !DOORS.some((door) => door.test(to)),
    );
    expect(deep.map(said)).toEqual([]);
  });

  it("keeps Node's modules where a browser does not come", () => {
    const misplaced = imports.filter(
      ({ from, to }) =>
        to.startsWith("node:") &&
        !NODE_ROOMS.includes(roomOf(from) ?? "") &&
        !NODE_FILES.some((file) => file.test(from)),
    );
    expect(misplaced.map(said)).toEqual([]);
  });

  it("says in each file's first line what the file is", () => {
    const silent = [...files, ...beside].filter((file) => {
      const [first = "", second = ""] = readFileSync(join(ROOT, file), "utf8").split("\n", 2);
      const says = file.endsWith(".py") ? /^"""\S/ : /^(\/\*\*|\/\/) \S/;
      // A comment right above a declaration is that declaration's.
      return (
        !says.test(first) ||
        (first.endsWith("*/") &&
          /^(export )?(async |abstract |default )?(const|let|function|class|interface|type) /.test(second))
      );
    });
    expect(silent).toEqual([]);
  });
});
