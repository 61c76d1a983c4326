/** Fields taken out of a short note, written as JSON. */
import type { Random } from "../../data/index.ts";
import { parseJson } from "../../json.ts";
import { type Draft, drawProblem, type Problem, type Reply, type Score, type Task } from "../task.ts";
import { partReply } from "../thought.ts";
import { ask } from "./answerTask.ts";
import { NAMES } from "./wordTemplates.ts";

export type Fields = Record<string, string | number>;

const CITIES = "Oslo Lima Kyoto Cairo Berlin Quito Busan Lagos Delhi Porto Turin Accra Hanoi Perth Jeju Dakar".split(
  " ",
);
const ITEMS = "lamp chair desk kettle bicycle radio mirror carpet printer heater camera ladder".split(" ");
const DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(" ");
const REASONS = ["a checkup", "a haircut", "an interview", "a piano lesson", "a dentist visit", "a meeting"];

const NOTES: readonly { keys: readonly string[]; texts: readonly string[] }[] = [
  {
    keys: ["name", "item", "price", "city"],
    texts: [
      "{name} from {city} ordered a {item} for {price} dollars.",
      "Order: one {item}, {price} dollars, to be sent to {name} in {city}.",
      "In {city} a {item} was sold to {name}; the price was {price} dollars.",
      "Please send the {item} ({price} dollars) to {city}. It is for {name}.",
      "{price} dollars were paid by {name} for a {item}. Delivery to {city}.",
    ],
  },
  {
    keys: ["name", "day", "hour", "reason"],
    texts: [
      "{name} comes on {day} at {hour} o'clock for {reason}.",
      "On {day}, {hour} o'clock: {reason}, {name}.",
      "{reason} for {name} is set for {hour} o'clock on {day}.",
      "Reminder to {name}: {reason}, {day} at {hour} o'clock.",
    ],
  },
  {
    keys: ["name", "from", "to", "day"],
    texts: [
      "{name} travels from {from} to {to} on {day}.",
      "On {day} {name} leaves {from} for {to}.",
      "Ticket {from} to {to}, {day}, passenger {name}.",
      "To {to} on {day}: {name}, coming from {from}.",
    ],
  },
  {
    keys: ["name", "age", "city"],
    texts: [
      "{name} is {age} years old and lives in {city}.",
      "{name}, {age}, {city}.",
      "In {city} lives {name}, who is {age}.",
      "Age {age}, from {city}: that is {name}.",
    ],
  },
];

function draft(random: Random): Draft<Fields> {
  const { keys, texts } = random.pick(NOTES);
  const from = random.pick(CITIES);
  const all: Fields = {
    name: random.pick(NAMES),
    item: random.pick(ITEMS),
    price: random.int(5, 950),
    city: random.pick(CITIES),
    day: random.pick(DAYS),
    hour: random.int(7, 19),
    reason: random.pick(REASONS),
    from,
    to: random.pick(CITIES.filter((city) => city !== from)),
    age: random.int(18, 90),
  };
  const fields = Object.fromEntries(keys.map((key) => [key, all[key]!])) as Fields;
  const note = random.pick(texts).replace(/\{(\w+)\}/g, (_, key: string) => `${fields[key]}`);
  return {
    content: note,
    group: fields,
    prompt: ask(`${note}\nWrite ${keys.join(", ")} as JSON.`),
    reference: JSON.stringify(fields),
    data: fields,
    facts: { fields: keys.length },
  };
}

/** Parts: `answer` (all fields right, no others), `fields` (share that is right), `json` (it can be read as an object). */
export const extract = (): Task<Fields> => ({
  name: "extract",
  about: "fields of a short note as JSON",
  weights: { answer: 1, fields: 0, json: 0 },
  problem: (seed, split, index) => drawProblem("extract", draft, seed, split, index),
  score,
  answer: (_, reply) => canonical(objectIn(reply)),
  same: (a, b) => a === b,
  solve: ({ data, reference }, _, form) => ({
    thought:
      form === "long"
        ? Object.entries(data)
            .map(([key, value]) => `${key}: ${value}`)
            .join("\n")
        : "",
    answer: reference,
  }),
});

function score({ data }: Problem<Fields>, reply: Reply): Score {
  const found = objectIn(reply);
  const keys = Object.keys(data);
  const right = found ? keys.filter((key) => Object.hasOwn(found, key) && found[key] === data[key]).length : 0;
  const all = right === keys.length && Object.keys(found ?? {}).length === keys.length;
  return { parts: { answer: all ? 1 : 0, fields: right / keys.length, json: found ? 1 : 0 } };
}

const REPLY_CHARS = 10_000;

/** The JSON object that an answer is, by choice within a fence of backticks. */
function objectIn(reply: Reply): Record<string, unknown> | undefined {
  const { answer } = partReply(reply);
  if (answer.length > REPLY_CHARS) return undefined;
  try {
    const value = parseJson(answer.trim().replace(/^```(?:json)?\n?|\n?```$/g, ""));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

const canonical = (object: Record<string, unknown> | undefined): string | undefined =>
  object && JSON.stringify(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
