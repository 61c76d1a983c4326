/** How the pages are built. */
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { keepForeign } from "./keepForeign.ts";
import { quiet } from "./plan/site/quiet.ts";

/** KaTeX's style sheet offers every font three times; all browsers of the last ten years read the first, woff2. */
const woff2Only: Plugin = {
  name: "sumbi:woff2-only",
  enforce: "pre",
  transform(code, id) {
    if (!/katex(\.min)?\.css/.test(id)) return null;
    return { code: code.replace(/,\s*url\([^)]*\.(?:woff|ttf)\)\s*format\([^)]*\)/g, ""), map: null };
  },
};

const OUT = fileURLToPath(new URL("../../dist/web", import.meta.url));

export default defineConfig({
  root: fileURLToPath(new URL(".", import.meta.url)),
  esbuild: { jsx: "automatic", jsxImportSource: "preact", legalComments: "none" },
  plugins: [woff2Only, keepForeign(OUT)],
  css: { postcss: { plugins: [] } },
  worker: { format: "es", plugins: () => [quiet] },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: "es2022",
    // The pages' policy allows no data: fonts and no inline code, so every asset is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "/v1": "http://127.0.0.1:8080", "/api": "http://127.0.0.1:8080" } },
});
