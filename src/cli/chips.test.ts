import { describe, expect, it } from "vitest";
import { outputOf } from "../../test/support/cli.ts";
import { UsageError } from "../errors.ts";
import { register } from "./chips.ts";

const run = (...args: string[]): Promise<string> => outputOf([register], ["chips", ...args]);

describe("sumbi chips", () => {
  it("prints an aligned table with the verdicts of a day", async () => {
    const lines = (await run("--date", "2023-10-22")).split("\n");
    expect(lines[0]).toBe("Chips on 2023-10-22, to China");
    const head = lines.find((line) => line.startsWith("chip "))!;
    const h800 = lines.find((line) => line.startsWith("h800 "))!;
    expect(h800).toMatch(/^h800 +990 +1,979 +80 +3\.35 +400 +700 +15,832 +19\.45 +- +free$/);
    expect(h800.indexOf("15,832") + "15,832".length).toBe(head.indexOf("TPP") + "TPP".length);
    expect(h800.indexOf("free")).toBe(head.indexOf("verdict"));
    expect(await run("--date", "2023-10-23")).toMatch(/^h800 .* - +licence$/m);
    expect(await run("--date", "2023-11-17")).toMatch(/^h800 .* \.a +denial$/m);
  });

  it("tells one chip's tests, history and sources", async () => {
    const out = await run("H20", "--date", "2025-06-01");
    expect(out).toMatch(/On 2025-06-01, to China: licence/);
    expect(out).toMatch(/3A090\.b\.1: TPP 2,368 < 2,400/);
    expect(out).toMatch(/2024-01-01 to 2025-04-08 {2}free/);
    expect(out).toMatch(/primary +NVIDIA, form 8-K/);
    const abroad = await run("H20", "--date", "2025-06-01", "--to", "SG", "--headquarters", "CN");
    expect(abroad).toMatch(/On 2025-06-01, to Singapore, for a firm seated in China: licence/);
    expect(abroad).toMatch(/letter +to NVIDIA, since 2025-04-09, binds its exports/);
    expect(await run("h800", "--date", "2023-11-01")).toMatch(
      /letter +to NVIDIA, 2023-10-23 to 2023-11-16, binds its exports: H800 SXM is named/,
    );
  });

  it("prints JSON, of all and of one", async () => {
    const all = JSON.parse(await run("--json", "--date", "2026-02-01", "--to", "China")) as {
      id: string;
      verdict: string;
      tariff?: number;
    }[];
    expect(all.find(({ id }) => id === "h200")).toMatchObject({ verdict: "case-by-case", tariff: 0.25 });
    const one = JSON.parse(
      await run("h100", "--json", "--date", "2024-06-01", "--to", "SG", "--headquarters", "CN"),
    ) as { legality: { verdict: string; tests: { says: string }[] } };
    expect(one.legality.verdict).toBe("denial");
    expect(one.legality.tests[0]!.says).toBe("TPP 15,832 >= 4,800");
  });

  it("answers bad questions with the nearest thing that works", async () => {
    await expect(run("--date", "17/11/2023")).rejects.toThrow(
      'chips: --date: expected a day as YYYY-MM-DD, got "17/11/2023"; nearest: 2023-11-17',
    );
    await expect(run("--to", "Chyna")).rejects.toThrow("nearest: China");
    await expect(run("--headquarters", "Jpan")).rejects.toThrow("nearest: Japan");
    await expect(run("h880")).rejects.toThrow(UsageError);
    await expect(run("h880")).rejects.toThrow(/nearest: .*h800/);
  });
});
