/** The loss on held-out tokens, by a graph that runs forward only. */
import { type ModelConfig, modelBuilder, predict } from "../model/index.ts";
import { type Binding, compile, type Executable } from "../runtime/index.ts";
import * as t from "../tensor/index.ts";
import type { ParameterStore } from "./store.ts";
import { parametersOf } from "./trace.ts";

/** Forward only: the next-token loss of a micro-batch of ids [B, T+1]. */
export class EvaluationProgram {
  private constructor(
    readonly executable: Executable,
    readonly binding: Binding,
    readonly ids: BigInt64Array,
    readonly nll_BT: Float32Array,
    readonly sequence: number,
  ) {}

  static async create(
    phase: { config: ModelConfig; microBatch: number; sequence: number; name: string },
    store: ParameterStore,
  ): Promise<EvaluationProgram> {
    const { microBatch, sequence } = phase;
    const ids = t.input("ids", "i64", [microBatch, sequence + 1]);
    const onnx = t.toOnnx(
      { nll: predict(modelBuilder(phase.config, { lora: store.lora }), ids, { depth: 0 }).main.nll_X },
      { name: "evaluate" },
    );
    const executable = await compile(onnx.bytes, { name: `evaluate ${phase.name}` });
    const data = new BigInt64Array(t.sizeOf(ids.shape as number[]));
    const nll = new Float32Array(microBatch * sequence);
    const binding = executable.bind(
      { ...parametersOf(onnx, store), ids: { dtype: "i64", shape: ids.shape as number[], data } },
      { nll: t.f32([nll.length], nll) },
    );
    return new EvaluationProgram(executable, binding, data, nll, sequence);
  }

  /** Sum of −log p over the windows' tokens after the first. At most a micro-batch of windows; shorter ones are filled up and not counted. */
  async run(windows: readonly Int32Array[]): Promise<number> {
    const width = this.sequence + 1;
    this.ids.fill(0n);
    windows.forEach((ids, row) => ids.forEach((id, i) => (this.ids[row * width + i] = BigInt(id))));
    await this.binding.run();
    let sum = 0;
    windows.forEach((ids, row) => {
      for (const nll of this.nll_BT.subarray(row * this.sequence, row * this.sequence + ids.length - 1)) sum += nll;
    });
    return sum;
  }

  dispose(): void {
    this.binding.dispose();
    this.executable.dispose();
  }
}
