/** Lets Node before 22.18 import TypeScript as later ones do: types are blanked out, nothing else is changed. */
import { readFile } from "node:fs/promises";
import type { LoadHook } from "node:module";
import { fileURLToPath } from "node:url";
import { stripTypes } from "./stripTypes.ts";

export const load: LoadHook = async (url, context, next) => {
  if (!/^file:.*\.m?ts$/.test(url)) return next(url, context);
  const path = fileURLToPath(url);
  return { format: "module", shortCircuit: true, source: stripTypes(await readFile(path, "utf8"), path) };
};
