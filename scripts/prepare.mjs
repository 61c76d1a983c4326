// What npm runs after `npm ci` in a checkout: builds when the tools for it were installed, and says so when they were not (--omit=dev).
// `npm pack` has built already (prepack).
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

const packing = ["pack", "publish"].includes(process.env.npm_command ?? "");
const tools = ["typescript", "vite"].every((name) => existsSync(new URL(`../node_modules/${name}`, import.meta.url)));
if (!tools) console.log("sumbi: without development tools nothing is built; dist/ stays as it is");
else if (!packing) process.exitCode = spawnSync("npm run build", { shell: true, stdio: "inherit" }).status ?? 1;
