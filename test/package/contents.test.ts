import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

// What `npm pack` would put into the package, and what package.json promises of it.

const root = fileURLToPath(new URL("../..", import.meta.url));
/** A file, or one for each condition. */
type Target = string | { [condition: string]: Target };
const targetsOf = (target: Target): string[] =>
  typeof target === "string" ? [target] : Object.values(target).flatMap(targetsOf);
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, Target>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  scripts: Record<string, string>;
};
const packed = () => {
  const text = execFileSync("npm pack --dry-run --json --ignore-scripts", { cwd: root, shell: true, encoding: "utf8" });
  const [{ files }] = JSON.parse(text) as [{ files: { path: string; size: number }[] }];
  return files;
};

describe("the package", () => {
  const files = packed();
  const paths = new Set(files.map(({ path }) => path));

  it("holds the program, its licence and documents, the bundled model, recipes and texts", () => {
    for (const path of [
      "LICENSE",
      "README.md",
      "CHANGELOG.md",
      "SECURITY.md",
      "docs/decisions/001-onnxruntime-through-its-c-api.md",
      "bin/sumbi.js",
      "dist/cli/main.js",
      "dist/web/index.html",
      "models/nano/model.safetensors",
      "recipes/tiny.jsonc",
      "examples/train.mjs",
      "examples/plan-page/index.html",
      "data/README.md",
      "data/constants",
      "data/moby-dick.json.br",
      "data/state-of-the-union.json.br",
    ])
      expect(paths, path).toContain(path);
  });

  it("holds a module and its types behind every entry", () => {
    for (const [entry, target] of Object.entries(manifest.exports))
      for (const path of targetsOf(target)) expect(paths, entry).toContain(path.replace("./", ""));
  });

  it("has its reference made of every entry", () => {
    const { entryPoints } = JSON.parse(readFileSync(join(root, "typedoc.json"), "utf8")) as { entryPoints: string[] };
    const sources = Object.values(manifest.exports)
      .flatMap(targetsOf)
      .flatMap((path) => (path.endsWith(".js") ? [path.replace("./dist/", "src/").replace(/js$/, "ts")] : []));
    expect([...entryPoints].sort()).toEqual(sources.sort());
  });

  it("holds no source, test, fixture, bench, source map, or anything of the checkout alone", () => {
    const strays = [...paths].filter(
      (path) =>
        /^(src|test|bench|scripts|\.ci|runs|node_modules)\//.test(path) ||
        /\.(test\.|map$|tsbuildinfo$)/.test(path) ||
        /fixtures?\//.test(path) ||
        path.startsWith("docs/reference/"),
    );
    expect(strays).toEqual([]);
  });

  it("has no module that asks for a package which is not installed with it", () => {
    const known = new Set(Object.keys(manifest.dependencies));
    const missing = new Set<string>();
    for (const { path } of files)
      if (/^dist\/(?!web\/).*\.js$/.test(path))
        for (const [, name] of readFileSync(join(root, path), "utf8").matchAll(/\bfrom "((?:@[\w.-]+\/)?[\w.-]+)/g))
          if (!/^(node:|\.)/.test(name!) && !known.has(name!) && !name!.startsWith("node"))
            missing.add(`${path}: ${name}`);
    expect([...missing]).toEqual([]);
  });

  it("runs nothing when it is installed, and what it needs runs nothing either", () => {
    for (const script of ["preinstall", "install", "postinstall"]) expect(manifest.scripts).not.toHaveProperty(script);
    const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
      packages: Record<string, { dev?: boolean; hasInstallScript?: boolean; resolved?: string }>;
    };
    const scripts = Object.entries(lock.packages)
      .filter(([path, { dev, hasInstallScript }]) => path !== "" && !dev && hasInstallScript)
      .map(([path]) => path);
    // koffi's script only checks, and builds where no prebuilt binary fits.
    expect(scripts).toEqual(["node_modules/koffi"]);
    expect(Object.values(lock.packages).filter(({ resolved }) => resolved?.startsWith("http"))).toEqual([]);
  });

  it("takes exactly one carrier of the ONNX Runtime library, of one version for every platform", () => {
    expect(new Set(Object.values(manifest.optionalDependencies)).size).toBe(1);
    expect(Object.values(manifest.optionalDependencies)[0]).toMatch(/^\d+\.\d+\.\d+$/);
    const here = Object.keys(manifest.optionalDependencies).filter((name) =>
      existsSync(join(root, "node_modules", name)),
    );
    expect(here.length).toBe(1);
  });
});
