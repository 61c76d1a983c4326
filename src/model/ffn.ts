import { mul, silu, type Tensor } from "../tensor/index.ts";
import type { ModelBuilder } from "./builder.ts";

/** down(silu(gate(x)) · up(x)), x_XD -> out_XD: the feed-forward block of every layer that is not a mixture, and of each expert. */
export function feedForward(model: ModelBuilder, x_XD: Tensor, at: string): Tensor {
  const gate = model.linear(x_XD, `${at}.gate_proj`);
  const up = model.linear(x_XD, `${at}.up_proj`);
  return model.linear(mul(silu(gate), up), `${at}.down_proj`);
}
