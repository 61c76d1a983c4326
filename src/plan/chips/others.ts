import { SOURCES } from "../sources.ts";
import type { Chip, ChipFacts } from "../types.ts";

const T = 1e12;
const GB = 1e9;
const { kelly, epoch, memory, atlas, ling, derived } = SOURCES;
const amd = { vendor: "AMD", origin: "US", linkBytesPerSec: 896 * GB, linkedChips: 8, processNode: "TSMC N5 and N6", logicDieMm2: 1017, datacenter: true, hostBytesPerSec: 128 * GB } as const;
const mi300 = { ...amd, bf16FlopsPerSec: 1307.4 * T, eightBitOpsPerSec: 2614.9 * T, fp8: true } as const;
const dies = "estimate of the press";

export const AMD: Chip[] = [
  { ...mi300, id: "mi300x", name: "Instinct MI300X", released: "2023-12", hbmBytes: 192 * GB, hbmBytesPerSec: 5300 * GB, watts: 750, sources: [kelly], doubts: { logicDieMm2: dies } },
  { ...mi300, id: "mi325x", name: "Instinct MI325X", released: "2024-10", hbmBytes: 256 * GB, hbmBytesPerSec: 6000 * GB, watts: 1000, sources: [kelly], doubts: { logicDieMm2: dies } },
];

const huawei = { vendor: "Huawei", origin: "CN", datacenter: true } as const;

/** Chinese accelerators. Much of them is unpublished; `doubts` says which figure. */
export const CHINESE: Chip[] = [
  {
    ...huawei, id: "ascend-910b", name: "Ascend 910B", released: "2023", bf16FlopsPerSec: 320 * T, eightBitOpsPerSec: 640 * T, fp8: false,
    hbmBytes: 64 * GB, hbmBytesPerSec: 1600 * GB, linkBytesPerSec: 392 * GB, linkedChips: 8, watts: 350, logicDieMm2: 665, processNode: "SMIC 7 nm",
    hostBytesPerSec: 128 * GB, sources: [epoch, ling, memory],
    doubts: { bf16FlopsPerSec: "unconfirmed: 280 to 400 by bin", eightBitOpsPerSec: "unconfirmed: twice FP16", logicDieMm2: "unconfirmed", watts: "310 to 400 by bin" },
    notes: "Matrix rates are FP16's. The B4 bin has 32 GB at 0.8 TB/s.",
  },
  {
    ...huawei, id: "ascend-910c", name: "Ascend 910C (A3, two dies)", released: "2025", bf16FlopsPerSec: 752 * T, eightBitOpsPerSec: 1504 * T, fp8: false,
    hbmBytes: 128 * GB, hbmBytesPerSec: 3200 * GB, linkBytesPerSec: 784 * GB, linkedChips: 384, watts: 700, logicDieMm2: 1330, processNode: "SMIC or TSMC 7 nm",
    sources: [SOURCES.cloudMatrix, atlas, memory],
    doubts: {
      bf16FlopsPerSec: "752 to 800: 288.7 to 307.2 PFLOP/s over 384 chips, by source", eightBitOpsPerSec: "unconfirmed: twice FP16", logicDieMm2: "unconfirmed",
      watts: "unpublished; twice the 910B's",
    },
    notes: "In CloudMatrix384 and the Atlas 900 A3, 384 chips share one network of links.",
  },
  {
    ...huawei, id: "ascend-950pr", name: "Ascend 950PR (Atlas 350)", released: "2026", bf16FlopsPerSec: 425 * T, eightBitOpsPerSec: 804 * T, fp8: true,
    fp4FlopsPerSec: 1561 * T, hbmBytes: 112 * GB, hbmBytesPerSec: 1400 * GB, linkBytesPerSec: 2000 * GB, linkedChips: 8, watts: 600, processNode: "unpublished",
    tpp: 6800, sources: [atlas, derived],
    doubts: { linkBytesPerSec: "unconfirmed: announced as 2 TB/s", linkedChips: "unpublished for the card", hbmBytesPerSec: "announced as 1.6 TB/s with 128 GB" },
  },
  {
    ...huawei, id: "ascend-950dt", name: "Ascend 950DT", released: "2026", bf16FlopsPerSec: 500 * T, eightBitOpsPerSec: 1000 * T, fp8: true,
    fp4FlopsPerSec: 2000 * T, hbmBytes: 96 * GB, hbmBytesPerSec: 4000 * GB, linkBytesPerSec: 2000 * GB, linkedChips: 8192, watts: 600, processNode: "unpublished",
    sources: [atlas, derived],
    doubts: {
      bf16FlopsPerSec: "unpublished; half the FP8 rate", linkBytesPerSec: "unconfirmed: announced as 2 TB/s", linkedChips: "unconfirmed: size of the announced SuperPoD",
      watts: "unpublished; the 950PR's", hbmBytes: "announced as 144 GB",
    },
  },
  {
    vendor: "Cambricon", origin: "CN", id: "mlu370-x8", name: "MLU370-X8", released: "2022", bf16FlopsPerSec: 96 * T, eightBitOpsPerSec: 256 * T, fp8: false,
    hbmBytes: 48 * GB, hbmBytesPerSec: 614 * GB, linkBytesPerSec: 200 * GB, linkedChips: 8, watts: 250, processNode: "7 nm", datacenter: true,
    hostBytesPerSec: 64 * GB, sources: [{ title: "Cambricon, MLU370-X8 product page", date: "2022", mark: "primary" }],
    notes: "Memory is LPDDR5.",
  },
];

export const GOOGLE: Chip[] = [
  {
    vendor: "Google", origin: "US", id: "tpu-v5p", name: "TPU v5p", released: "2023-12", bf16FlopsPerSec: 459 * T, eightBitOpsPerSec: 918 * T, fp8: false,
    hbmBytes: 95 * GB, hbmBytesPerSec: 2765 * GB, linkBytesPerSec: 1200 * GB, linkedChips: 8960, watts: 500, processNode: "unpublished", datacenter: true,
    sources: [epoch, { title: "Google Cloud, TPU v5p", date: "2024", mark: "primary", url: "https://cloud.google.com/tpu/docs/v5p" }],
    doubts: { linkBytesPerSec: "unconfirmed: 4.8 Tb/s, taken as both directions together", watts: "unpublished; a guess" },
    notes: "Rented, never sold. Links form a 3D torus, which is slower for all-to-all than the figure says.",
  },
];

/** Known to the rules, not to the planner: what a plan needs is not published. */
export const UNPLANNABLE: ChipFacts[] = [
  {
    id: "mi308x", name: "Instinct MI308X", vendor: "AMD", origin: "US", released: "2024", datacenter: true, hbmBytes: 192 * GB, hbmBytesPerSec: 5300 * GB,
    linkBytesPerSec: 896 * GB, linkedChips: 8, watts: 750, logicDieMm2: 1017, processNode: "TSMC N5 and N6", tpp: 2368, sources: [kelly, memory],
    doubts: {
      tpp: "estimate: rates are unpublished, cut to stay under 2,400", logicDieMm2: dies, hbmBytesPerSec: "unconfirmed (another source: 4 TB/s)", watts: "unconfirmed",
    },
    notes: "China's cut of the MI300X.",
  },
  {
    id: "mlu590", name: "MLU590", vendor: "Cambricon", origin: "CN", released: "2023", datacenter: true, bf16FlopsPerSec: 314 * T, processNode: "7 nm",
    sources: [epoch, memory], doubts: { bf16FlopsPerSec: "unconfirmed" }, notes: "Memory and links are unpublished.",
  },
];
