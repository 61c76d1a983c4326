/** A path through a graph that is given by its edges. */
import type { Random } from "../../data/index.ts";
import { answerPart } from "../answers/index.ts";
import { type Draft, drawProblem, type Problem, type Reply, type Score, type Task } from "../task.ts";
import { partReply } from "../thought.ts";
import { ask } from "./answerTask.ts";

export interface GraphData {
  /** Undirected, by letters: [["A", "B"], …]. */
  edges: [string, string][];
  from: string;
  to: string;
}

const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/** Any path counts as right (`answer`); `shortest` says whether none is shorter. Splits are by the graph, whatever is asked of it. */
export function graph(nodes: number): Task<GraphData> {
  return {
    name: `graph-${nodes}`,
    about: `a path between two of ${nodes} places, given the ways between them`,
    weights: { answer: 1, shortest: 0 },
    problem: (seed, split, index) => drawProblem("graph", (random) => draft(random, nodes), seed, split, index),
    score,
    answer: (_, reply) => pathIn(reply)?.join(" "),
    same: (a, b) => a === b,
    solve({ data, reference }, _, form) {
      return { thought: form === "long" ? search(data).lines.join("\n") : "", answer: reference };
    },
  };
}

function draft(random: Random, nodes: number): Draft<GraphData> {
  for (;;) {
    const edges: [string, string][] = [];
    for (let i = 0; i < nodes; i++)
      for (let j = i + 1; j < nodes; j++) if (random.chance(1.7 / (nodes - 1))) edges.push([LETTERS[i]!, LETTERS[j]!]);
    const from = LETTERS[random.int(0, nodes - 1)]!;
    const to = LETTERS[random.int(0, nodes - 1)]!;
    const { path } = search({ edges, from, to });
    if (path === undefined || path.length < 3) continue;
    const written = edges.map(([a, b]) => `${a} ${b}`);
    for (let i = written.length - 1; i > 0; i--) {
      const j = random.int(0, i);
      [written[i], written[j]] = [written[j]!, written[i]!];
    }
    return {
      content: [edges, from, to],
      group: edges,
      prompt: ask(`Ways: ${written.join(", ")}. From ${from} to ${to}?`),
      reference: path.join(" "),
      data: { edges, from, to },
      facts: { nodes, edges: edges.length, steps: path.length - 1 },
    };
  }
}

/** Breadth first, with a blank before every letter, so that a place is one token wherever it stands: a line says which new places are next to one, the last line goes back along the path. */
function search({ edges, from, to }: GraphData): { path: string[] | undefined; lines: string[] } {
  const before = new Map<string, string>([[from, ""]]);
  const lines: string[] = [];
  for (const place of before.keys()) {
    const found = edges
      .flatMap(([a, b]) => (a === place ? [b] : b === place ? [a] : []))
      .filter((other) => !before.has(other))
      .sort();
    for (const other of found) before.set(other, place);
    if (found.length > 0) lines.push(`at ${place}: ${found.join(" ")}`);
    if (before.has(to)) break;
  }
  if (!before.has(to)) return { path: undefined, lines };
  const back: string[] = [];
  for (let place = to; place !== ""; place = before.get(place) ?? "") back.push(place);
  lines.push(`back ${back.join(" ")}`);
  return { path: back.reverse(), lines };
}

/** The places of a path as it is written: `A B C`, `A-B-C`, `A -> B -> C`, `A, B, C`. */
function pathIn(reply: Reply): string[] | undefined {
  const said = answerPart(partReply(reply).answer).answer.slice(-400).trim().replace(/\.$/, "");
  return /^[A-Z](?:\s*(?:-+>?|→|,|\s)\s*[A-Z])*$/.test(said) ? (said.match(/[A-Z]/g) ?? undefined) : undefined;
}

function score({ data, reference }: Problem<GraphData>, reply: Reply): Score {
  const path = pathIn(reply) ?? [];
  const ways = new Set(data.edges.flatMap(([a, b]) => [a + b, b + a]));
  const right =
    path[0] === data.from &&
    path.at(-1) === data.to &&
    path.every((place, i) => i === 0 || ways.has(`${path[i - 1]}${place}`));
  const shortest = right && path.length === reference.split(" ").length;
  return { parts: { answer: right ? 1 : 0, shortest: shortest ? 1 : 0 } };
}
