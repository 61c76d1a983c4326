/** The gated feed-forward block, and the names of its weights. */
import { mul, silu, type Tensor } from "../tensor/index.ts";
import type { ModelBuilder, SwigluWeights } from "./builder.ts";

/** down(silu(gate(x)) · up(x)), x_XD -> out_XD: the feed-forward block of every layer that is not a mixture, and of each expert. `weight_X1` scales
 * each row's result, applied where rows are narrowest. */
export function feedForward(model: ModelBuilder, x_XD: Tensor, at: string, weight_X1?: Tensor): Tensor {
  if (model.swiglu && weight_X1 === undefined) return model.swiglu(x_XD, [swigluWeights(model, at)]);
  const gate = model.linear(x_XD, `${at}.gate_proj`);
  const up = model.linear(x_XD, `${at}.up_proj`);
  const hidden_XF = mul(silu(gate), up);
  return model.linear(weight_X1 ? mul(hidden_XF, weight_X1) : hidden_XF, `${at}.down_proj`);
}

/** The weights of the block at `at`. */
export function swigluWeights(model: ModelBuilder, at: string): SwigluWeights {
  const weight = (part: string) => model.weight(`${at}.${part}_proj.weight`);
  return { gate: weight("gate"), up: weight("up"), down: weight("down") };
}
