/** Whose request it is: of all that one client asks at once, only so much is answered before it is somebody else's turn. */
import type { Context } from "hono";
import type { Incoming } from "./body.ts";

const NAME = "client";

/** Names the client of a request by what it proved to be, such as the holder of a key. */
export const setClient = (c: Context, name: string): void => c.set(NAME, name);

/** The client of a request: the key it bears, or else the address it comes from. */
export function clientOf(c: Context): string {
  const known = c.get(NAME) as string | undefined;
  if (known !== undefined) return known;
  return networkOf(incomingOf(c)?.socket.remoteAddress ?? "somebody");
}

/** Node's own request behind a request, which `listen` hands over; none elsewhere. */
export const incomingOf = (c: Context): (Incoming & { socket: { remoteAddress?: string } }) | undefined =>
  (c.env as { incoming?: Incoming & { socket: { remoteAddress?: string } } } | undefined)?.incoming;

/** An address that one person has: of IPv6 the first four of eight groups, since a line is given all that follow. */
export function networkOf(address: string): string {
  const bare = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  if (!bare.includes(":")) return bare;
  const [head = "", tail] = bare.toLowerCase().split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const rest = (tail ?? "").split(":").filter((group) => group !== "");
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - groups.length - rest.length);
  const all = [...groups, ...new Array<string>(zeros).fill("0"), ...rest];
  return `${all
    .slice(0, 4)
    .map((group) => group.replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
