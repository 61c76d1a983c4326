/** Every primitive with its rule, in one table. */
import { all as customs } from "./custom.ts";
import { all as blocks } from "./ops/blocks.ts";
import { all as broadcast } from "./ops/broadcast.ts";
import { all as bytes } from "./ops/bytes.ts";
import { all as elementwise } from "./ops/elementwise.ts";
import { all as indexing } from "./ops/indexing.ts";
import { all as matmul } from "./ops/matmul.ts";
import { all as nn } from "./ops/nn.ts";
import { all as reduce } from "./ops/reduce.ts";
import { all as shape } from "./ops/shape.ts";
import type { Primitive } from "./tensor.ts";

/** Every primitive with its rule, in one table: the gradient test walks it and fails for one without a case. */
export const rules: ReadonlyMap<string, Primitive> = new Map(
  [
    ...broadcast,
    ...elementwise,
    ...reduce,
    ...shape,
    ...matmul,
    ...indexing,
    ...nn,
    ...bytes,
    ...blocks,
    ...customs,
  ].map((p) => [p.name, p]),
);
