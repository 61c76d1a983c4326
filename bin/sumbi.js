#!/usr/bin/env node
import { existsSync } from "node:fs";

const main = new URL("../dist/cli/main.js", import.meta.url);
if (existsSync(main)) process.exitCode = await (await import(main.href)).main(process.argv);
else {
  process.stderr.write("error: sumbi is not built: npm ci (with development tools), or npm run build\n");
  process.exitCode = 1;
}
