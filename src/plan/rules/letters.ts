import type { ChipFacts, Source } from "../types.ts";
import { isChina, isEmbargoedForArms, isMacau } from "./countries.ts";
import { measure, type Held } from "./paragraph.ts";

/** A demand for a licence made to one company, outside the published rules. */
export interface Letter {
  to: string;
  from: string;
  says: string;
  holds: Held;
  /** Only what a source confirms decides a verdict; what is merely reported is shown. */
  decides: boolean;
  source: Source;
}

const NVIDIA_2022: Source = { title: "NVIDIA, form 8-K of 2022-08-31", date: "2022-08-31", mark: "secondary", url: "https://shacknews.com/article/132106/nvidia-exports-us-government-license-requirements-china-hong-kong" };
const NVIDIA_2025: Source = { title: "NVIDIA, form 8-K of 2025-04-15", date: "2025-04-15", mark: "primary" };
const AMD_2025: Source = { title: "Reuters and AMD on licences for the MI308", date: "2025-04-16", mark: "secondary" };
const LINES_2025: Source = { title: "press on the lines of the letters of April 2025", date: "2025-04", mark: "unconfirmed" };
const gbps = (value: number | undefined) => (value === undefined ? "unknown" : `${value.toLocaleString("en-US", { maximumFractionDigits: 0 })} GB/s`);

/** Letters that bear on a chip for a destination on a day. A letter of 2022 ends where the rule of 2022-10-07 takes its matter over. */
export function lettersFor(chip: ChipFacts, date: string, to: string): Letter[] {
  const letters: Letter[] = [];
  const m = measure(chip);
  if (chip.vendor === "NVIDIA" && date >= "2022-08-26" && date < "2022-10-07" && (isChina(to) || to === "RU")) {
    const named = /^(a100|h100)/.test(chip.id);
    const like = m.tpp !== undefined && m.ioGBps !== undefined && m.tpp >= 4800 && m.ioGBps >= 600;
    if (named || like)
      letters.push({ to: "NVIDIA", from: "2022-08-26", says: `${named ? `${chip.name} is named` : `${chip.name} has the A100's performance and I/O`}: licence for China, Hong Kong and Russia`, holds: true, decides: true, source: NVIDIA_2022 });
  }
  const april = isChina(to) || isMacau(to) || isEmbargoedForArms(to);
  if (!april) return letters;
  if (chip.vendor === "NVIDIA" && date >= "2025-04-09") {
    const memory = m.dramGBps !== undefined && m.dramGBps >= 4000;
    const io = chip.linkBytesPerSec !== undefined && chip.linkBytesPerSec >= 900e9;
    if (chip.id === "h20") {
      letters.push({ to: "NVIDIA", from: "2025-04-09", says: "H20 is named: licence, for an indefinite time", holds: true, decides: true, source: NVIDIA_2025 });
    } else if (memory || io) {
      const why = [memory && `memory ${gbps(m.dramGBps)} >= the H20's 4,000 GB/s`, io && `links ${gbps(chip.linkBytesPerSec! / 1e9)} >= the H20's 900 GB/s`].filter(Boolean);
      letters.push({ to: "NVIDIA", from: "2025-04-09", says: `${why.join(" and ")}: licence`, holds: true, decides: true, source: NVIDIA_2025 });
    } else if (m.dramGBps !== undefined && m.ioGBps !== undefined && (m.dramGBps >= 1400 || m.ioGBps >= 1100 || m.dramGBps + m.ioGBps >= 1700)) {
      letters.push({
        to: "NVIDIA", from: "2025-04-09", holds: "unknown", decides: false, source: LINES_2025,
        says: `lines reported in the press, not published: memory ${gbps(m.dramGBps)} against 1,400, I/O ${gbps(m.ioGBps)} against 1,100, both ${gbps(m.dramGBps + m.ioGBps)} against 1,700`,
      });
    }
  }
  if (chip.vendor === "AMD" && chip.id === "mi308x" && date >= "2025-04-15")
    letters.push({ to: "AMD", from: "2025-04-15", says: "MI308 products: licence", holds: true, decides: true, source: AMD_2025 });
  return letters;
}
