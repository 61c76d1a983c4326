/** Gradients by a rule of one's own around ordinary operations. */
import { apply, type Primitive, type Tensor } from "./tensor.ts";

type Backward = (gradients: (Tensor | undefined)[], needed: boolean[]) => (Tensor | undefined)[];

interface CustomParams {
  name: string;
  count: number;
  backward: Backward;
}

const custom_: Primitive<CustomParams> = {
  name: "custom",
  infer: (inputs, { count }) => inputs.slice(-count).map((t) => ({ dtype: t.dtype, shape: [...t.shape] })),
  emit: (_, node, inputs) => inputs.slice(-node.params.count),
  grad: (node, gradients, needed) => {
    const own = node.params.backward(gradients, needed.slice(0, -node.params.count));
    return [...own, ...node.outputs.map(() => undefined)];
  },
};

/**
 * A composite with its own gradient rule: `results` were computed from `inputs` by ordinary operations; gradients
 * flow from results to inputs by `backward` alone, not through those operations. Costs nothing at run time.
 */
export function custom(name: string, inputs: Tensor[], results: Tensor[], backward: Backward): Tensor[] {
  return apply(custom_, [...inputs, ...results], { name, count: results.length, backward });
}

export const all: Primitive[] = [custom_];
