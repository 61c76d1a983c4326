/** Values of each token, an objective's or others, by a graph that runs forward only: what other weights say of the same batches. */
import { SumbiError } from "../errors.ts";
import { modelBuilder } from "../model/index.ts";
import { type Binding, compile, type Executable, threads } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";
import type { Batch, TokenValues } from "./objective.ts";
import { checkBatch, feedLane, joined } from "./program.ts";
import type { Parameters } from "./store.ts";
import { type BatchShape, inputTensors, parametersOf, shardOf } from "./trace.ts";

interface Lane {
  ids: BigInt64Array;
  inputs: Map<string, Float32Array>;
  values: Float32Array;
  binding: Binding;
}

/** Batches as an objective's TrainingProgram takes them; parameters are read in place, as they are when it runs. */
export class ForwardProgram {
  private constructor(
    readonly shape: BatchShape,
    readonly objective: TokenValues,
    private readonly executables: readonly Executable[],
    private readonly lanes: readonly Lane[],
  ) {}

  /** `value`: one of those that it gives of each token. Throws SumbiError where it gives no such. */
  static async create(
    shape: BatchShape,
    objective: TokenValues,
    parameters: Parameters,
    value = "logProbabilities",
  ): Promise<ForwardProgram> {
    const { config, lanes } = shape;
    const shard = shardOf(shape);
    const ids = t.input("ids", "i64", [shard.sequences, shard.tokens + objective.extraIds(config)]);
    const fed = objective.inputs(config, shard);
    const wanted = Object.entries(fed);
    const inputs = inputTensors(objective, fed);
    const { perToken } = objective.build(modelBuilder(config, { lora: parameters.lora }), ids, inputs);
    const tensor = perToken?.[value];
    if (tensor === undefined) throw new SumbiError(`${objective.name}: gives no ${value} of each token`);
    const onnx = t.toOnnx({ value: tensor }, { name: "forward" });
    const own = lanes > 1 ? { threads: Math.max(1, threads() - lanes + 1), arena: "own" as const } : {};
    const executables = await Promise.all(
      Array.from({ length: lanes }, () => compile(onnx.bytes, { name: `forward ${shape.name}`, ...own })),
    );
    const dims = onnx.outputs["value"]!.shape as number[];
    const made = executables.map((executable): Lane => {
      const idsShape = ids.shape as number[];
      const data = new BigInt64Array(t.sizeOf(idsShape));
      const values = new Float32Array(t.sizeOf(dims));
      // the objective's other inputs are not in this graph
      const buffers = wanted
        .filter(([name]) => onnx.inputs[name])
        .map(([name, shape]) => [name, t.f32(shape, new Float32Array(t.sizeOf(shape)))] as const);
      const binding = executable.bind(
        {
          ...parametersOf(onnx, parameters),
          ...Object.fromEntries(Object.entries(objective.fixed ?? {}).filter(([name]) => onnx.inputs[name])),
          ...Object.fromEntries(buffers),
          ids: { dtype: "i64", shape: idsShape, data },
        },
        { value: t.f32(dims, values) },
      );
      return { ids: data, inputs: new Map(buffers.map(([name, { data }]) => [name, data])), values, binding };
    });
    return new ForwardProgram(shape, objective, executables, made);
  }

  /** Of the tokens of all batches, [sequences, T, …], in their order. */
  async run(batches: readonly Batch[]): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    for (const batch of batches) {
      checkBatch(batch, this.objective, this.shape, {});
      await Promise.all(
        this.lanes.map(async (lane, l) => {
          feedLane(batch, l, lane);
          await lane.binding.run();
        }),
      );
      for (const { values } of this.lanes) parts.push(values.slice());
    }
    return joined(parts);
  }

  dispose(): void {
    for (const { binding } of this.lanes) binding.dispose();
    for (const executable of this.executables) executable.dispose();
  }
}
