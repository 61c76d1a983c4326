import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { f32 } from "../tensor/dtype.ts";
import { compile, setThreads } from "./index.ts";
import { probeModel } from "./probe.ts";

// With one thread nothing in the library itself keeps it loaded. A failure here is a crash of the test process.
test("the native library stays loaded after garbage collection", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  setThreads(1);
  const port = (name: string) => ({ name, dtype: "f32" as const, shape: [2] });
  const graph = await compile(
    probeModel({ nodes: [{ op: "Neg", inputs: ["x"], outputs: ["y"] }], inputs: [port("x")], outputs: [port("y")] }),
  );
  for (let i = 0; i < 10; i++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect([...graph.runSync({ x: f32([2], [i, -i]) }).y!.data]).toEqual([-i, i]);
  }
});
