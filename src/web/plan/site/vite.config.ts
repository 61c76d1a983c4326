import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { quiet } from "./quiet.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The planner alone, as files for any static host and any folder there: every address in it is relative. */
export default defineConfig({
  root: here("."),
  base: "./",
  mode: "site",
  publicDir: here("../../public"),
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  css: { postcss: { plugins: [] } },
  worker: { format: "es", plugins: () => [quiet] },
  build: {
    outDir: here("../../../../dist/plan-site"),
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
