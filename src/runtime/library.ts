/** Which ONNX Runtime library is loaded: the user's own, else the one that a package carries for this platform. */
import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { RuntimeError } from "../errors.ts";

/** What the library is called in a package, with or without a version: Linux, macOS, Windows. */
const LIBRARY = /^(libonnxruntime\.so(\.\d+)*|libonnxruntime(\.\d+)*\.dylib|onnxruntime\.dll)$/;

const system = (platform: string): string => (platform === "win32" ? "win" : platform);

/** Packages that carry the library, and the folder in them: first what Sumbi installs, then what somebody may have installed beside it. */
const carriers = (platform: string, arch: string): { name: string; folder: string }[] => [
  { name: `sherpa-onnx-${system(platform)}-${arch}`, folder: "." },
  { name: "onnxruntime-node", folder: join("bin", "napi-v6", platform, arch) },
];

export interface Place {
  /** As `process.platform` and `process.arch`. */
  platform: string;
  arch: string;
  /** The folder of a package that is installed; undefined when it is not. */
  packageFolder(name: string): string | undefined;
  /** SUMBI_ONNXRUNTIME. */
  override: string | undefined;
}

const here: Place = {
  platform: process.platform,
  arch: process.arch,
  packageFolder(name) {
    try {
      return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
    } catch {
      return undefined;
    }
  },
  override: undefined,
};

/** The library's path: `SUMBI_ONNXRUNTIME` when set (for other hardware or providers), else a carrier's. Throws RuntimeError. */
export function libraryPath(place: Place = { ...here, override: process.env.SUMBI_ONNXRUNTIME }): string {
  if (place.override) return place.override;
  const candidates = carriers(place.platform, place.arch);
  for (const { name, folder } of candidates) {
    const root = place.packageFolder(name);
    if (root === undefined) continue;
    const dir = join(root, folder);
    const file =
      existsSync(dir) &&
      readdirSync(dir)
        .sort()
        .find((entry) => LIBRARY.test(entry));
    if (file) return join(dir, file);
  }
  throw new RuntimeError(
    `runtime: expected an ONNX Runtime library for ${place.platform}-${place.arch} in the package ` +
      `${candidates.map(({ name }) => name).join(" or ")}, found none; install again without --omit=optional, ` +
      "or set SUMBI_ONNXRUNTIME to the path of a library",
  );
}
