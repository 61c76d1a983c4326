import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { resolveConfig } from "vite";
import { expect, test } from "vitest";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

test.each([
  ["the pages", here("."), here("../../dist/web")],
  ["the planner's site", here("plan/site"), here("../../dist/plan-site")],
])("%s: building empties the project's own folder and no other", async (_, root, own) => {
  const resolved = (outDir?: string) =>
    resolveConfig({ root, configFile: join(root, "vite.config.ts"), ...(outDir && { build: { outDir } }) }, "build");
  expect((await resolved()).build).toMatchObject({ outDir: own, emptyOutDir: true });
  expect((await resolved(own)).build.emptyOutDir).toBe(true);
  for (const outDir of [tmpdir(), "../..", "site"]) expect((await resolved(outDir)).build.emptyOutDir).toBe(false);
});
