/** TypeScript without its types. */
import { createRequire } from "node:module";
import { DataError } from "../../errors.ts";

/** As Node 22.18 does it, by the same library: types become blanks, lines and columns stay. Throws DataError for enums and the like, which need more. */
export function stripTypes(source: string, path: string): string {
  // 3.5 MB of WebAssembly, read only where it is needed
  const { transformSync } = createRequire(import.meta.url)(
    "@swc/wasm-typescript",
  ) as typeof import("@swc/wasm-typescript");
  try {
    return transformSync(source, { mode: "strip-only", filename: path }).code;
  } catch (error) {
    const { message, startLine } = error as { message?: string; startLine?: number };
    throw new DataError(
      `${path}${startLine === undefined ? "" : `:${startLine}`}: expected TypeScript whose types can be left out, got: ${message ?? String(error)}`,
    );
  }
}
