/** A JSON Schema as a grammar of what it allows, or a part of that. What cannot be enforced is refused, never passed over. */
import { briefJson, isRecord } from "../../json.ts";
import { ALL, type Characters, jsonClassOf, jsonLiteral, literal, without } from "./characters.ts";
import { StructureError } from "./error.ts";
import { integerGrammar, numberGrammar } from "./integers.ts";
import { regexGrammar, repeat } from "./regex.ts";

/** Rules and parts that one schema may have. */
const MOST_RULES = 4096;
const DEEPEST = 64;
/** Characters of texts in it. */
const MOST_CHARS = 2 ** 18;

type Schema = Readonly<Record<string, unknown>>;
type Kind = "object" | "array" | "string" | "integer" | "number" | "boolean" | "null";

/** They say something to people. */
const NOTES = new Set([
  "title",
  "description",
  "default",
  "examples",
  "example",
  "deprecated",
  "readOnly",
  "writeOnly",
  "discriminator",
  "$schema",
  "$id",
  "$comment",
  "$defs",
  "definitions",
]);
const KEYWORDS: Readonly<Record<Kind, readonly string[]>> = {
  object: ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"],
  string: ["minLength", "maxLength", "pattern", "format"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"],
  boolean: [],
  null: [],
};
const KINDS = Object.keys(KEYWORDS) as Kind[];

/** Texts of a format. Dates have days that every month has, or that it has. */
const FORMATS: Readonly<Record<string, string>> = (() => {
  const day = "((0[13578]|1[02])-(0[1-9]|[12]\\d|3[01])|(0[469]|11)-(0[1-9]|[12]\\d|30)|02-(0[1-9]|1\\d|2[0-8]))";
  const date = `[12]\\d{3}-${day}`;
  const time = "([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?(Z|[+-]([01]\\d|2[0-3]):[0-5]\\d)";
  const byte = "(25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)";
  const label = "[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?";
  const host = `${label}(\\.${label}){0,5}`;
  return {
    date,
    time,
    "date-time": `${date}T${time}`,
    uuid: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    ipv4: `${byte}(\\.${byte}){3}`,
    hostname: host,
    email: `[a-z0-9_+-]{1,30}(\\.[a-z0-9_+-]{1,30}){0,3}@(${label}\\.){1,3}[a-z]{2,8}`,
    uri: `https?://${host}(:[1-9]\\d{0,3})?(/[A-Za-z0-9._~-]{0,64}){0,16}(\\?[A-Za-z0-9._~=&-]{0,128})?`,
  };
})();
/** What a format of a number says: nothing, or bounds. */
const NUMBER_FORMATS: Readonly<Record<string, readonly [number, number] | undefined>> = {
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int64: undefined,
  float: undefined,
  double: undefined,
};

/**
 * A grammar (GBNF) of JSON values that a schema allows, written with `, ` and `: ` between. All its rules, of which the first is `root`, have the prefix in
 * their names. Throws StructureError.
 */
export function schemaGrammar(schema: unknown, prefix = ""): string {
  return new SchemaGrammar(schema, prefix).text;
}

class SchemaGrammar {
  readonly #rules = new Map<string, string>();
  readonly #refs = new Map<string, string>();
  #count = 0;
  #chars = 0;

  constructor(
    readonly document: unknown,
    private readonly prefix: string,
  ) {
    this.#rules.set(`${prefix}root`, "");
    this.#rules.set(`${prefix}root`, this.#visit(document, "#", 0));
  }

  get text(): string {
    return [...this.#rules].map(([name, body]) => `${name} ::= ${body}`).join("\n");
  }

  #rule(body: string): string {
    if (++this.#count > MOST_RULES) throw new StructureError(`schema: expected at most ${MOST_RULES} parts, got more`);
    const name = `${this.prefix}r${this.#count}`;
    this.#rules.set(name, body);
    return name;
  }

  /** A rule that is written once. */
  #shared(bare: string, body: (name: string) => string): string {
    const name = this.prefix + bare;
    if (!this.#rules.has(name)) {
      this.#rules.set(name, "");
      this.#rules.set(name, body(name));
    }
    return name;
  }

  #literal(text: string): string {
    this.#chars += text.length;
    if (this.#chars > MOST_CHARS)
      throw new StructureError(`schema: expected at most ${MOST_CHARS} characters in names and values, got more`);
    return literal(text);
  }

  /** Any JSON value. */
  get #any(): string {
    return this.#shared("any", (any) => {
      const entry = `${this.#string} ": " ${any}`;
      return `"{" (${entry} (", " ${entry})*)? "}" | "[" (${any} (", " ${any})*)? "]" | ${this.#string} | ${this.#number} | "true" | "false" | "null"`;
    });
  }

  get #string(): string {
    return this.#shared("string", () => `"\\"" ${jsonClassOf(ALL)}* "\\""`);
  }

  get #number(): string {
    return this.#shared("number", () => '"-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,15})? ([eE] [+-]? [0-9]{1,2})?');
  }

  #visit(schema: unknown, at: string, depth: number): string {
    if (depth > DEEPEST) throw new StructureError(`${at}: expected at most ${DEEPEST} schemas within one another`);
    if (schema === true) return this.#any;
    if (!isRecord(schema)) throw new StructureError(`${at}: expected a schema, got ${briefJson(schema)}`);
    const within = (key: string): string => `${at}/${key}`;
    const alone = (key: string): unknown => {
      const beside = Object.keys(schema).find((other) => other !== key && !NOTES.has(other));
      if (beside !== undefined)
        throw new StructureError(`${at}: ${beside} beside ${key} cannot be enforced; write it into ${key}`);
      return schema[key];
    };
    if (schema["nullable"] === true) {
      const { nullable: _, ...rest } = schema;
      return this.#rule(`${this.#visit(rest, at, depth + 1)} | "null"`);
    }
    if ("$ref" in schema) return this.#reference(alone("$ref"), at, depth);
    for (const key of ["anyOf", "oneOf"] as const)
      if (key in schema) {
        const list = listOf(alone(key), within(key));
        if (key === "oneOf") this.#checkApart(list, within(key));
        return this.#rule(list.map((one, i) => this.#visit(one, within(`${key}/${i}`), depth + 1)).join(" | "));
      }
    if ("allOf" in schema) {
      const list = listOf(alone("allOf"), within("allOf"));
      if (list.length > 1) throw new StructureError(`${within("allOf")}: several schemas at once cannot be enforced`);
      return this.#visit(list[0], within("allOf/0"), depth + 1);
    }
    if ("const" in schema) return this.#values([schema["const"]], schema, at, "const");
    if ("enum" in schema) return this.#values(listOf(schema["enum"], within("enum")), schema, at, "enum");
    return this.#ofKinds(schema, at, depth);
  }

  #ofKinds(schema: Schema, at: string, depth: number): string {
    const kinds = kindsOf(schema, at);
    const known = new Set(["type", "nullable", ...kinds.flatMap((kind) => KEYWORDS[kind])]);
    const unknown = Object.keys(schema).find((key) => !known.has(key) && !NOTES.has(key));
    if (unknown !== undefined) throw new StructureError(`${at}/${unknown}: cannot be enforced; leave it out`);
    if (kinds.length === KINDS.length) return this.#any;
    return this.#rule(kinds.map((kind) => this.#kind(kind, schema, at, depth)).join(" | "));
  }

  #kind(kind: Kind, schema: Schema, at: string, depth: number): string {
    switch (kind) {
      case "object":
        return this.#object(schema, at, depth);
      case "array":
        return this.#array(schema, at, depth);
      case "string":
        return this.#text(schema, at);
      case "integer":
      case "number":
        return this.#numeric(kind, schema, at);
      case "boolean":
        return '("true" | "false")';
      case "null":
        return '"null"';
    }
  }

  #reference(ref: unknown, at: string, depth: number): string {
    if (typeof ref !== "string" || !ref.startsWith("#"))
      throw new StructureError(
        `${at}/$ref: expected a place in the schema, such as "#/$defs/item", got ${briefJson(ref)}`,
      );
    const known = this.#refs.get(ref);
    if (known !== undefined) return known;
    const target = this.#placeOf(ref);
    if (target === undefined) throw new StructureError(`${at}/$ref: there is nothing at ${ref.slice(0, 100)}`);
    if (isRecord(target) && target["$ref"] === ref)
      throw new StructureError(`${at}/$ref: ${ref.slice(0, 100)} refers to itself`);
    const name = this.#rule('""');
    this.#refs.set(ref, name);
    this.#rules.set(name, this.#visit(target, ref, depth + 1));
    return name;
  }

  #values(values: readonly unknown[], schema: Schema, at: string, key: "const" | "enum"): string {
    const beside = Object.keys(schema).find((other) => other !== key && other !== "type" && !NOTES.has(other));
    if (beside !== undefined)
      throw new StructureError(`${at}: ${beside} beside ${key} cannot be enforced; leave it out`);
    const kinds = kindsOf(schema, at);
    const fit = values.filter((value) => kinds.some((kind) => isOfKind(value, kind)));
    if (fit.length === 0) throw new StructureError(`${at}: no value of ${key} is of its type`);
    return this.#rule(fit.map((value) => this.#literal(spaced(value))).join(" | "));
  }

  /** Throws unless no value can be of two of them: by their types, or by a required property with values of its own. */
  #checkApart(list: readonly unknown[], at: string): void {
    const schemas = list.map((one) => this.#resolved(one));
    const apart = (a: Schema, b: Schema): boolean => {
      const [ka, kb] = [kindsOf(a, at), kindsOf(b, at)];
      const shared = ka.filter(
        (kind) =>
          kb.includes(kind) ||
          (kind === "integer" && kb.includes("number")) ||
          (kind === "number" && kb.includes("integer")),
      );
      if (shared.length === 0) return true;
      if (shared.join() !== "object") return valuesApart(valuesOf(a), valuesOf(b));
      return requiredOf(a).some(
        (name) =>
          requiredOf(b).includes(name) && valuesApart(valuesOf(propertyOf(a, name)), valuesOf(propertyOf(b, name))),
      );
    };
    for (const [i, a] of schemas.entries())
      for (const b of schemas.slice(i + 1))
        if (!apart(a, b))
          throw new StructureError(`${at}: a value may be of two of these schemas, and oneOf allows one; write anyOf`);
  }

  #resolved(schema: unknown): Schema {
    let target: unknown = schema;
    for (let hops = 0; hops < 8 && isRecord(target) && typeof target["$ref"] === "string"; hops++)
      target = this.#placeOf(target["$ref"]);
    return isRecord(target) ? target : {};
  }

  /** What a JSON pointer points at in the schema (RFC 6901); undefined where there is nothing. */
  #placeOf(ref: string): unknown {
    let target: unknown = this.document;
    for (const part of ref.split("/").slice(1)) {
      const key = decodePointer(part);
      if (Array.isArray(target)) target = target[Number(key)];
      else target = isRecord(target) && Object.hasOwn(target, key) ? target[key] : undefined;
    }
    return target;
  }

  #object(schema: Schema, at: string, depth: number): string {
    const properties = recordOf(schema["properties"], `${at}/properties`);
    const names = Object.keys(properties);
    const required = namesOf(schema["required"], `${at}/required`);
    const min = countOf(schema["minProperties"], `${at}/minProperties`);
    const max = countOf(schema["maxProperties"], `${at}/maxProperties`);
    const missing = required.find((name) => !Object.hasOwn(properties, name));
    if (missing !== undefined)
      throw new StructureError(
        `${at}/required: expected names that properties describes, got ${JSON.stringify(missing.slice(0, 50))}`,
      );
    const more = schema["additionalProperties"] ?? schema["properties"] === undefined;
    const entry =
      more === false
        ? undefined
        : `${this.#nameBut(names)} ": " ${this.#visit(more, `${at}/additionalProperties`, depth + 1)}`;
    if (names.length === 0) {
      if (entry === undefined) return '"{}"';
      // the same name twice counts once
      if ((min ?? 0) > 1)
        throw new StructureError(`${at}/minProperties: cannot be enforced without properties; name them`);
      return between(entry, min ?? 0, max ?? Infinity, "{", "}");
    }
    if (min !== undefined || max !== undefined)
      throw new StructureError(
        `${at}: minProperties and maxProperties beside properties cannot be enforced; make some required`,
      );
    const all = names.map((name) => ({
      entry: `${this.#literal(`${JSON.stringify(name)}: `)} ${this.#visit(properties[name], `${at}/properties/${name}`, depth + 1)}`,
      needed: required.includes(name),
    }));
    let first = this.#rule(entry === undefined ? '""' : `(${entry} (", " ${entry})*)?`);
    let later = this.#rule(entry === undefined ? '""' : `(", " ${entry})*`);
    for (const { entry: own, needed } of all.toReversed()) {
      const [nextFirst, nextLater] = [first, later];
      first = this.#rule(needed ? `${own} ${nextLater}` : `${own} ${nextLater} | ${nextFirst}`);
      later = this.#rule(needed ? `", " ${own} ${nextLater}` : `", " ${own} ${nextLater} | ${nextLater}`);
    }
    return `"{" ${first} "}"`;
  }

  /** A name in quotes that is none of these. */
  #nameBut(names: readonly string[]): string {
    if (names.length === 0) return this.#string;
    const tails = (rest: readonly string[][]): string => {
      const heads = new Map<string, string[][]>();
      let ends = false;
      for (const chars of rest) {
        const [head, ...tail] = chars;
        if (head === undefined) ends = true;
        else heads.set(head, [...(heads.get(head) ?? []), tail]);
      }
      const taken: Characters = [...heads.keys()].map((c) => [c.codePointAt(0) ?? 0, c.codePointAt(0) ?? 0]);
      const other = jsonClassOf(without(ALL, taken), { narrow: true });
      const ways = [...heads].map(([head, tail]) => `${jsonLiteral(head)} ${tails(tail)}`);
      if (other !== undefined) ways.push(`${other} ${jsonClassOf(ALL)}*`);
      if (!ends) ways.push('""');
      return this.#rule(ways.join(" | "));
    };
    return this.#rule(`"\\"" ${tails(names.map((name) => Array.from(name)))} "\\""`);
  }

  #array(schema: Schema, at: string, depth: number): string {
    if (schema["uniqueItems"] === true) throw new StructureError(`${at}/uniqueItems: cannot be enforced; leave it out`);
    const prefix = schema["prefixItems"] === undefined ? [] : listOf(schema["prefixItems"], `${at}/prefixItems`);
    const items = Array.isArray(schema["items"]) ? undefined : (schema["items"] ?? true);
    if (items === undefined)
      throw new StructureError(`${at}/items: expected a schema; a list of schemas is prefixItems`);
    const min = countOf(schema["minItems"], `${at}/minItems`) ?? 0;
    const max = countOf(schema["maxItems"], `${at}/maxItems`) ?? Infinity;
    const most = items === false ? Math.min(max, prefix.length) : max;
    if (min > most) throw new StructureError(`${at}: expected minItems of at most ${most}, got ${min}`);
    const item = items === false ? undefined : this.#visit(items, `${at}/items`, depth + 1);
    if (prefix.length === 0) return item === undefined ? '"[]"' : between(item, min, most, "[", "]");
    const first = prefix.slice(0, most).map((one, i) => this.#visit(one, `${at}/prefixItems/${i}`, depth + 1));
    const left = most - first.length;
    let rest =
      item === undefined || left <= 0
        ? '""'
        : `(", " ${item})${repeat(Math.max(0, min - first.length), left === Infinity ? Infinity : left)}`;
    for (let i = first.length - 1; i >= 0; i--) {
      const own = `${i === 0 ? "" : '", " '}${first[i]} ${rest}`;
      rest = this.#rule(i < min ? own : `(${own})?`);
    }
    return `"[" ${rest} "]"`;
  }

  #text(schema: Schema, at: string): string {
    const min = countOf(schema["minLength"], `${at}/minLength`);
    const max = countOf(schema["maxLength"], `${at}/maxLength`);
    const { pattern, format } = schema;
    const bounded = min !== undefined || max !== undefined;
    if ([bounded, pattern !== undefined, format !== undefined].filter(Boolean).length > 1)
      throw new StructureError(`${at}: of lengths, pattern and format only one can be enforced; leave the others out`);
    if (pattern !== undefined) {
      if (typeof pattern !== "string")
        throw new StructureError(`${at}/pattern: expected a text, got ${briefJson(pattern)}`);
      return quoted(withPlace(`${at}/pattern`, () => regexGrammar(pattern, { json: true, whole: false })));
    }
    if (format !== undefined) {
      const known = typeof format === "string" && Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
      if (known === undefined)
        throw new StructureError(
          `${at}/format: expected one of ${Object.keys(FORMATS).join(", ")}, got ${briefJson(format)}`,
        );
      return quoted(this.#shared(`format-${format}`, () => regexGrammar(known, { json: true, whole: true })));
    }
    if (!bounded) return this.#string;
    if ((min ?? 0) > (max ?? Infinity)) throw new StructureError(`${at}: expected minLength of at most maxLength`);
    return quoted(`${jsonClassOf(ALL)}${withPlace(at, () => repeat(min ?? 0, max ?? Infinity))}`);
  }

  #numeric(kind: "integer" | "number", schema: Schema, at: string): string {
    const { multipleOf, format } = schema;
    if (multipleOf !== undefined && !(multipleOf === 1 && kind === "integer"))
      throw new StructureError(`${at}/multipleOf: cannot be enforced; leave it out`);
    if (format !== undefined && !(typeof format === "string" && Object.hasOwn(NUMBER_FORMATS, format)))
      throw new StructureError(
        `${at}/format: expected one of ${Object.keys(NUMBER_FORMATS).join(", ")}, got ${briefJson(format)}`,
      );
    const bounds = typeof format === "string" ? NUMBER_FORMATS[format] : undefined;
    const lower = boundsOf(schema, at, "minimum", "exclusiveMinimum", bounds?.[0]);
    const upper = boundsOf(schema, at, "maximum", "exclusiveMaximum", bounds?.[1]);
    const least = lower.reduce((a, b) => (b.at > a.at || (b.at === a.at && b.open) ? b : a), {
      at: -Infinity,
      open: false,
    });
    const most = upper.reduce((a, b) => (b.at < a.at || (b.at === a.at && b.open) ? b : a), {
      at: Infinity,
      open: false,
    });
    if (kind === "number" && lower.length + upper.length === 0) return this.#number;
    const grammar =
      kind === "integer"
        ? integerGrammar(
            least.open ? Math.floor(least.at) + 1 : Math.ceil(least.at),
            most.open ? Math.ceil(most.at) - 1 : Math.floor(most.at),
          )
        : numberGrammar(lower.length > 0 ? least : undefined, upper.length > 0 ? most : undefined);
    if (grammar === undefined) throw new StructureError(`${at}: no number is between its bounds`);
    return this.#rule(grammar);
  }
}

const quoted = (inner: string): string => `"\\"" ${inner} "\\""`;

/** From `min` to `max` of them, with commas between, in brackets. */
function between(item: string, min: number, max: number, open: string, close: string): string {
  if (max === 0) return `"${open}${close}"`;
  const more = `(", " ${item})${repeat(Math.max(0, min - 1), max === Infinity ? Infinity : max - 1)}`;
  return `"${open}" ${min === 0 ? `(${item} ${more})?` : `${item} ${more}`} "${close}"`;
}

/** JSON as the grammar writes it. */
export function spaced(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (isRecord(value))
    return `{${Object.entries(value)
      .map(([key, one]) => `${JSON.stringify(key)}: ${spaced(one)}`)
      .join(", ")}}`;
  return JSON.stringify(value);
}

function kindsOf(schema: Schema, at: string): Kind[] {
  const type = schema["type"];
  if (type === undefined) {
    // keywords of one kind say what is meant; those of several, that any of them is
    const meant = KINDS.filter((kind) => KEYWORDS[kind].some((key) => key !== "format" && Object.hasOwn(schema, key)));
    return meant.length > 0 ? meant.filter((kind) => kind !== "integer" || !meant.includes("number")) : [...KINDS];
  }
  const types = Array.isArray(type) ? type : [type];
  const wrong = types.find((one) => !(KINDS as unknown[]).includes(one));
  if (wrong !== undefined || types.length === 0)
    throw new StructureError(
      `${at}/type: expected one of ${KINDS.join(", ")}, or a list of them, got ${briefJson(type)}`,
    );
  return types as Kind[];
}

function isOfKind(value: unknown, kind: Kind): boolean {
  if (kind === "null") return value === null;
  if (kind === "array") return Array.isArray(value);
  if (kind === "object") return isRecord(value);
  if (kind === "integer") return Number.isInteger(value);
  return typeof value === kind;
}

const valuesOf = (schema: Schema | undefined): readonly unknown[] | undefined =>
  schema === undefined
    ? undefined
    : "const" in schema
      ? [schema["const"]]
      : Array.isArray(schema["enum"])
        ? schema["enum"]
        : undefined;
function valuesApart(a: readonly unknown[] | undefined, b: readonly unknown[] | undefined): boolean {
  if (a === undefined || b === undefined) return false;
  const texts = new Set(a.map((value) => JSON.stringify(value)));
  return b.every((value) => !texts.has(JSON.stringify(value)));
}
const requiredOf = (schema: Schema): readonly unknown[] =>
  Array.isArray(schema["required"]) ? schema["required"] : [];
const propertyOf = (schema: Schema, name: unknown): Schema | undefined => {
  const properties = schema["properties"];
  const found = isRecord(properties) && typeof name === "string" ? properties[name] : undefined;
  return isRecord(found) ? found : undefined;
};

function decodePointer(part: string): string {
  try {
    return decodeURIComponent(part).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return part;
  }
}

function listOf(value: unknown, at: string): readonly unknown[] {
  if (Array.isArray(value) && value.length > 0) return value;
  throw new StructureError(`${at}: expected a list of at least one, got ${briefJson(value)}`);
}

function recordOf(value: unknown, at: string): Readonly<Record<string, unknown>> {
  if (value === undefined) return {};
  if (isRecord(value)) return value;
  throw new StructureError(`${at}: expected an object, got ${briefJson(value)}`);
}

function namesOf(value: unknown, at: string): readonly string[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((name) => typeof name === "string")) return value;
  throw new StructureError(`${at}: expected a list of names, got ${briefJson(value)}`);
}

function countOf(value: unknown, at: string): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw new StructureError(`${at}: expected a whole number, 0 or more, got ${briefJson(value)}`);
}

interface Bound {
  at: number;
  open: boolean;
}

/** Bounds of one side, all of which hold. An exclusive one may be a number, or as once true beside the other. */
function boundsOf(
  schema: Schema,
  at: string,
  key: "minimum" | "maximum",
  exclusive: string,
  more: number | undefined,
): Bound[] {
  const bounds: Bound[] = more === undefined ? [] : [{ at: more, open: false }];
  const take = (name: string, open: boolean): void => {
    const given = schema[name];
    // no number here has more digits: what is beyond them bounds nothing (zod's integers have such bounds)
    const value =
      typeof given !== "number" ? given : key === "minimum" ? Math.max(given, -1e15) : Math.min(given, 1e15);
    if (
      typeof value !== "number" ||
      Math.abs(value) > 1e15 ||
      (schema["type"] !== "integer" && !Number.isInteger(value))
    )
      throw new StructureError(
        `${at}/${name}: expected a number, whole where fractions are allowed, of at most 10^15, got ${briefJson(value)}`,
      );
    bounds.push({ at: value, open });
  };
  const former = typeof schema[exclusive] === "boolean";
  if (schema[key] !== undefined) take(key, former && schema[exclusive] === true);
  if (schema[exclusive] !== undefined && !former) take(exclusive, true);
  return bounds;
}

function withPlace<T>(at: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof StructureError ? new StructureError(`${at}: ${error.message}`) : error;
  }
}
