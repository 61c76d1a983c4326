/** The versions of the export rules by date, with their lines and sources. */
import type { Source } from "../types.ts";

/** A state of the rules, from its day until the next one's. */
export interface RuleVersion {
  id: "before" | "2022" | "2023" | "2024" | "2026";
  from: string;
  title: string;
  citation: string;
  source: Source;
}

const register = (title: string, date: string, url?: string): Source => ({
  title,
  date,
  mark: "primary",
  ...(url ? { url } : {}),
});

export const LAW = {
  ear: {
    title:
      "Export Administration Regulations before 3A090: such chips are 3A991, with no licence for China by their performance",
    date: "2022",
    mark: "secondary",
  } as Source,
  october2022: register(
    "87 FR 62186 (released 2022-10-07, published 2022-10-13; in force by 2022-10-07, -12 and -21)",
    "2022-10-07",
    "https://www.federalregister.gov/citation/87-FR-62186",
  ),
  macau2023: register("88 FR 2821: Macau added", "2023-01-18", "https://www.federalregister.gov/citation/88-FR-2821"),
  october2023: register(
    "88 FR 73458 (published 2023-10-25, in force 2023-11-17)",
    "2023-11-17",
    "https://www.federalregister.gov/citation/88-FR-73458",
  ),
  april2024: register(
    "89 FR 23876: licence exceptions NAC and ACA told apart",
    "2024-04-04",
    "https://www.federalregister.gov/citation/89-FR-23876",
  ),
  memory2024: register(
    "89 FR 96790: high-bandwidth memory, 3A090.c",
    "2024-12-02",
    "https://www.federalregister.gov/citation/89-FR-96790",
  ),
  diffusion2025: register(
    "90 FR 4544: framework for AI diffusion",
    "2025-01-15",
    "https://www.federalregister.gov/citation/90-FR-4544",
  ),
  foundry2025: register("FR 2025-00711: due diligence of foundries", "2025-01-16"),
  ascend2025: {
    title: "BIS guidance on General Prohibition 10 and advanced chips of the PRC",
    date: "2025-05-13",
    mark: "secondary",
    url: "https://blog.freshfields.us/post/102ksla/bis-guidance-targets-prc-advanced-computing-integrated-circuits-in-high-probabil",
  } as Source,
  notEnforced2025: {
    title: "BIS: the diffusion rule is not enforced",
    date: "2025-05-13",
    mark: "secondary",
  } as Source,
  january2026: register(
    "91 FR 1684, FR Doc. 2026-00789",
    "2026-01-15",
    "https://www.govinfo.gov/content/pkg/FR-2026-01-15/html/2026-00789.htm",
  ),
  tariff2026: {
    title: "Proclamation of 2026-01-14: 25 % on certain advanced chips",
    date: "2026-01-14",
    mark: "secondary",
  } as Source,
  affiliates2025: {
    title:
      'affiliates rule, in force from 2025-09-29, suspended from 2025-11-10 to 2026-11-09 "absent a future extension", as Squire Patton Boggs quotes it',
    date: "2025-11-12",
    mark: "secondary",
    url: "https://www.squirepattonboggs.com/en/insights/publications/2025/11/bis-issues-one-year-suspension-of-affiliates-rule-expansion",
  } as Source,
  customs2025: {
    title: "Financial Times on Chinese customs and the Cyberspace Administration, as Hyper.ai repeats it",
    date: "2025-10-09",
    mark: "secondary",
    url: "https://hyper.ai/en/stories/38d5cf4ec3a92cab9e6d81cdf3ccc99f",
  } as Source,
  seat2026: {
    title: "BIS guidance: licences for firms seated in D:5 countries, also abroad",
    date: "2026-05-31",
    mark: "secondary",
  } as Source,
} as const;

/** In order of their days. */
export const VERSIONS: readonly RuleVersion[] = [
  {
    id: "before",
    from: "0000-01-01",
    title: "before the rules on advanced computing",
    citation: "3A991",
    source: LAW.ear,
  },
  // Its lines on chips (supplement no. 1 to part 774) bind from the last of its three days.
  { id: "2022", from: "2022-10-21", title: "rule of October 2022", citation: "87 FR 62186", source: LAW.october2022 },
  { id: "2023", from: "2023-11-17", title: "rule of October 2023", citation: "88 FR 73458", source: LAW.october2023 },
  {
    id: "2024",
    from: "2024-04-04",
    title: "rule of October 2023, as corrected in April 2024",
    citation: "89 FR 23876",
    source: LAW.april2024,
  },
  {
    id: "2026",
    from: "2026-01-15",
    title: "rule of October 2023, with the review policy of January 2026",
    citation: "91 FR 1684",
    source: LAW.january2026,
  },
];

/** The rules in force on a day (YYYY-MM-DD). */
export function versionOn(date: string): RuleVersion {
  return VERSIONS.findLast((version) => version.from <= date)!;
}

/** Nothing later than this was read when the rules were written down. */
export const LAST_READ = "2026-09-30";
