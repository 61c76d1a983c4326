/** The claims that ship with Sumbi, by name. */
import { ConfigError } from "../../errors.ts";
import { type Claim, type ClaimInput, parseClaim } from "../audit/claim.ts";
import { deepseekR1 } from "./deepseek-r1.ts";
import { deepseekV2 } from "./deepseek-v2.ts";
import { deepseekV3 } from "./deepseek-v3.ts";
import { llama2 } from "./llama-2-70b.ts";

/** Claims that ship, as a user would write them. */
export const CLAIMS: Record<string, ClaimInput> = {
  "deepseek-v3": deepseekV3,
  "deepseek-r1": deepseekR1,
  "deepseek-v2": deepseekV2,
  "llama-2-70b": llama2,
};

/** A shipped claim by its name. Throws ConfigError listing the names. */
export function claimOf(name: string): Claim {
  if (!Object.hasOwn(CLAIMS, name))
    throw new ConfigError(`claim: expected one of ${Object.keys(CLAIMS).join(", ")}, got ${JSON.stringify(name)}`);
  return parseClaim(CLAIMS[name], name);
}
