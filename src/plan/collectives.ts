/** Seconds of collective communication over the tiers of a cluster. */
import type { Constants } from "./constants.ts";
import type { Cluster, Collective, Group, Layout } from "./types.ts";

/** Ranks of a group: `size` of them, every `stride`-th chip. */
export interface Span {
  size: number;
  stride: number;
}

/** How groups nest in the order of the chips: tp innermost, then cp, dp, pp. Experts spread over neighbouring chips whatever else they do. */
export function spanOf(group: Group, { dp, tp, cp, pp, ep }: Layout): Span {
  switch (group) {
    case "tp":
      return { size: tp, stride: 1 };
    case "cp":
      return { size: cp, stride: tp };
    case "dp":
      return { size: dp * cp, stride: tp };
    case "ep":
      return { size: ep, stride: 1 };
    case "edp":
      return { size: Math.max(1, (dp * cp * tp) / ep), stride: ep };
    case "pp":
      return { size: pp, stride: dp * cp * tp };
  }
}

/** Members of a group within one domain of each tier, innermost first; the last is the whole group. */
export function membersByTier({ size, stride }: Span, cluster: Cluster): number[] {
  return cluster.tiers.map(({ chips }) =>
    Math.max(1, Math.min(size, chips === Infinity ? size : Math.floor(chips / stride))),
  );
}

export interface Traffic {
  collective: Collective;
  /** As `Op` has them: all-to-all what a chip sends in all, also to itself; all-gather its result; reduce-scatter its input; all-reduce its operand. */
  bytes: number;
  /** Of an all-to-all: copies of a token (experts per token), and the nodes they lie on in the mean, its own among them. A copy crosses the network once per node. */
  copies?: number;
  nodesPerToken?: number;
}

/**
 * Seconds of a collective over a group. A ring or a hierarchy moves its bytes over all tiers at once, so the slowest tier decides; members that share a
 * domain bring their own network ports. Latency adds per domain crossed.
 */
export function collectiveSeconds(
  { collective, bytes, copies = 1, nodesPerToken }: Traffic,
  span: Span,
  cluster: Cluster,
  constants: Constants,
): number {
  const { size } = span;
  if (size <= 1 || bytes <= 0) return 0;
  const members = membersByTier(span, cluster);
  if (collective === "pointToPoint") {
    const tier =
      cluster.tiers[
        Math.max(
          0,
          members.findIndex((n) => n > 1),
        )
      ]!;
    return bytes / (tier.bytesPerSec * constants.linkShare) + tier.latencySeconds + constants.collectiveSeconds;
  }
  if (collective === "allToAll") return allToAllSeconds(bytes, copies, nodesPerToken, members, cluster, constants);
  const rounds = collective === "allReduce" ? 2 : 1;
  let slowest = 0,
    latency = constants.collectiveSeconds,
    inner = 1;
  cluster.tiers.forEach((tier, t) => {
    const here = members[t]!;
    const domains = here / inner;
    if (domains > 1) {
      const seconds = (rounds * bytes * (domains - 1)) / domains / (inner * tier.bytesPerSec * constants.linkShare);
      slowest = Math.max(slowest, seconds);
      latency += rounds * tier.latencySeconds * Math.min(domains - 1, 2 * Math.log2(domains));
    }
    inner = here;
  });
  return slowest + latency;
}

/**
 * Every copy crosses the inner links once (those that came over a port spread from there); over the network goes one copy per node reached, where the
 * software joins those for one node (as DeepEP does: `nodesPerToken` given), else every copy.
 */
function allToAllSeconds(
  bytes: number,
  copies: number,
  nodesPerToken: number | undefined,
  members: number[],
  cluster: Cluster,
  constants: Constants,
): number {
  const size = members.at(-1)!;
  let slowest = 0,
    latency = constants.collectiveSeconds,
    inner = 1;
  cluster.tiers.forEach((tier, t) => {
    const here = members[t]!;
    if (here > inner) {
      const domains = size / inner;
      const crossing = inner > 1 && nodesPerToken !== undefined ? Math.min(copies, nodesPerToken) / copies : 1;
      const joined = nodesPerToken === undefined && size > here ? (here - inner) / (size - inner) : 1;
      slowest = Math.max(
        slowest,
        (bytes * crossing * joined * (1 - 1 / domains)) / (tier.bytesPerSec * constants.linkShare),
      );
      latency += tier.latencySeconds * Math.log2(here / inner);
    }
    inner = here;
  });
  return slowest + latency;
}
