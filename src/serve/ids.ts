/** Ids of what a server makes. */

/** A prefix, such as `chatcmpl`, and 24 random characters. */
export function newId(prefix: string, join = "-"): string {
  return `${prefix}${join}${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
}
