/** Nested objects as rows of names and values. */

/** A nested object -> rows of "a.b.c" and value; lists of plain values stay in one row. */
export function flatten(value: unknown, prefix = "", rows: [string, string][] = []): [string, string][] {
  const nested = value !== null && typeof value === "object";
  const plainList = Array.isArray(value) && value.every((v) => v === null || typeof v !== "object");
  if (nested && !plainList) {
    for (const [key, inner] of Object.entries(value)) flatten(inner, prefix ? `${prefix}.${key}` : key, rows);
  } else if (prefix)
    rows.push([
      prefix,
      Array.isArray(value) ? value.join(", ") : typeof value === "string" ? value : JSON.stringify(value),
    ]);
  return rows;
}
