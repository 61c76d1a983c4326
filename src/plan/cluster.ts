/** Clusters: chips joined by links in tiers, with what each chip's usual network does. */
import { ConfigError } from "../errors.ts";
import { SOURCES } from "./sources.ts";
import type { Chip, Cluster, LinkTier, Source } from "./types.ts";

const GB = 1e9;

/** Network cards that are usual beside a chip: one direction, per chip. */
const NETWORK: Record<string, { bytesPerSec: number; name: string; source: Source }> = {
  v100: {
    bytesPerSec: 12.5 * GB,
    name: "InfiniBand EDR",
    source: { title: "a 100 Gb/s port per chip, taken as usual", date: "2019", mark: "unconfirmed" },
  },
  "a100-40": {
    bytesPerSec: 25 * GB,
    name: "InfiniBand HDR",
    source: {
      title: "Megatron-LM on Selene: a 200 Gb/s port per GPU, arXiv:2104.04473",
      date: "2021-04",
      mark: "secondary",
      url: "https://arxiv.org/abs/2104.04473",
    },
  },
  h800: { bytesPerSec: 50 * GB, name: "InfiniBand NDR", source: SOURCES.isca },
  b300: {
    bytesPerSec: 100 * GB,
    name: "InfiniBand XDR",
    source: { title: "an 800 Gb/s port per chip, as remembered", date: "2025", mark: "unconfirmed" },
  },
  "ascend-910b": {
    bytesPerSec: 25 * GB,
    name: "RoCE, 200 Gb/s",
    source: { title: "Atlas 800 A2: a 200 Gb/s port per chip, as remembered", date: "2023", mark: "unconfirmed" },
  },
  "ascend-910c": { bytesPerSec: 50 * GB, name: "RoCE, 400 Gb/s", source: SOURCES.cloudMatrix },
  trainium2: {
    bytesPerSec: 25 * GB,
    name: "EFA, 200 Gb/s per chip",
    source: { title: "AWS Trn2: 3.2 Tb/s of EFA for 16 chips, as remembered", date: "2024-12", mark: "unconfirmed" },
  },
  "gaudi-3": {
    bytesPerSec: 75 * GB,
    name: "RoCE, 600 Gb/s",
    source: {
      title: "Gaudi 3: 3 of its 24 ports of 200 Gb/s leave a server of eight",
      date: "2024-08",
      mark: "derived",
    },
  },
  "mlu370-x8": {
    bytesPerSec: 12.5 * GB,
    name: "RoCE, 100 Gb/s",
    source: { title: "a 100 Gb/s port per chip, taken as usual", date: "2022", mark: "unconfirmed" },
  },
};
NETWORK.gb300 = NETWORK.b300!;
NETWORK["a100-80"] = NETWORK["a100-40"]!;
NETWORK.a800 = NETWORK["a100-40"]!;
const NDR = {
  bytesPerSec: 50 * GB,
  name: "InfiniBand or RoCE, 400 Gb/s",
  source: { title: "a 400 Gb/s port per chip, usual since 2022", date: "2024", mark: "unconfirmed" } as Source,
};
const CARD = {
  bytesPerSec: 12.5 * GB,
  name: "Ethernet, 100 Gb/s per card",
  source: { title: "a shared port of 100 Gb/s per card, taken as usual", date: "2024", mark: "unconfirmed" } as Source,
};

/** Time of one hop. Unconfirmed: of the size that ping-pong tests usually show, software included. */
const LINK_LATENCY = 3e-6;
const PCIE_LATENCY = 8e-6;
const NETWORK_LATENCY = 8e-6;

export interface ClusterOptions {
  /** Between nodes, one direction, per chip. Default: what is usual beside that chip. */
  networkBytesPerSec?: number;
  /** Chips that the inner links join. Default: the chip's own. */
  nodeChips?: number;
}

/**
 * The network round `gpus` chips: a tier of links (NVLink, HCCS, Infinity Fabric, or PCIe where there are none) and one between nodes. Rates are
 * one direction per chip: half the data sheet's. Throws ConfigError on counts that are not positive whole numbers.
 */
export function clusterOf(chip: Chip, gpus: number, options: ClusterOptions = {}): Cluster {
  const whole = (name: string, n: number) => {
    if (!Number.isSafeInteger(n) || n < 1)
      throw new ConfigError(`cluster: ${name}: expected a positive whole number, got ${n}`);
    return n;
  };
  whole("gpus", gpus);
  const network = networkOf(chip);
  const bytesPerSec = options.networkBytesPerSec ?? network.bytesPerSec;
  if (!(bytesPerSec > 0) || !Number.isFinite(bytesPerSec))
    throw new ConfigError(`cluster: networkBytesPerSec: expected a positive number, got ${bytesPerSec}`);
  const linked = chip.linkedChips > 1;
  const tiers: LinkTier[] = [];
  if (linked) {
    tiers.push({
      name: linkName(chip),
      chips: whole("nodeChips", options.nodeChips ?? chip.linkedChips),
      bytesPerSec: chip.linkBytesPerSec / 2,
      latencySeconds: LINK_LATENCY,
    });
    // A bridge between pairs: the pairs of a node still meet over PCIe.
    if (chip.linkedChips === 2 && chip.hostBytesPerSec !== undefined && options.nodeChips === undefined)
      tiers.push({ name: "PCIe", chips: 8, bytesPerSec: chip.hostBytesPerSec / 2, latencySeconds: PCIE_LATENCY });
  } else {
    tiers.push({
      name: "PCIe",
      chips: whole("nodeChips", options.nodeChips ?? 8),
      bytesPerSec: chip.linkBytesPerSec / 2,
      latencySeconds: PCIE_LATENCY,
    });
  }
  tiers.push({
    name: options.networkBytesPerSec === undefined ? network.name : "network",
    chips: Infinity,
    bytesPerSec,
    latencySeconds: NETWORK_LATENCY,
  });
  return { chip, gpus, tiers };
}

/** Where the default rate between nodes comes from. */
export function networkSource(chip: Chip): Source {
  return networkOf(chip).source;
}

const networkOf = (chip: Chip) => NETWORK[chip.id] ?? (chip.datacenter && chip.linkedChips > 1 ? NDR : CARD);

function linkName(chip: Chip): string {
  if (chip.vendor === "Huawei") return chip.linkedChips > 8 ? "UB" : "HCCS";
  return (
    {
      NVIDIA: "NVLink",
      AMD: "Infinity Fabric",
      Google: "ICI",
      Cambricon: "MLU-Link",
      Amazon: "NeuronLink",
      Intel: "Ethernet",
    }[chip.vendor] ?? "links"
  );
}
