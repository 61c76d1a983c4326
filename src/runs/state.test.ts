import { existsSync, mkdirSync, readdirSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { loadState, saveState, StateHistory, type TrainingState } from "./state.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let count = 0;
let dir = "";
beforeEach(() => void (dir = join(temporary.dir, `run-${count++}`)));

const stateOf = (step: number): TrainingState => ({
  state: { step },
  tensors: [{ key: "exp_avg.w", shape: [2], data: Float32Array.of(step, -step) }],
});

describe("saveState", () => {
  test("keeps every bit: odd floats, 64-bit integers, names and nested settings", async () => {
    const odd = new Float32Array(Int32Array.of(1, -0x80000000, 0x7fc12345, 0x7f800001, 0x7f7fffff).buffer);
    const state = { step: 7, lr: 0.1 + 0.2, seeds: [1, 2 ** 53 - 1, -1.5e-300], nested: { text: "숨비\n", none: null, yes: true } };
    await saveState(dir, {
      state,
      tensors: [
        { key: "exp_avg.w", shape: [5], data: odd },
        { key: "rng", shape: [2], data: () => BigInt64Array.of(2n ** 63n - 1n, -5n), dtype: "i64" },
        { key: "mask", shape: [1, 2], data: async () => Uint8Array.of(1, 0), dtype: "bool" },
      ],
    });
    const loaded = await loadState(dir);
    expect(loaded.state).toEqual(state);
    expect(loaded.tensors.keys()).toEqual(["exp_avg.w", "mask", "rng"]);
    const { data } = await loaded.tensors.readF32("exp_avg.w");
    expect(new Int32Array(data.buffer)).toEqual(new Int32Array(odd.buffer));
    expect(await loaded.tensors.read("rng")).toEqual({ dtype: "i64", shape: [2], data: BigInt64Array.of(2n ** 63n - 1n, -5n) });
    expect((await loaded.tensors.read("mask")).data).toEqual(Uint8Array.of(1, 0));
    await loaded.close();
  });

  test.each([
    ["NaN", { losses: [1, NaN] }, /state\.losses\[1\]: .*got NaN/],
    ["infinity", { a: { b: -Infinity } }, /state\.a\.b: .*got -Infinity/],
    ["undefined", { a: undefined }, /state\.a: .*got undefined/],
    ["a date", { at: new Date(0) }, /state\.at/],
    ["a typed array", { x: new Float32Array(1) }, /state\.x/],
    ["a bigint", { n: 1n }, /state\.n/],
  ])("refuses %s, which JSON would change", async (_, state, message) => {
    const saving = saveState(dir, { state, tensors: [] });
    await expect(saving).rejects.toThrow(message);
    await expect(saving).rejects.toBeInstanceOf(CheckpointError);
    expect(existsSync(dir)).toBe(false);
  });

  test("refuses an array that is not of the dtype, and a folder that is someone's own", async () => {
    const wrong = { key: "w", shape: [2], data: new Float64Array(2) };
    await expect(saveState(dir, { state: {}, tensors: [wrong] })).rejects.toThrow(/"w": expected 2 values of f32, got 2 in a Float64Array/);
    mkdirSync(dir);
    writeFiles(dir, { "notes.txt": "" });
    await expect(saveState(dir, stateOf(1))).rejects.toThrow(/not a training state is not replaced/);
  });

  test("a folder that is no state is refused", async () => {
    await expect(loadState(dir)).rejects.toThrow(/no such folder/);
    await saveState(dir, stateOf(1));
    writeFileSync(join(dir, "state.json"), '{"version":99,"state":{}}');
    await expect(loadState(dir)).rejects.toThrow(/state\.json: expected \{version: 1, state\}, got version 99/);
  });
});

describe("StateHistory", () => {
  const names = () => readdirSync(dir).sort();

  test("keeps the last few and loads the newest", async () => {
    const history = new StateHistory(dir, 2);
    expect(await history.loadLatest()).toBeUndefined();
    for (const step of [5, 100, 95_000_000, 123_456_789]) await history.save(step, stateOf(step));
    expect(names()).toEqual(["step-123456789", "step-95000000"]);
    expect((await history.list()).map(({ step }) => step)).toEqual([95_000_000, 123_456_789]);
    const latest = await history.loadLatest();
    expect(latest).toMatchObject({ step: 123_456_789, skipped: [], state: { step: 123_456_789 } });
    expect((await latest!.tensors.readF32("exp_avg.w")).data).toEqual(Float32Array.of(123_456_789, -123_456_789));
    await latest!.close();
  });

  test("a rollback forgets the steps that were given up", async () => {
    const history = new StateHistory(dir, 2);
    for (const step of [10, 20, 30, 15]) await history.save(step, stateOf(step));
    expect((await history.list()).map(({ step }) => step)).toEqual([15]);
    expect(names()).toEqual(["step-00000015"]);
  });

  test("falls back to an older state when the newest is damaged, and says so", async () => {
    const history = new StateHistory(dir, 3);
    for (const step of [1, 2, 3]) await history.save(step, stateOf(step));
    truncateSync(join(dir, "step-00000003", "model.safetensors"), 20);
    writeFileSync(join(dir, "step-00000002", "state.json"), "{");
    const latest = await history.loadLatest();
    expect(latest?.step).toBe(1);
    expect(latest?.skipped).toEqual([expect.stringMatching(/step-00000003.*truncated/), expect.stringMatching(/step-00000002.*expected JSON/)]);
    await latest?.close();
    writeFileSync(join(dir, "step-00000001", "state.json"), "");
    await expect(history.loadLatest()).rejects.toThrow(/no state can be read: .*step-00000003/);
  });

  test("finds a state whose replacement was cut short", async () => {
    const history = new StateHistory(dir);
    await history.save(1, stateOf(1));
    await history.save(2, stateOf(2));
    renameSync(join(dir, "step-00000002"), join(dir, ".step-00000002.sumbi-new"));
    const latest = await history.loadLatest();
    expect(latest?.step).toBe(2);
    await latest?.close();
  });
});
