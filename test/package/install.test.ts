// The tarball in an empty folder: the program, every entry with its types, an answer of the bundled model. SUMBI_TEST=full installs it by npm from the
// registry as a stranger does; else it is unpacked beside the dependencies of this checkout.
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, expect, it } from "vitest";
import { temporaryFolder } from "../folders.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
const folder = join(temporary.dir, "empty");
const KEPT = /^npm_config_(registry|cache|userconfig|globalconfig)$/;
/** Without what `npm test` tells its children. */
const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^npm_/.test(key) || KEPT.test(key)));
/** What a command prints on both streams. */
const run = (command: string, cwd: string): string =>
  execFileSync(`${command} 2>&1`, { cwd, env, shell: true as never, encoding: "utf8" });

/** Unpacks the tarball, with links to what it depends on. */
function unpack(tarball: string, name: string, dependencies: readonly string[]): void {
  const modules = join(folder, "node_modules");
  mkdirSync(join(modules, name), { recursive: true });
  run(`tar -xzf "${tarball}" -C "${join(modules, name)}" --strip-components=1`, folder);
  for (const dependency of dependencies.filter((it) => existsSync(join(ROOT, "node_modules", it)))) {
    mkdirSync(dirname(join(modules, dependency)), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", dependency), join(modules, dependency), "junction");
  }
}

it("in an empty folder the tarball is all that README promises", () => {
  mkdirSync(folder);
  const { name, version, exports, dependencies, optionalDependencies } = JSON.parse(
    readFileSync(join(ROOT, "package.json"), "utf8"),
  ) as {
    name: string;
    version: string;
    exports: Record<string, unknown>;
    dependencies: Record<string, string>;
    optionalDependencies: Record<string, string>;
  };
  run(`npm pack --ignore-scripts --silent --pack-destination "${temporary.dir}"`, ROOT);
  const tarball = join(temporary.dir, `${name}-${version}.tgz`);
  if (process.env["SUMBI_TEST"] === "full") {
    const said = run(`npm i --prefer-offline --no-audit --no-fund "${tarball}"`, folder);
    // npm lists scripts of a tarball that is a file, whether it would run them or not
    expect(said.split("\n").filter((line) => /^npm (?!warn install-scripts)/.test(line))).toEqual([]);
    expect(run("npx --no-install sumbi --version", folder).trim()).toBe(version);
  } else unpack(tarball, name, Object.keys({ ...dependencies, ...optionalDependencies }));
  expect(run(`node node_modules/${name}/bin/sumbi.js --version`, folder).trim()).toBe(version);

  const entries = Object.keys(exports).filter((entry) => entry !== "./package.json");
  const imports = entries.map((entry, i) => `import * as m${i} from "${name}${entry.slice(1)}";`);
  const all = `[${entries.map((_, i) => `m${i}`).join(", ")}]`;
  writeFileSync(
    join(folder, "all.mjs"),
    `${imports.join("\n")}\nconsole.log(${all}.every((m) => Object.keys(m).length > 2));\n`,
  );
  expect(run("node all.mjs", folder)).toBe("true\n");

  writeFileSync(
    join(folder, "types.mts"),
    `${imports.join("\n")}
import { train, type TrainResult } from "${name}";
export const result: TrainResult = await train({ data: "x", onStep: ({ loss }) => void loss.toFixed(1) });
// @ts-expect-error a recipe is no number
await train({ recipe: 3 });
export const held = ${all};
`,
  );
  const program = ts.createProgram([join(folder, "types.mts")], {
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.esnext.disposable.d.ts"],
    typeRoots: [join(ROOT, "node_modules/@types")],
    types: ["node"],
  });
  const faults = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
    return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, "\n")}`;
  });
  expect(faults.filter((fault) => /types\.mts|node_modules\/sumbi\//.test(fault))).toEqual([]);

  copyFileSync(join(folder, "node_modules", name, "examples/engine.mjs"), join(folder, "engine.mjs"));
  expect(run("node engine.mjs", folder)).toMatch(/347 \+ 586 = \d+\./);
});
