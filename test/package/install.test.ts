// The tarball in an empty folder, as whoever runs `npm i sumbi` has it: the program, every entry with its types, an answer of the bundled model.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

it("npm i of the tarball in an empty folder gives all that README promises", () => {
  mkdirSync(folder);
  const { name, version, exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    name: string;
    version: string;
    exports: Record<string, unknown>;
  };
  run(`npm pack --ignore-scripts --silent --pack-destination "${temporary.dir}"`, ROOT);
  const said = run(`npm i --prefer-offline --no-audit --no-fund ../${name}-${version}.tgz`, folder);
  // npm lists scripts of a tarball that is a file, whether it would run them or not
  expect(said.split("\n").filter((line) => /^npm (?!warn install-scripts)/.test(line))).toEqual([]);
  expect(run("npx --no-install sumbi --version", folder).trim()).toBe(version);

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
