/** Sources that several tables of the planner quote. */
import type { Source } from "./types.ts";

/** Sources that several tables quote. A source used once stands where it is used. */
export const SOURCES = {
  kelly: {
    title: "s-w-kelly/chip-export-controls, table of chips with their data sheets",
    date: "2026-03-18",
    mark: "secondary",
    url: "https://github.com/s-w-kelly/chip-export-controls",
  },
  epoch: {
    title: "Epoch AI, machine learning hardware data",
    date: "2026",
    mark: "secondary",
    url: "https://epoch.ai/data/machine-learning-hardware",
  },
  isca: {
    title: "Insights into DeepSeek-V3 (ISCA 2025), arXiv:2505.09343",
    date: "2025-05-14",
    mark: "primary",
    url: "https://arxiv.org/abs/2505.09343",
  },
  deepseekV3: {
    title: "DeepSeek-V3 technical report, arXiv:2412.19437",
    date: "2024-12-27",
    mark: "primary",
    url: "https://arxiv.org/abs/2412.19437",
  },
  memory: { title: "maker's data sheet, as remembered", date: "2025", mark: "unconfirmed" },
  derived: { title: "computed here from the chip's published rates", date: "2026-11", mark: "derived" },
  atlas: { title: "Huawei, CloudMatrix384 and Atlas product pages", date: "2026", mark: "secondary" },
  cloudMatrix: {
    title:
      "Zuo et al., Serving on Huawei CloudMatrix384, arXiv:2506.12708, as summarised (752 TFLOP/s, 392 GB/s of links and 400 Gb/s of RDMA one way)",
    date: "2025-06-15",
    mark: "secondary",
    url: "https://www.emergentmind.com/topics/cloudmatrix-datacenter-architecture",
  },
  ling: {
    title: "Ling-Plus report, table of hourly costs by accelerator, arXiv:2503.05139",
    date: "2025-03",
    mark: "primary",
    url: "https://arxiv.org/abs/2503.05139",
  },
} as const satisfies Record<string, Source>;
