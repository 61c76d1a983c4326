/** Letters to single companies that demanded a licence before the rules did. */
import type { ChipFacts, Source } from "../types.ts";
import { inScopeSince2023, isChina, isEmbargoedForArms, isMiddleEast } from "./countries.ts";
import { atLeast, type Held, measure } from "./paragraph.ts";

/** A demand for a licence made to one company, outside the published rules. It binds that company's exports and nobody else's. */
export interface Letter {
  to: string;
  from: string;
  /** First day on which something else stands in its place. */
  until?: string;
  says: string;
  holds: Held;
  /** Only what a source confirms decides a verdict; what is merely reported is shown. */
  decides: boolean;
  source: Source;
}

/** What a letter says of one chip; undefined where it does not bear on it. */
type Said = Pick<Letter, "says" | "holds" | "decides"> | undefined;

interface Demand extends Pick<Letter, "to" | "from" | "until" | "source"> {
  /** Destinations, and seats of firms wherever they are. */
  binds(to: string, headquarters: string): boolean;
  covers(chip: ChipFacts): Said;
}

const AUGUST_2022: Source = {
  title: "NVIDIA, form 8-K of 2022-08-31",
  date: "2022-08-31",
  mark: "secondary",
  url: "https://shacknews.com/article/132106/nvidia-exports-us-government-license-requirements-china-hong-kong",
};
const JULY_2023: Source = {
  title:
    "NVIDIA, form 10-K of 2026-02-25, on July 2023: a licence for some A100 and H100 to some customers and regions, countries in the Middle East among them",
  date: "2026-02-25",
  mark: "primary",
  url: "https://www.sec.gov/Archives/edgar/data/1045810/000104581026000021/nvda-20260125.htm",
};
const OCTOBER_2023: Source = {
  title:
    "NVIDIA, form 8-K of 2023-10-24: told on 2023-10-23 that the rule's licences are needed at once for chips for data centres of TPP 4,800 or more, as TechNode reports it",
  date: "2023-10-24",
  mark: "secondary",
  url: "https://technode.com/2023/10/26/us-tells-nvidia-to-immediately-cease-ai-chip-exports-to-china/",
};
const APRIL_2025: Source = {
  title: "NVIDIA, form 8-K of 2025-04-15, repeated in form 10-K of 2026-02-25",
  date: "2025-04-15",
  mark: "primary",
  url: "https://www.sec.gov/Archives/edgar/data/1045810/000104581026000021/nvda-20260125.htm",
};
const LINES_2025: Source = {
  title: "press on the lines of the letters of April 2025",
  date: "2025-04",
  mark: "unconfirmed",
};
const AMD_2025: Source = {
  title: "AMD, form 8-K of 2025-04-16, and its risk factors since",
  date: "2025-04-16",
  mark: "secondary",
  url: "https://www.tipranks.com/stocks/tse%3Aamd/risk-factors",
};

const yes = (says: string): Said => ({ says, holds: true, decides: true });
const toChina =
  "licence for China, Macau and other D:5 countries, and for firms seated there (or whose ultimate parent is) wherever they are";

/** In order of their days. */
const DEMANDS: readonly Demand[] = [
  {
    // Taken over by the rule, whose lines on chips bind from 2022-10-21.
    to: "NVIDIA",
    from: "2022-08-26",
    until: "2022-10-21",
    source: AUGUST_2022,
    binds: (to) => isChina(to) || to === "RU",
    covers(chip) {
      const { tpp, ioGBps } = measure(chip);
      const where = "licence for China, Hong Kong and Russia";
      if (/^(a100|h100)/.test(chip.id)) return yes(`${chip.name} is named: ${where}`);
      return tpp !== undefined && ioGBps !== undefined && tpp >= 4800 && ioGBps >= 600
        ? yes(`${chip.name} has the A100's performance and I/O: ${where}`)
        : undefined;
    },
  },
  {
    // The day is not published; the filing says July.
    to: "NVIDIA",
    from: "2023-07-31",
    until: "2023-10-23",
    source: JULY_2023,
    binds: (to) => isMiddleEast(to),
    covers: (chip) =>
      /^(a100|h100)/.test(chip.id)
        ? {
            says: `licence for some ${chip.name} to some customers in the Middle East; which ones is not published`,
            holds: "unknown",
            decides: false,
          }
        : undefined,
  },
  {
    // Taken over by the rule it brings forward.
    to: "NVIDIA",
    from: "2023-10-23",
    until: "2023-11-17",
    source: OCTOBER_2023,
    binds: inScopeSince2023,
    covers(chip) {
      if (!chip.datacenter) return undefined;
      const { says, holds } = atLeast("TPP", measure(chip).tpp, 4800);
      if (holds === false) return undefined;
      const named = /^(a100|a800|h100|h800|l40s)/.test(chip.id) ? `${chip.name} is named` : "for data centres";
      return {
        says: `${named}, ${says}: the licences of 88 FR 73458 at once, not from 2023-11-17`,
        holds,
        decides: holds === true,
      };
    },
  },
  {
    to: "NVIDIA",
    from: "2025-04-09",
    source: APRIL_2025,
    binds: (to, headquarters) => isEmbargoedForArms(to) || isEmbargoedForArms(headquarters),
    covers(chip) {
      if (chip.id === "h20") return yes(`H20 is named: ${toChina}, for an indefinite time`);
      const { dramGBps } = measure(chip);
      const memory = dramGBps !== undefined && dramGBps >= 4000 && `memory ${gbps(dramGBps)} >= the H20's 4,000 GB/s`;
      const io =
        chip.linkBytesPerSec !== undefined &&
        chip.linkBytesPerSec >= 900e9 &&
        `links ${gbps(chip.linkBytesPerSec / 1e9)} >= the H20's 900 GB/s`;
      return memory || io ? yes(`${[memory, io].filter(Boolean).join(" and ")}: ${toChina}`) : undefined;
    },
  },
  {
    to: "NVIDIA",
    from: "2025-04-09",
    source: LINES_2025,
    binds: (to, headquarters) => isEmbargoedForArms(to) || isEmbargoedForArms(headquarters),
    covers(chip) {
      const { dramGBps: dram, ioGBps: io } = measure(chip);
      if (dram === undefined || io === undefined || dram >= 4000 || (chip.linkBytesPerSec ?? 0) >= 900e9)
        return undefined;
      if (dram < 1400 && io < 1100 && dram + io < 1700) return undefined;
      return {
        holds: "unknown",
        decides: false,
        says: `lines reported in the press, not published: memory ${gbps(dram)} against 1,400, I/O ${gbps(io)} against 1,100, both ${gbps(dram + io)} against 1,700`,
      };
    },
  },
  {
    to: "AMD",
    from: "2025-04-15",
    source: AMD_2025,
    binds: (to, headquarters) => isEmbargoedForArms(to) || isEmbargoedForArms(headquarters),
    covers: (chip) => (chip.id === "mi308x" ? yes(`MI308 products are named: ${toChina}`) : undefined),
  },
];

function gbps(value: number): string {
  return `${value.toLocaleString("en-US", { maximumFractionDigits: 0 })} GB/s`;
}

/** Days on which a letter begins or ends to bind. */
export const LETTER_DAYS: readonly string[] = DEMANDS.flatMap(({ from, until }) =>
  until === undefined ? [from] : [from, until],
);

/** Letters to a chip's maker that bear on it for a destination, and a firm's seat, on a day. */
export function lettersFor(chip: ChipFacts, date: string, to: string, headquarters: string): Letter[] {
  return DEMANDS.flatMap(({ to: maker, from, until, source, binds, covers }) => {
    if (chip.vendor !== maker || date < from || (until !== undefined && date >= until) || !binds(to, headquarters))
      return [];
    const said = covers(chip);
    return said ? [{ to: maker, from, ...(until !== undefined && { until }), ...said, source }] : [];
  });
}
