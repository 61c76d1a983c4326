/** Building empties its own folder first; one that was named on the command line (--outDir) may be somebody's. */
import { resolve } from "node:path";
import type { Plugin } from "vite";

/** Vite plugin: a folder other than `own` is built into, and never emptied. */
export const keepForeign = (own: string): Plugin => ({
  name: "sumbi:keep-foreign",
  config({ root = ".", build }) {
    return build?.outDir !== undefined && resolve(root, build.outDir) !== resolve(own)
      ? { build: { emptyOutDir: false } }
      : null;
  },
});
