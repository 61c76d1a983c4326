// Which of the package's entries a browser's bundler takes, and that none of those brings a module of Node with it.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Rollup } from "vite";
import { afterAll, expect, it } from "vitest";
import { temporaryFolder } from "../folders.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
type Target = string | { browser?: Target; node?: Target; default?: Target; types?: string };
const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { exports: Record<string, Target> };
const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());

/** The file that a browser's bundler is given; undefined where there is none. */
const forBrowsers = (target: Target | undefined): string | undefined =>
  typeof target === "object" ? forBrowsers(target.browser ?? target.default) : target;
const entries = Object.keys(exports).filter((entry) => entry !== "./package.json");

it("says which entries are for browsers", () => {
  expect(entries.filter((entry) => forBrowsers(exports[entry])).sort()).toEqual(
    [".", "./audit", "./model", "./plan", "./serve", "./tensor", "./tokenizer"].sort(),
  );
});

it("bundles these without a module of Node", async () => {
  const sources = entries.flatMap((entry) => {
    const file = forBrowsers(exports[entry]);
    return file ? [[entry, join(ROOT, file.replace("/dist/", "/src/").replace(/\.js$/, ".ts"))] as const] : [];
  });
  const output = (await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: false,
      target: "es2022",
      rollupOptions: {
        input: Object.fromEntries(sources.map(([entry, source]) => [entry.replace(/^\.\/?/, "") || "sumbi", source])),
        preserveEntrySignatures: "strict",
        external: /^node:/,
      },
    },
  })) as Rollup.RollupOutput;
  const chunks = output.output.filter((file) => file.type === "chunk");
  const own = new Set(chunks.map(({ fileName }) => fileName));
  const outside = chunks.flatMap(({ name, imports, dynamicImports }) =>
    [...imports, ...dynamicImports].filter((to) => !own.has(to)).map((to) => `${name} imports ${to}`),
  );
  expect(outside).toEqual([]);
  const named = (entry: string) => chunks.find(({ isEntry, name }) => isEntry && name === entry)?.exports ?? [];
  expect(named("sumbi")).toEqual(expect.arrayContaining(["SumbiError", "createApp", "parseConfig", "Tokenizer"]));
  expect(named("serve")).toContain("localEncoder");
  expect(named("tensor")).toContain("grad");
  expect(named("audit")).toContain("audit");
});

it("refuses the others by name instead of failing in the page", async () => {
  mkdirSync(join(temporary.dir, "node_modules"));
  symlinkSync(ROOT, join(temporary.dir, "node_modules/sumbi"), "junction");
  writeFileSync(
    join(temporary.dir, "main.js"),
    'import { readDocuments } from "sumbi/data";\nconsole.log(readDocuments);\n',
  );
  const options = { write: false, rollupOptions: { input: join(temporary.dir, "main.js") } };
  await expect(build({ configFile: false, root: temporary.dir, logLevel: "silent", build: options })).rejects.toThrow(
    /No known conditions for "\.\/data"/,
  );
});
