/** Reads the sizes in a config.json and collects what is wrong with them. */
import { briefJson } from "../../json.ts";

/** What a file may say at most: over anything built, so that no count is looped over for minutes. */
const MOST_LAYERS = 4096;
const MOST_EXPERTS = 65_536;
const MOST = 2 ** 31;

/** A config.json's fields; an absent one has its family's default, which is transformers 5's. */
export class Sizes {
  readonly faults: string[];

  constructor(
    private readonly json: Record<string, unknown>,
    private readonly defaults: Record<string, unknown> = {},
    faults: string[] = [],
  ) {
    this.faults = faults;
  }

  /** A field's value, or its default. null counts as absent where the family has no meaning for it. */
  private value(field: string): unknown {
    return this.json[field] ?? this.defaults[field];
  }

  has(field: string): boolean {
    return this.json[field] !== undefined && this.json[field] !== null;
  }

  fault(field: string, expected: string): void {
    this.faults.push(`${field}: expected ${expected}, got ${briefJson(this.json[field])}`);
  }

  /** A positive whole number. */
  size(field: string, most = MOST): number {
    const value = this.value(field);
    if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= most) return value as number;
    this.fault(field, `a positive whole number${most < MOST ? ` of at most ${most}` : ""}`);
    return 1;
  }

  layers = (field = "num_hidden_layers"): number => this.size(field, MOST_LAYERS);
  experts = (field: string): number => this.size(field, MOST_EXPERTS);

  /** A positive whole number, or undefined where the field is absent, null or 0. */
  optional(field: string): number | undefined {
    const value = this.value(field);
    return value === undefined || value === null || value === 0 ? undefined : this.size(field);
  }

  /** A whole number, 0 or more. */
  natural(field: string, absent = 0): number {
    const value = this.value(field) ?? absent;
    if (Number.isSafeInteger(value) && (value as number) >= 0) return value as number;
    this.fault(field, "a whole number, 0 or more");
    return 0;
  }

  flag(field: string): boolean {
    const value = this.value(field) ?? false;
    if (typeof value === "boolean") return value;
    this.fault(field, "true or false");
    return false;
  }

  /** Whether a share above 0 is stated: dropout. */
  share(field: string): boolean {
    const value = this.value(field) ?? 0;
    if (typeof value === "number" && value >= 0 && value < 1) return value > 0;
    this.fault(field, "a share from 0 to below 1");
    return false;
  }

  /** The fields of an object inside, whose faults are told with these. */
  nested(field: string, defaults: Record<string, unknown>): Sizes {
    const value = this.value(field) ?? {};
    const inside = typeof value === "object" && !Array.isArray(value);
    if (!inside) this.fault(field, "an object");
    return new Sizes(inside ? (value as Record<string, unknown>) : {}, defaults, this.faults);
  }

  /** A list with an entry for each layer, or undefined where the file has none. */
  perLayer<T>(field: string, layers: number, known: readonly T[]): T[] | undefined {
    const value = this.value(field);
    if (value === undefined || value === null) return undefined;
    // A list may go on with the MTP modules' entries.
    if (Array.isArray(value) && value.length >= layers && value.every((entry) => known.includes(entry)))
      return value.slice(0, layers);
    this.fault(field, `${layers} entries, each one of ${known.join(", ")}`);
    return undefined;
  }

  /** Whole numbers: of layers, say. */
  list(field: string): number[] | undefined {
    const value = this.value(field);
    if (value === undefined || value === null) return undefined;
    if (Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0)) return value;
    this.fault(field, "a list of whole numbers");
    return undefined;
  }
}
