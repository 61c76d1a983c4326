import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { RuntimeError } from "../errors.ts";
import { libraryPath, type Place } from "./library.ts";

const root = mkdtempSync(join(tmpdir(), "sumbi-library-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A machine on which these files are all that is installed. */
function place(platform: string, arch: string, ...files: string[]): Place {
  const modules = mkdtempSync(join(root, "modules-"));
  const installed = new Set<string>();
  for (const file of files) {
    mkdirSync(join(modules, file, ".."), { recursive: true });
    writeFileSync(join(modules, file), "");
    installed.add(file.split("/")[0]!);
  }
  return {
    platform,
    arch,
    override: undefined,
    packageFolder: (name) => (installed.has(name) ? join(modules, name) : undefined),
  };
}

describe("the ONNX Runtime library", () => {
  it.each([
    ["linux", "x64", "sherpa-onnx-linux-x64/libonnxruntime.so"],
    ["linux", "arm64", "sherpa-onnx-linux-arm64/libonnxruntime.so"],
    ["darwin", "arm64", "sherpa-onnx-darwin-arm64/libonnxruntime.dylib"],
    ["darwin", "x64", "sherpa-onnx-darwin-x64/libonnxruntime.dylib"],
    ["win32", "x64", "sherpa-onnx-win-x64/onnxruntime.dll"],
    ["win32", "arm64", "onnxruntime-node/bin/napi-v6/win32/arm64/onnxruntime.dll"],
    ["linux", "x64", "onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1"],
    ["darwin", "arm64", "onnxruntime-node/bin/napi-v6/darwin/arm64/libonnxruntime.1.30.0.dylib"],
  ])("of %s-%s is found as %s", (platform, arch, file) => {
    const found = libraryPath(place(platform, arch, file, `${file.split("/")[0]}/libsherpa-onnx-c-api.so`));
    expect(found.replaceAll("\\", "/").endsWith(file)).toBe(true);
  });

  it("comes from what Sumbi installs, also where onnxruntime-node is", () => {
    const both = place(
      "linux",
      "x64",
      "onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime.so.1",
      "sherpa-onnx-linux-x64/libonnxruntime.so",
    );
    expect(libraryPath(both)).toContain("sherpa-onnx-linux-x64");
  });

  it("is the user's own where SUMBI_ONNXRUNTIME names one", () => {
    expect(libraryPath({ ...place("linux", "x64"), override: "/opt/ort.so" })).toBe("/opt/ort.so");
  });

  it("is asked for by name where none is, also when a carrier came without it", () => {
    for (const none of [place("linux", "x64"), place("linux", "x64", "sherpa-onnx-linux-x64/index.js")]) {
      expect(() => libraryPath(none)).toThrow(RuntimeError);
      expect(() => libraryPath(none)).toThrow(
        /linux-x64.*sherpa-onnx-linux-x64 or onnxruntime-node.*SUMBI_ONNXRUNTIME/,
      );
    }
  });
});
