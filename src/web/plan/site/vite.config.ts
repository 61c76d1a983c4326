/** How the planner's static site is built. */
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { keepForeign } from "../../keepForeign.ts";
import { quiet } from "./quiet.ts";

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

const OUT = here("../../../../dist/plan-site");

/** The planner alone, as files for any static host and any folder there: every address in it is relative. */
export default defineConfig({
  root: here("."),
  base: "./",
  mode: "site",
  publicDir: here("../../public"),
  plugins: [keepForeign(OUT)],
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  css: { postcss: { plugins: [] } },
  worker: { format: "es", plugins: () => [quiet] },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
