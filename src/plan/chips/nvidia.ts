import { SOURCES } from "../sources.ts";
import type { Chip } from "../types.ts";

const T = 1e12;
const GB = 1e9;
const { kelly, epoch, memory, isca, derived } = SOURCES;
const nvidia = { vendor: "NVIDIA", origin: "US" } as const;

const ampere = {
  ...nvidia, bf16FlopsPerSec: 312 * T, eightBitOpsPerSec: 624 * T, fp8: false, linkBytesPerSec: 600 * GB, linkedChips: 8, watts: 400,
  logicDieMm2: 826, processNode: "TSMC N7", datacenter: true, hostBytesPerSec: 64 * GB,
} as const;
const hopper = {
  ...nvidia, bf16FlopsPerSec: 989.5 * T, eightBitOpsPerSec: 1979 * T, fp8: true, hbmBytes: 80 * GB, hbmBytesPerSec: 3350 * GB,
  linkBytesPerSec: 900 * GB, linkedChips: 8, watts: 700, logicDieMm2: 814, processNode: "TSMC 4N", datacenter: true, hostBytesPerSec: 128 * GB,
} as const;
const blackwell = {
  ...nvidia, bf16FlopsPerSec: 2250 * T, eightBitOpsPerSec: 4500 * T, fp8: true, fp4FlopsPerSec: 9000 * T, linkBytesPerSec: 1800 * GB,
  linkedChips: 8, watts: 1000, logicDieMm2: 1628, processNode: "TSMC 4NP", datacenter: true, hostBytesPerSec: 128 * GB,
} as const;
const twoDies = "estimate of the press: two dies near the reticle limit";

/** NVIDIA's chips for data centres. */
export const NVIDIA: Chip[] = [
  {
    ...nvidia, id: "v100", name: "V100 SXM2 32 GB", released: "2018-03", bf16FlopsPerSec: 125 * T, eightBitOpsPerSec: 62.8 * T, fp8: false,
    hbmBytes: 32 * GB, hbmBytesPerSec: 900 * GB, linkBytesPerSec: 300 * GB, linkedChips: 8, watts: 300, logicDieMm2: 815,
    processNode: "TSMC 12FFN", datacenter: true, hostBytesPerSec: 32 * GB, sources: [memory],
    notes: "No BF16: the rate is FP16's. No 8-bit matrix unit.",
  },
  { ...ampere, id: "a100-40", name: "A100 SXM 40 GB", released: "2020-05", hbmBytes: 40 * GB, hbmBytesPerSec: 1555 * GB, sources: [kelly] },
  { ...ampere, id: "a100-80", name: "A100 SXM 80 GB", released: "2020-11", hbmBytes: 80 * GB, hbmBytesPerSec: 2039 * GB, sources: [kelly] },
  {
    ...ampere, id: "a800", name: "A800 SXM 80 GB", released: "2022-11", hbmBytes: 80 * GB, hbmBytesPerSec: 2039 * GB, linkBytesPerSec: 400 * GB,
    sources: [kelly], notes: "The A100 with links cut to 400 GB/s, under the 600 GB/s of the first rule.",
  },
  { ...hopper, id: "h100", name: "H100 SXM", released: "2022-10", sources: [kelly] },
  {
    ...hopper, id: "h100-pcie", name: "H100 PCIe", released: "2022-10", bf16FlopsPerSec: 756.5 * T, eightBitOpsPerSec: 1513 * T,
    hbmBytesPerSec: 2000 * GB, linkBytesPerSec: 600 * GB, linkedChips: 2, watts: 350, sources: [kelly], notes: "NVLink only by a bridge between pairs.",
  },
  {
    ...hopper, id: "h800", name: "H800 SXM", released: "2023-03", linkBytesPerSec: 400 * GB, sources: [kelly, isca],
    notes: "The H100 with links cut to 400 GB/s (200 each way; ISCA'25 counts on 160 of them).",
  },
  {
    ...hopper, id: "h20", name: "H20", released: "2024-01", bf16FlopsPerSec: 148 * T, eightBitOpsPerSec: 296 * T, hbmBytes: 96 * GB,
    hbmBytesPerSec: 4000 * GB, watts: 400, sources: [kelly], notes: "Sold later with 141 GB too, which is unconfirmed.",
  },
  { ...hopper, id: "h200", name: "H200 SXM", released: "2024-11", hbmBytes: 141 * GB, hbmBytesPerSec: 4800 * GB, sources: [kelly] },
  {
    ...blackwell, id: "b200", name: "B200", released: "2024-12", hbmBytes: 180 * GB, hbmBytesPerSec: 7700 * GB, sources: [kelly, epoch],
    doubts: { logicDieMm2: twoDies }, notes: "Announced with 192 GB and 8 TB/s; boards carry 180 GB.",
  },
  {
    ...blackwell, id: "b300", name: "B300", released: "2025-08", fp4FlopsPerSec: 14_000 * T, hbmBytes: 270 * GB, hbmBytesPerSec: 7700 * GB,
    sources: [kelly, epoch], doubts: { logicDieMm2: twoDies, watts: "sources say 1000 to 1400", fp4FlopsPerSec: "sources say 14 to 15 PFLOP/s" },
    notes: "Announced with 288 GB and 8 TB/s.",
  },
  {
    ...blackwell, id: "gb200", name: "GB200 NVL72 (per GPU)", released: "2025-02", bf16FlopsPerSec: 2500 * T, eightBitOpsPerSec: 5000 * T,
    fp4FlopsPerSec: 10_000 * T, hbmBytes: 186 * GB, hbmBytesPerSec: 8000 * GB, linkedChips: 72, watts: 1200, sources: [epoch, derived],
    doubts: { logicDieMm2: twoDies },
  },
  {
    ...nvidia, id: "l40s", name: "L40S", released: "2023-08", bf16FlopsPerSec: 362 * T, eightBitOpsPerSec: 733 * T, fp8: true, hbmBytes: 48 * GB,
    hbmBytesPerSec: 864 * GB, linkBytesPerSec: 64 * GB, linkedChips: 1, watts: 350, logicDieMm2: 609, processNode: "TSMC 4N", datacenter: true, sources: [kelly],
  },
  {
    ...nvidia, id: "l20", name: "L20", released: "2024-01", bf16FlopsPerSec: 119.5 * T, eightBitOpsPerSec: 239 * T, fp8: true, hbmBytes: 48 * GB,
    hbmBytesPerSec: 864 * GB, linkBytesPerSec: 64 * GB, linkedChips: 1, watts: 275, logicDieMm2: 609, processNode: "TSMC 4N", datacenter: true, sources: [kelly],
  },
  {
    ...blackwell, id: "rubin", name: "Rubin (announced)", released: "2026", bf16FlopsPerSec: 4000 * T, eightBitOpsPerSec: 17_500 * T,
    fp4FlopsPerSec: 35_000 * T, hbmBytes: 288 * GB, hbmBytesPerSec: 22_000 * GB, linkBytesPerSec: 3600 * GB, linkedChips: 72, watts: 1800,
    processNode: "TSMC N3P", sources: [kelly],
    doubts: {
      bf16FlopsPerSec: "announcement", eightBitOpsPerSec: "announcement; over four times BF16", fp4FlopsPerSec: "announcement (training)",
      hbmBytesPerSec: "announcement", logicDieMm2: twoDies, watts: "unpublished; a guess", processNode: "press",
    },
    notes: "An estimate: every figure comes from announcements.",
  },
];

const consumer = { ...nvidia, fp8: true, linkBytesPerSec: 64 * GB, linkedChips: 1, processNode: "TSMC 4N", datacenter: false } as const;
const halved = "Matrix rates are with FP32 accumulation, which training needs; the rules count the doubled rate with FP16 accumulation.";

/** NVIDIA's consumer cards. */
export const GEFORCE: Chip[] = [
  {
    ...consumer, id: "rtx-4090", name: "RTX 4090", released: "2022-10", bf16FlopsPerSec: 165.2 * T, eightBitOpsPerSec: 330.3 * T, hbmBytes: 24 * GB,
    hbmBytesPerSec: 1008 * GB, watts: 450, logicDieMm2: 609, tpp: 5285, sources: [kelly], notes: halved,
  },
  {
    ...consumer, id: "rtx-4090d", name: "RTX 4090 D", released: "2023-12", bf16FlopsPerSec: 147.1 * T, eightBitOpsPerSec: 294.2 * T, hbmBytes: 24 * GB,
    hbmBytesPerSec: 1008 * GB, watts: 425, logicDieMm2: 609, tpp: 4707, sources: [kelly], notes: halved,
  },
  {
    ...consumer, id: "rtx-5090", name: "RTX 5090", released: "2025-01", bf16FlopsPerSec: 209.5 * T, eightBitOpsPerSec: 419 * T, fp4FlopsPerSec: 1676 * T,
    hbmBytes: 32 * GB, hbmBytesPerSec: 1792 * GB, linkBytesPerSec: 128 * GB, watts: 575, logicDieMm2: 750, sources: [kelly], notes: halved,
  },
  {
    ...consumer, id: "rtx-5090d", name: "RTX 5090 D", released: "2025-01", bf16FlopsPerSec: 148.5 * T, eightBitOpsPerSec: 297 * T, fp4FlopsPerSec: 1188 * T,
    hbmBytes: 32 * GB, hbmBytesPerSec: 1792 * GB, linkBytesPerSec: 128 * GB, watts: 575, logicDieMm2: 750, tpp: 4750, sources: [kelly, derived],
    doubts: { bf16FlopsPerSec: "derived: an eighth of the FP4 rate, as on the 5090", eightBitOpsPerSec: "derived: a quarter of the FP4 rate" }, notes: halved,
  },
  {
    ...consumer, id: "rtx-5090d-v2", name: "RTX 5090 D V2", released: "2025-08", bf16FlopsPerSec: 148.5 * T, eightBitOpsPerSec: 297 * T,
    fp4FlopsPerSec: 1188 * T, hbmBytes: 24 * GB, hbmBytesPerSec: 1344 * GB, linkBytesPerSec: 128 * GB, watts: 575, logicDieMm2: 750, tpp: 4750,
    sources: [kelly, derived],
    doubts: { bf16FlopsPerSec: "derived: an eighth of the FP4 rate, as on the 5090", eightBitOpsPerSec: "derived: a quarter of the FP4 rate" }, notes: halved,
  },
];
