/** Where a thread's code is: compiled beside its caller, or TypeScript that runs through tsx (tests, benches). */
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** The address to start a Worker with: of `./name` beside the module at `from` (its `import.meta.url`). */
export function threadUrl(from: string, name: string): URL {
  if (!from.endsWith(".ts")) return new URL(`./${name}.js`, from);
  const tsx = pathToFileURL(
    createRequire(import.meta.url)
      .resolve("tsx/esm/api")
      .replace(/\.cjs$/, ".mjs"),
  );
  const module = new URL(`./${name}.ts`, from);
  return new URL(
    `data:text/javascript,import { register } from ${JSON.stringify(tsx.href)}; register(); await import(${JSON.stringify(module.href)});`,
  );
}
