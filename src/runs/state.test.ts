import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder, writeFiles } from "../../test/folders.ts";
import { CheckpointError } from "../errors.ts";
import { type LoadedState, loadState, StateHistory, saveState, type TrainingState } from "./state.ts";

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
    const state = {
      step: 7,
      lr: 0.1 + 0.2,
      seeds: [1, 2 ** 53 - 1, -1.5e-300],
      nested: { text: "숨비\n", none: null, yes: true },
    };
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
    expect(await loaded.tensors.read("rng")).toEqual({
      dtype: "i64",
      shape: [2],
      data: BigInt64Array.of(2n ** 63n - 1n, -5n),
    });
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
    await expect(saveState(dir, { state: {}, tensors: [wrong] })).rejects.toThrow(
      /"w": expected 2 values of f32, got 2 in a Float64Array/,
    );
    mkdirSync(dir);
    writeFiles(dir, { "notes.txt": "" });
    await expect(saveState(dir, stateOf(1))).rejects.toThrow(/not a training state is not replaced/);
  });

  test("a folder that is no state is refused", async () => {
    await expect(loadState(dir)).rejects.toThrow(/no such folder/);
    await saveState(dir, stateOf(1));
    for (const [text, message] of [
      ['{"version":99,"state":{}}', /state\.json: digest: expected string, got undefined; version: expected 2/],
      ['{"version":1,"state":{}}', /state\.json: expected version 2, got 1: an older Sumbi wrote it/],
      [
        '{"digest":"","version":2,"state":null,"tensors":{},"heads":{}}',
        /state\.json: state: expected record, got null/,
      ],
      ['{"digest":"","version":2,"state":{},"tensors":{"w":-1},"heads":{}}', /state\.json: tensors\.w: /],
      ['{"digest":"","version":2,"state":{},"tensors":{},"heads":{}}', /state\.json: is not as it was saved/],
    ] as const) {
      writeFileSync(join(dir, "state.json"), text);
      await expect(loadState(dir)).rejects.toThrow(message);
    }
  });
});

describe("StateHistory", () => {
  const names = () => readdirSync(dir).sort();
  const data = new Float32Array(2);
  const use = async (state: LoadedState, step: number) => {
    await state.readInto("exp_avg.w", data);
    return { step, state: state.state, data: [...data] };
  };

  test("keeps the last few and loads the newest", async () => {
    const history = new StateHistory(dir, 2);
    expect(await history.load(use)).toBeUndefined();
    for (const step of [5, 100, 95_000_000, 123_456_789]) await history.save(step, stateOf(step));
    expect(names()).toEqual(["step-123456789", "step-95000000"]);
    expect((await history.list()).map(({ step }) => step)).toEqual([95_000_000, 123_456_789]);
    expect(await history.load(use)).toEqual({
      step: 123_456_789,
      state: { step: 123_456_789 },
      data: [Math.fround(123_456_789), Math.fround(-123_456_789)],
    });
    expect(await history.load(use, { upTo: 100_000_000 })).toMatchObject({ step: 95_000_000 });
  });

  test("what somebody put beside a state outlives it, with the state, out of the others' way", async () => {
    const history = new StateHistory(dir, 1);
    await history.save(1, stateOf(1));
    writeFiles(join(dir, "step-00000001"), { "NOTES.md": "best so far" });
    await history.save(2, stateOf(2));
    expect(readdirSync(dir).sort()).toEqual(["kept-step-00000001", "step-00000002"]);
    expect(readdirSync(join(dir, "kept-step-00000001")).sort()).toEqual([
      "NOTES.md",
      "model.safetensors",
      "state.json",
    ]);
    writeFiles(join(dir, "step-00000002"), { "NOTES.md": "better" });
    await history.save(2, stateOf(2));
    expect(readdirSync(dir).sort()).toEqual(["kept-step-00000001", "kept-step-00000002", "step-00000002"]);
    expect(readFileSync(join(dir, "kept-step-00000002", "NOTES.md"), "utf8")).toBe("better");
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
    const skipped: string[] = [];
    expect(await history.load(use, { skipped: (reason) => skipped.push(reason) })).toMatchObject({ step: 1 });
    expect(skipped).toEqual([
      expect.stringMatching(/step-00000003.*truncated/),
      expect.stringMatching(/step-00000002.*expected JSON/),
    ]);
    writeFileSync(join(dir, "step-00000001", "state.json"), "");
    await expect(history.load(use)).rejects.toThrow(/no state can be read: .*step-00000003/);
  });

  test("one flipped bit anywhere: the state is passed over, and refused when it was asked for", async () => {
    const history = new StateHistory(dir, 3);
    const everyBit = process.env["SUMBI_TEST"] === "full" ? 1 : 19;
    for (const step of [1, 2]) await history.save(step, stateOf(step));
    const where = join(dir, "step-00000002");
    const whole = Object.fromEntries(readdirSync(where).map((name) => [name, readFileSync(join(where, name))]));
    expect(Object.keys(whole).sort()).toEqual(["model.safetensors", "state.json"]);
    for (const [name, bytes] of Object.entries(whole))
      for (let bit = 0; bit < bytes.length * 8; bit += everyBit) {
        const damaged = Buffer.from(bytes);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        writeFileSync(join(where, name), damaged);
        const reasons: string[] = [];
        const taken = await history.load(use, { skipped: (reason) => reasons.push(reason) });
        expect({ name, bit, step: taken?.step, reasons }).toEqual({
          name,
          bit,
          step: 1,
          reasons: [expect.stringContaining("step-00000002")],
        });
        if (bit % 5 === 0) await expect(history.loadStep(2, (state) => use(state, 2))).rejects.toThrow(CheckpointError);
        writeFileSync(join(where, name), bytes);
      }
    expect(await history.loadStep(2, (state) => use(state, 2))).toMatchObject({ step: 2 });
    await expect(history.loadStep(7, (state) => use(state, 7))).rejects.toThrow(
      /expected a state of step 7, found those of 1, 2/,
    );
  });

  test("finds a state whose replacement was cut short", async () => {
    const history = new StateHistory(dir);
    await history.save(1, stateOf(1));
    await history.save(2, stateOf(2));
    renameSync(join(dir, "step-00000002"), join(dir, ".step-00000002.sumbi-new"));
    expect(await history.load(use)).toMatchObject({ step: 2 });
  });

  test("removes only what it knows: a process that was displaced takes nothing from the one that runs now", async () => {
    const first = new StateHistory(dir, 1);
    await first.save(100, stateOf(100));
    const second = new StateHistory(dir, 2);
    await second.load(use);
    for (const step of [150, 200]) await second.save(step, stateOf(step));
    await first.save(110, stateOf(110));
    expect((await second.list()).map(({ step }) => step)).toEqual([110, 150, 200]);
  });

  test("asks before every save and every removal whether the run is still its own", async () => {
    let asked = 0;
    let until = Infinity;
    const history = new StateHistory(dir, 1, () => {
      if (++asked > until) throw new CheckpointError("taken over");
    });
    await history.save(1, stateOf(1));
    expect(asked).toBe(2);
    await history.save(2, stateOf(2));
    expect(asked).toBe(5);
    const lost = async (allowed: number, left: string[]) => {
      until = asked + allowed;
      await expect(history.save(3, stateOf(3))).rejects.toThrow("taken over");
      expect(names()).toEqual(left);
    };
    await lost(0, ["step-00000002"]);
    await lost(1, ["step-00000002"]);
    await lost(2, ["step-00000002", "step-00000003"]);
  });
});
