/** Balance without a loss: each expert's bias moved by its load. */
import type { ParameterStore } from "./store.ts";

/** How much a step counts in the moving average of the load. */
const AVERAGE = 0.05;

/**
 * Auxiliary-loss-free balancing (arXiv:2412.19437 §2.1.2): after each step the correction bias of an expert with more than
 * the mean load falls by γ, of one with less it rises by γ. Also keeps the moving average of each expert's share of the mean.
 */
export class Balance {
  /** Per MoE layer and expert: load as a multiple of the mean, moving average. */
  readonly average: Float64Array[];
  #updates = 0;

  /** `biasKeys` are the e_score_correction_bias parameters, one per MoE layer, in layer order (MTP's last). */
  constructor(
    readonly store: ParameterStore,
    readonly biasKeys: readonly string[],
    experts: number,
  ) {
    this.average = biasKeys.map(() => new Float64Array(experts).fill(1));
  }

  /** `loads[layer][expert]`, layers in the order of the keys, is how many assignments of this step's batch the expert got. */
  update(loads: readonly ArrayLike<number>[], gamma: number): void {
    this.#updates++;
    const weight = Math.max(AVERAGE, 1 / this.#updates);
    // Layers of MTP modules, the last, may have been left out.
    loads.forEach((load, layer) => {
      const key = this.biasKeys[layer]!;
      const bias = this.store.views.has(key) ? this.store.parameter(key).data : undefined;
      const average = this.average[layer]!;
      let total = 0;
      for (let i = 0; i < load.length; i++) total += load[i]!;
      const mean = total / load.length;
      for (let i = 0; i < load.length; i++) {
        if (bias) bias[i] = bias[i]! + gamma * Math.sign(mean - load[i]!);
        average[i] = average[i]! + weight * (load[i]! / mean - average[i]!);
      }
    });
  }

  /** The busiest expert's load as a multiple of its layer's mean, moving average. */
  busiest(): number {
    return Math.max(1, ...this.average.map((layer) => Math.max(...layer)));
  }

  toJson(): { updates: number; average: number[][] } {
    return { updates: this.#updates, average: this.average.map((layer) => [...layer]) };
  }

  fromJson(json: { updates: number; average: number[][] }): void {
    this.#updates = json.updates;
    json.average.forEach((layer, i) => this.average[i]!.set(layer));
  }
}
