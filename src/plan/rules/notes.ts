/** What a reader should know beside a verdict of the export rules. */
import type { ChipFacts, Source } from "../types.ts";
import { isChina, isEmbargoedForArms, isMacau } from "./countries.ts";
import type { Eccn } from "./paragraph.ts";
import { LAST_READ, LAW } from "./versions.ts";

/** What a reader should know beside the verdict; it decides nothing. */
export interface Note {
  says: string;
  source: Source;
}

const press = (title: string, date: string): Source => ({ title, date, mark: "secondary" });

/** Rules that are near, matters that are pending, and what the other side's customs do. */
export function notesFor(chip: ChipFacts, date: string, to: string, headquarters: string, eccn: Eccn): Note[] {
  const notes: Note[] = [];
  const since = (from: string, says: string, source: Source, until = "9999") => {
    if (date >= from && date < until) notes.push({ says, source });
  };
  const china = isChina(to) || isMacau(to);
  const caught = eccn !== "none";
  if (chip.released > date)
    notes.push({ says: `${chip.name} was not yet released (${chip.released})`, source: chip.sources[0]! });
  if (china)
    since(
      "2022-10-07",
      "a rule on chips is public since 2022-10-07; it comes into force in steps, its lines on chips (600 GB/s of I/O and TPP 4,800) on 2022-10-21",
      LAW.october2022,
      "2022-10-21",
    );
  if (caught && china) {
    since(
      "2023-10-17",
      "the next rule, which drops the test of I/O, is public and comes into force on 2023-11-17",
      LAW.october2023,
      "2023-11-17",
    );
  }
  if (china)
    since(
      "2024-12-02",
      "memory sold apart from a chip has a rule of its own (3A090.c, over 2 GB/s per mm²); memory packaged with a chip is judged with the chip",
      LAW.memory2024,
    );
  if (caught) {
    since(
      "2025-01-15",
      "the diffusion rule, a licence for 3A090.a to the whole world with quotas, is published, to be complied with from 2025-05-15",
      LAW.diffusion2025,
      "2025-05-13",
    );
    since(
      "2025-05-13",
      "the diffusion rule was announced as not enforced before it bound anyone; a formal repeal was not seen",
      LAW.notEnforced2025,
    );
    since(
      "2025-01-16",
      "a chip of 16 nm or less from a foundry or designer outside the approved lists is presumed to be 3A090.a",
      LAW.foundry2025,
    );
  }
  if (china && (chip.id === "h20" || chip.id === "mi308x")) {
    since(
      "2025-07-15",
      "licences were promised in July 2025 and issued in August, for 15 % of the revenue by press and company; never codified",
      press("press on licences for H20 and MI308", "2025-08"),
    );
  }
  if (china && chip.id === "rtx-pro-6000d")
    since(
      "2025-09-17",
      "the Cyberspace Administration of China told large firms to end tests and orders of it",
      LAW.customs2025,
    );
  if (china && (chip.id === "h20" || chip.id === "rtx-pro-6000d"))
    since(
      "2025-10-09",
      "Chinese customs search ports for it, and were told to look for all advanced chips; shipments are held",
      LAW.customs2025,
    );
  if (china && chip.id === "h200") {
    since(
      "2025-12-08",
      "the President announced H200 for approved customers, against 25 %",
      press("press on the announcement on H200", "2025-12-08"),
    );
    since(
      "2026-01-14",
      "Chinese customs were reported to stop H200; conditional approvals were reported late in January",
      press("Reuters on Chinese customs and H200", "2026-01-14"),
    );
    since("2026-04-26", "small licences were granted, without any revenue from Hopper in China by 2026-04-26", {
      title: "NVIDIA, form 10-Q",
      date: "2026-05",
      mark: "primary",
    });
    since(
      "2026-05-01",
      "a limit of 75,000 H200 per customer was reported",
      press("press on a limit per customer", "2026"),
    );
  }
  if (china && caught) {
    since(
      "2025-11-05",
      "China tells data centres with state money to use domestic chips",
      press("Reuters on state-funded data centres", "2025-11-05"),
    );
    since(
      "2026-08-01",
      "AI OVERWATCH Act (H.R. 6875) and Chip Security Act are out of committee, not law",
      press("press on bills before the House", "2026-08"),
    );
    since(
      "2026-01-15",
      "the review of January 2026 is for exports from the US; re-exports are still presumed to be denied",
      press("commentary on 91 FR 1684", "2026-01"),
    );
  }
  if (isEmbargoedForArms(headquarters) && !isEmbargoedForArms(to) && caught)
    since(
      "2026-05-31",
      "guidance repeats it: a seat in a D:5 country counts, wherever the data centre stands",
      LAW.seat2026,
    );
  if (isEmbargoedForArms(headquarters) && caught) {
    since(
      "2025-09-29",
      "the affiliates rule is in force: a firm half owned by listed ones is treated as listed",
      LAW.affiliates2025,
      "2025-11-10",
    );
    since(
      "2025-11-10",
      "the affiliates rule (firms half owned by listed ones) is suspended to 2026-11-09, absent a future extension",
      LAW.affiliates2025,
      "2026-11-10",
    );
    since(
      "2026-11-10",
      "the suspension of the affiliates rule ended on 2026-11-09 by its own words, so that firms half owned by listed ones count as listed again, unless it was extended; no extension was read here",
      LAW.affiliates2025,
    );
  }
  if (caught && headquarters !== to && isChina(to))
    since(
      "2022-10-07",
      "firms seated in allied countries were told of milder review in China; which one is not confirmed here",
      LAW.october2022,
    );
  if (date > LAST_READ)
    notes.push({
      says: `nothing after ${LAST_READ} was read; later changes are not in here`,
      source: { title: "state of these rules", date: LAST_READ, mark: "derived" },
    });
  return notes;
}
