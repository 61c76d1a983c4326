import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { temporaryFolder } from "../../test/folders.ts";
import { release, removeLeftovers, temporaryIn } from "./leftovers.ts";

const temporary = temporaryFolder();
afterAll(() => temporary[Symbol.dispose]());
let dir = "";
beforeEach(() => void ((dir = join(temporary.dir, String(Math.random()))), mkdirSync(dir)));

/** No process has this id: the largest Linux allows is 4,194,304. */
const DEAD_PID = 4_999_999;
const make = (name: string): string => {
  mkdirSync(join(dir, name));
  writeFileSync(join(dir, name, "shard.bin"), "x");
  return name;
};
const own = (): string => basename(temporaryIn(dir));
const ofProcess = (pid: number): string => own().replace(`-${process.pid}-`, `-${pid}-`);

describe("removeLeftovers", () => {
  test("takes what a dead process of this machine left, folder or file", async () => {
    make(ofProcess(DEAD_PID));
    writeFileSync(join(dir, ofProcess(DEAD_PID)), "x");
    make(`.model.sumbi-tmp-${DEAD_PID}-0a1b2c3d`);
    await removeLeftovers(dir);
    expect(readdirSync(dir)).toEqual([]);
  });

  test("leaves what a living process writes, this one included, until it is let go", async () => {
    const mine = temporaryIn(dir);
    mkdirSync(mine);
    const names = [basename(mine), make(ofProcess(process.ppid))].sort();
    await removeLeftovers(dir);
    expect(readdirSync(dir).sort()).toEqual(names);
    release(mine);
    await removeLeftovers(dir);
    expect(readdirSync(dir)).toEqual([basename(names.find((name) => name !== basename(mine))!)]);
  });

  test("leaves what another machine or container wrote: its process numbers mean nothing here", async () => {
    const there = make(ofProcess(DEAD_PID).replace(/tmp-[0-9a-f]{8}-/, "tmp-00000000-"));
    await removeLeftovers(dir);
    expect(readdirSync(dir)).toEqual([there]);
  });

  test("leaves everything that does not bear such a name", async () => {
    const names = [
      "model",
      ".git",
      ".sumbi-tmp",
      `sumbi-tmp-${DEAD_PID}-0a1b2c3d`,
      `.sumbi-tmp-${DEAD_PID}-0a1b2c3d.txt`,
      `.sumbi-tmp-x-0a1b2c3d`,
    ].map(make);
    await removeLeftovers(dir);
    expect(readdirSync(dir).sort()).toEqual(names.sort());
  });

  test("has nothing to do where there is no folder", async () => {
    await removeLeftovers(join(dir, "gone"));
    writeFileSync(join(dir, "file"), "");
    await removeLeftovers(join(dir, "file"));
    expect(readdirSync(dir)).toEqual(["file"]);
  });

  test("names stay short however long the folder's own name is", () => {
    expect(own().length).toBeLessThan(60);
  });
});
