/** The nearest names to one that is not known. */

/** Candidates by likeness to `wanted`, best first: those that contain it or are contained, then by edit distance. */
export function nearest(
  wanted: string,
  candidates: readonly string[],
  normal: (text: string) => string = (text) => text.toLowerCase(),
): string[] {
  const text = normal(wanted);
  const score = (candidate: string) => {
    const other = normal(candidate);
    const held = text.length > 1 && (other.includes(text) || text.includes(other));
    return editDistance(text, other) - (held ? 3 : 0);
  };
  return candidates
    .map((candidate) => ({ candidate, score: score(candidate) }))
    .sort((a, b) => a.score - b.score)
    .map(({ candidate }) => candidate);
}

/** Insertions, deletions and substitutions between two strings. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
