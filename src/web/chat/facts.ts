/** What is special about the model that answers, by its own account (`/api/model`): how small it is, that it thinks, what it cost. */
import { bytes, dollars, duration, energy, short } from "../ui/format.ts";
import { words } from "../words/index.ts";

export interface Facts {
  /** Its size on the disk, in words; undefined where it is not told. */
  what: string | undefined;
  thinks: boolean;
  tiles: { name: string; value: string; note?: string }[];
}

const numberIn = (value: unknown, name: string): number | undefined => {
  const found = (value as Record<string, unknown> | null | undefined)?.[name];
  return typeof found === "number" && Number.isFinite(found) ? found : undefined;
};

/** What the model tells of itself, as far as it does; nothing is made up where it says nothing. */
export function factsOf(details: Record<string, unknown>): Facts {
  const { weightsBytes, parameters, training, reasons } = details;
  const total = numberIn(parameters, "total");
  const active = numberIn(parameters, "active");
  const usd = numberIn(training, "usd");
  const seconds = numberIn(training, "seconds");
  const joules = numberIn(training, "joules");
  const tokens = numberIn(training, "tokens");
  const machine = (training as Record<string, unknown> | null | undefined)?.machine;
  const tiles: Facts["tiles"] = [];
  if (total !== undefined)
    tiles.push({
      name: words.welcome.parameters,
      value: short(total, 2),
      note: active !== undefined && active < total ? words.welcome.active(short(active, 2)) : undefined,
    });
  if (usd !== undefined)
    tiles.push({
      name: words.welcome.cost,
      value: dollars(usd),
      note: joules === undefined ? undefined : energy(joules),
    });
  if (seconds !== undefined)
    tiles.push({
      name: words.welcome.trained,
      value: duration(seconds),
      note: typeof machine === "string" ? words.welcome.on(machine) : undefined,
    });
  if (tokens !== undefined) tiles.push({ name: words.welcome.read, value: words.welcome.tokens(short(tokens, 3)) });
  return { what: typeof weightsBytes === "number" ? bytes(weightsBytes) : undefined, thinks: reasons === true, tiles };
}
