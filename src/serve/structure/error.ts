/** A structure that cannot be enforced. */
import { SumbiError } from "../../errors.ts";

/** What of a schema, an expression or a grammar cannot be enforced, and where. */
export class StructureError extends SumbiError {}
