/** Counters and histograms in Prometheus' text format (version 0.0.4). */

export type Label = Readonly<Record<string, string>>;

export interface Metric {
  /** Its lines, each ended; `common` are labels of all of them. */
  text(common: Label): string;
}

/** `text/plain; version=0.0.4`, as Prometheus asks for it. */
export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const head = (name: string, help: string, type: string): string => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;

const labels = (given: Label): string => {
  const parts = Object.entries(given).map(
    ([name, value]) => `${name}="${value.replace(/[\\"\n]/g, (sign) => (sign === "\n" ? "\\n" : `\\${sign}`))}"`,
  );
  return parts.length === 0 ? "" : `{${parts.join(",")}}`;
};

/** What stands in for labels beyond so many kinds: what clients write must not grow the memory. */
const MOST_KINDS = 256;

/** A sum that only grows, one for each kind of labels. */
export class Counter implements Metric {
  readonly #of = new Map<string, { labels: Label; value: number }>();

  constructor(
    readonly name: string,
    readonly help: string,
  ) {}

  add(value: number, by: Label = {}): void {
    const key = JSON.stringify(by);
    const known = this.#of.get(key);
    if (known) known.value += value;
    else if (this.#of.size < MOST_KINDS) this.#of.set(key, { labels: by, value });
  }

  text(common: Label): string {
    const kinds = this.#of.size === 0 ? [{ labels: {}, value: 0 }] : this.#of.values();
    let text = head(this.name, this.help, "counter");
    for (const { labels: own, value } of kinds) text += `${this.name}${labels({ ...common, ...own })} ${value}\n`;
    return text;
  }
}

/** How many values were at most each of `bounds` (ascending), their number and their sum. */
export class Histogram implements Metric {
  readonly #counts: number[];
  #count = 0;
  #sum = 0;

  constructor(
    readonly name: string,
    readonly help: string,
    readonly bounds: readonly number[],
  ) {
    this.#counts = bounds.map(() => 0);
  }

  see(value: number): void {
    this.#count++;
    this.#sum += value;
    for (let i = this.bounds.length - 1; i >= 0 && value <= (this.bounds[i] as number); i--) this.#counts[i]!++;
  }

  text(common: Label): string {
    let text = head(this.name, this.help, "histogram");
    for (const [i, bound] of this.bounds.entries())
      text += `${this.name}_bucket${labels({ ...common, le: String(bound) })} ${this.#counts[i]}\n`;
    text += `${this.name}_bucket${labels({ ...common, le: "+Inf" })} ${this.#count}\n`;
    return `${text}${this.name}_sum${labels(common)} ${this.#sum}\n${this.name}_count${labels(common)} ${this.#count}\n`;
  }
}

/** A value of now. */
export const gauge = (name: string, help: string, value: number): Metric => ({
  text: (common) => `${head(name, help, "gauge")}${name}${labels(common)} ${value}\n`,
});

export const metricsText = (metrics: readonly Metric[], common: Label): string =>
  metrics.map((metric) => metric.text(common)).join("");
