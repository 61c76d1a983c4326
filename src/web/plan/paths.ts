/** Addresses of the planner's pages. */

/**
 * Addresses of these pages. Sent by `sumbi serve` they are /plan and /plan/audit/<claim>; as a static site they are one
 * file in whatever folder it was put, and the audit is a query, since a static host knows no other addresses.
 */
export const STATIC = import.meta.env.MODE === "site";

const home = STATIC ? location.pathname : "/plan";

export const planPath = (query = ""): string => home + query;
export const auditPath = (claim: string): string =>
  STATIC ? `${home}?audit=${encodeURIComponent(claim)}` : `/plan/audit/${encodeURIComponent(claim)}`;

/** The claim whose audit an address asks for; null for the planner. */
export function claimIn(path: string): string | null {
  const url = new URL(path, location.origin);
  if (STATIC) return url.searchParams.get("audit");
  const found = /^\/plan\/audit(?:\/([^/]*))?\/?$/.exec(url.pathname);
  return found ? decodeURIComponent(found[1] ?? "") || "deepseek-v3" : null;
}
