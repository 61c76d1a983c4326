/** Tests only: a source file and what it imports as one JavaScript file, for child processes that must start fast. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build } from "vite";

/** Writes the bundle into a folder; its address, to be imported. */
export async function bundle(entry: string, outDir: string): Promise<string> {
  await build({
    configFile: false,
    logLevel: "silent",
    ssr: { noExternal: true },
    build: {
      ssr: entry,
      outDir,
      emptyOutDir: false,
      minify: false,
      rollupOptions: { output: { entryFileNames: "bundle.mjs" } },
    },
  });
  return pathToFileURL(join(outDir, "bundle.mjs")).href;
}
