/** The planner's controls: model, chips, layout, prices. */
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { parseJson } from "../../json.ts";
import { Dialog } from "../ui/parts.tsx";
import { BLANK, type Fault, type Field, type Form } from "./form.ts";
import type { Catalogue } from "./messages.ts";

/** Countries asked about most stand first. */
const FIRST = ["CN", "HK", "MO", "RU", "AE", "SA", "SG", "US"];
const NO_COUNTRIES: Catalogue["countries"] = [];

/** Options of every country, those asked about most before the others. */
function placesOf(countries: Catalogue["countries"]): [string, string][] {
  const first = FIRST.flatMap((code) => countries.filter((country) => country.code === code));
  return [...first, ...countries.filter(({ code }) => !FIRST.includes(code))].map(({ code, name }) => [code, name]);
}

interface Props {
  form: Form;
  faults: readonly Fault[];
  catalogue: Catalogue | null;
  onChange: (change: Partial<Form>) => void;
}

/** Every control of a question. A fault stands under the control that it is about. */
export function Controls({ form, faults, catalogue, onChange }: Props) {
  const [pasting, setPasting] = useState<"config" | "mychip" | null>(null);
  const shared = { form, faults, onChange };
  const models = catalogue?.models ?? [];
  const chips = catalogue?.chips ?? [];
  const places = placesOf(catalogue?.countries ?? NO_COUNTRIES);
  const layoutFixed = (["dp", "tp", "cp", "pp", "vp", "ep", "zero", "microBatch", "recompute"] as const).some(
    (f) => form[f] !== "",
  );
  return (
    <form class="ask" aria-label="The question" onSubmit={(event) => event.preventDefault()}>
      <fieldset>
        <legend>What</legend>
        <Row name="Model" field="model" {...shared} alsoFaults={["config"]}>
          {(id) => (
            <div class="with-button">
              <select
                id={id}
                value={form.config ? "" : form.model}
                onChange={(event) => {
                  const model = models.find((m) => m.id === event.currentTarget.value);
                  onChange({
                    config: "",
                    model: event.currentTarget.value,
                    ...(model?.tokens ? { tokens: compact(model.tokens) } : {}),
                    sequence: "",
                    batch: "",
                  });
                }}
              >
                {form.config && <option value="">{configName(form.config)}</option>}
                {!form.config && !models.some((m) => m.id === form.model) && (
                  <option value={form.model}>{form.model}</option>
                )}
                {models.map((m) => (
                  <option key={m.id} value={m.id}>
                    {m.name}
                  </option>
                ))}
              </select>
              <button
                type="button"
                class="quiet small"
                onClick={() => setPasting("config")}
                title="Any Hugging Face config.json: paste it, or drop the file anywhere on this page"
              >
                config.json
              </button>
            </div>
          )}
        </Row>
        <Text name="Tokens" field="tokens" {...shared} />
        <Row name="Chip" field="chip" {...shared} alsoFaults={["mychip"]}>
          {(id) => (
            <div class="with-button">
              <select
                id={id}
                value={form.mychip ? "" : form.chip}
                onChange={(event) => onChange({ mychip: "", chip: event.currentTarget.value })}
              >
                {form.mychip && <option value="">{chipName(form.mychip)}</option>}
                {!form.mychip && !chips.some((c) => c.id === form.chip) && (
                  <option value={form.chip}>{form.chip}</option>
                )}
                {[...new Set(chips.map((c) => c.vendor))].map((vendor) => (
                  <optgroup key={vendor} label={vendor}>
                    {chips
                      .filter((c) => c.vendor === vendor)
                      .map((c) => (
                        <option key={c.id} value={c.id}>
                          {c.name}
                        </option>
                      ))}
                  </optgroup>
                ))}
              </select>
              <button
                type="button"
                class="quiet small"
                onClick={() => setPasting("mychip")}
                title="A chip of your own, as JSON"
              >
                own chip
              </button>
            </div>
          )}
        </Row>
        <Row name="Given" field="goal" {...shared} alsoFaults={[]}>
          {(id) => (
            <select id={id} value={form.goal} onChange={(event) => onChange({ goal: event.currentTarget.value })}>
              <option value="gpus">a number of GPUs</option>
              <option value="budget">a budget</option>
              <option value="days">a number of days</option>
            </select>
          )}
        </Row>
        {form.goal === "gpus" && <Text name="GPUs" field="gpus" {...shared} />}
        {form.goal === "budget" && (
          <Text name="Budget" field="budget" {...shared} help="US dollars, for the final run" />
        )}
        {form.goal === "days" && <Text name="Days" field="days" {...shared} />}
      </fieldset>

      <Group
        title="Price"
        note={
          [form.own === "owned" && "owned", form.price && `${form.price} ${form.currency}`]
            .filter(Boolean)
            .join(", ") || undefined
        }
        open={has(faults, ["price", "currency", "own"])}
      >
        <div class="pair">
          <Text
            name={form.own === "owned" ? "Per chip, bought" : "Per GPU-hour"}
            field="price"
            {...shared}
            placeholder="by the table"
          />
          <Choice
            name="Currency"
            field="currency"
            {...shared}
            options={(catalogue?.currencies ?? [{ id: "USD" }]).map((c) => [c.id, c.id])}
          />
        </div>
        <Choice
          name="The chips are"
          field="own"
          {...shared}
          options={[
            ["rented", "rented"],
            ["owned", "owned: bought, powered, staffed"],
          ]}
        />
      </Group>

      <Group title="Run" open={has(faults, ["precision", "schedule", "sequence", "batch", "recompute"])}>
        <div class="pair">
          <Choice
            name="Precision"
            field="precision"
            {...shared}
            options={[
              ["", "by the chip"],
              ["bf16", "BF16"],
              ["fp8", "FP8"],
            ]}
          />
          <Choice
            name="Schedule"
            field="schedule"
            {...shared}
            options={[
              ["", "as published"],
              ["any", "the fastest"],
              ["1f1b", "1F1B"],
              ["interleaved", "interleaved 1F1B"],
              ["zero-bubble", "zero bubble"],
              ["dualpipe", "DualPipe"],
              ["dualpipev", "DualPipeV"],
            ]}
          />
        </div>
        <div class="pair">
          <Text
            name="Sequence"
            field="sequence"
            {...shared}
            placeholder="as published"
            help="Tokens of a training sequence"
          />
          <Text
            name="Batch"
            field="batch"
            {...shared}
            placeholder="as published"
            help="Sequences of a step, over all GPUs"
          />
        </div>
        <Choice
          name="Recomputation"
          field="recompute"
          {...shared}
          options={[
            ["", "whatever is fastest and fits"],
            ["none", "none"],
            ["selective", "selective"],
            ["full", "full"],
          ]}
        />
      </Group>

      <Group
        title="Layout"
        note={layoutFixed ? "partly fixed" : "searched"}
        open={has(faults, ["dp", "tp", "cp", "pp", "vp", "ep", "zero", "microBatch"])}
      >
        <p class="faint small">What is left empty is searched.</p>
        <div class="triple">
          <Text name="TP" field="tp" {...shared} placeholder="any" help="Tensor parallel: a layer over several GPUs" />
          <Text name="PP" field="pp" {...shared} placeholder="any" help="Pipeline stages" />
          <Text name="EP" field="ep" {...shared} placeholder="any" help="Expert parallel" />
          <Text name="DP" field="dp" {...shared} placeholder="any" help="Data parallel copies" />
          <Text
            name="CP"
            field="cp"
            {...shared}
            placeholder="any"
            help="Context parallel: a sequence over several GPUs"
          />
          <Text
            name="Chunks"
            field="vp"
            {...shared}
            placeholder="any"
            help="Model chunks of a pipeline rank (interleaving)"
          />
          <Choice
            name="ZeRO"
            field="zero"
            {...shared}
            options={[
              ["", "any"],
              ["0", "0"],
              ["1", "1"],
              ["2", "2"],
              ["3", "3"],
            ]}
          />
          <Text name="Micro-batch" field="microBatch" {...shared} placeholder="any" help="Sequences of a micro-batch" />
        </div>
        {layoutFixed && (
          <button
            type="button"
            class="link small"
            onClick={() =>
              onChange({ dp: "", tp: "", cp: "", pp: "", vp: "", ep: "", zero: "", microBatch: "", recompute: "" })
            }
          >
            Search all of it
          </button>
        )}
      </Group>

      <Group title="Machine" open={has(faults, ["network", "imbalance", "goodput"])}>
        <Text
          name="Network, GB/s per GPU"
          field="network"
          {...shared}
          placeholder="by the chip"
          help="Between nodes, in one direction"
        />
        <div class="pair">
          <Text
            name="Imbalance"
            field="imbalance"
            {...shared}
            placeholder="usual"
            help="The busiest expert rank's load over the mean; 1 is perfect balance"
          />
          <Text
            name="Goodput, %"
            field="goodput"
            {...shared}
            placeholder="by failures"
            help="Share of the time that counts, after failures, checkpoints and restarts"
          />
        </div>
      </Group>

      <Group
        title="Law"
        note={
          form.on || form.to
            ? [form.on, form.to, form.to && form.seat && `firm of ${form.seat}`].filter(Boolean).join(", ")
            : undefined
        }
        open={has(faults, ["on", "to", "seat"])}
      >
        <div class="pair">
          <Row name="Legal on" field="on" {...shared}>
            {(id) => (
              <input
                id={id}
                type="date"
                min="2020-01-01"
                value={form.on}
                onChange={(event) => onChange({ on: event.currentTarget.value })}
              />
            )}
          </Row>
          <Choice name="Destination" field="to" {...shared} options={[["", "anywhere"], ...places]} />
        </div>
        <Choice
          name="The firm's seat"
          field="seat"
          {...shared}
          help="Of its ultimate parent"
          options={[["", "where the chips go"], ...places]}
        />
        <p class="faint small">
          {form.on && !form.to
            ? "A day alone decides nothing: choose a destination, and the rules of that day are asked."
            : form.seat && !form.to
              ? "A seat alone decides nothing: choose where the chips go."
              : "With a destination set, the rules of the day (today, if none is given) are asked, and chips that could not be had lawfully are marked in the plot."}
        </p>
      </Group>

      {pasting && (
        <Paste
          what={pasting}
          value={form[pasting]}
          onClose={() => setPasting(null)}
          onDone={(text) => {
            onChange(pasting === "config" ? { config: text, sequence: "", batch: "" } : { mychip: text });
            setPasting(null);
          }}
        />
      )}
    </form>
  );
}

interface FieldProps {
  name: string;
  field: Field;
  form: Form;
  faults: readonly Fault[];
  onChange: (change: Partial<Form>) => void;
  help?: string;
}

function Row({
  name,
  field,
  faults,
  help,
  alsoFaults = [],
  children,
}: FieldProps & { alsoFaults?: Field[]; children: (id: string) => ComponentChildren }) {
  const id = useId();
  const wrong = faults.filter((fault) => fault.field === field || (alsoFaults as string[]).includes(fault.field));
  return (
    <div class={`field ${wrong.length > 0 ? "wrong" : ""}`} title={help} data-field={field}>
      <label for={id}>{name}</label>
      {children(id)}
      {wrong.map((fault) => (
        <p key={fault.message} class="fault" role="alert">
          {fault.message}
        </p>
      ))}
    </div>
  );
}

function Text(props: FieldProps & { placeholder?: string }) {
  const wrong = props.faults.some((fault) => fault.field === props.field);
  return (
    <Row {...props}>
      {(id) => (
        <input
          id={id}
          type="text"
          inputMode={["tokens", "budget"].includes(props.field) ? "text" : "decimal"}
          autocomplete="off"
          spellcheck={false}
          aria-invalid={wrong}
          placeholder={props.placeholder}
          value={props.form[props.field]}
          onInput={(event) => props.onChange({ [props.field]: event.currentTarget.value })}
        />
      )}
    </Row>
  );
}

function Choice(props: FieldProps & { options: [string, string][] }) {
  const value = props.form[props.field];
  return (
    <Row {...props}>
      {(id) => (
        <select
          id={id}
          value={value}
          onChange={(event) => props.onChange({ [props.field]: event.currentTarget.value })}
        >
          {!props.options.some(([v]) => v === value) && <option value={value}>{value}</option>}
          {props.options.map(([v, name]) => (
            <option key={v} value={v}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Row>
  );
}

/** Controls that most questions leave alone; opened by the reader, or by a fault within. */
function Group({
  title,
  note,
  open,
  children,
}: {
  title: string;
  note?: string;
  open: boolean;
  children: ComponentChildren;
}) {
  const [shown, setShown] = useState(false);
  return (
    <details class="group" open={shown || open} onToggle={(event) => setShown(event.currentTarget.open)}>
      <summary>
        {title} {note && <span class="faint">{note}</span>}
      </summary>
      <div>{children}</div>
    </details>
  );
}

const CHIP_EXAMPLE = `{
  "id": "mine",
  "name": "My chip",
  "bf16FlopsPerSec": 5e14,
  "eightBitOpsPerSec": 1e15,
  "fp8": true,
  "hbmBytes": 96e9,
  "hbmBytesPerSec": 3e12,
  "linkBytesPerSec": 600e9,
  "linkedChips": 8,
  "watts": 500
}`;

function Paste({
  what,
  value,
  onClose,
  onDone,
}: {
  what: "config" | "mychip";
  value: string;
  onClose: () => void;
  onDone: (text: string) => void;
}) {
  const [text, setText] = useState(
    value ? JSON.stringify(JSON.parse(value), null, 2) : what === "mychip" ? CHIP_EXAMPLE : "",
  );
  const [wrong, setWrong] = useState("");
  const finish = () => {
    try {
      onDone(slim(text));
    } catch (error) {
      setWrong(`This is not JSON: ${(error as Error).message}`);
    }
  };
  return (
    <Dialog title={what === "config" ? "A model's config.json" : "A chip of your own"} onClose={onClose} class="paste">
      <p class="faint">
        {what === "config"
          ? "Paste the config.json of a Hugging Face model, or drop the file anywhere on the page. It stays in this page's address, nothing is sent."
          : "Rates are per second and dense; the link counts both directions of all links together."}
      </p>
      <textarea
        rows={14}
        aria-label="JSON"
        spellcheck={false}
        value={text}
        onInput={(event) => setText(event.currentTarget.value)}
      />
      {wrong && (
        <p class="fault" role="alert">
          {wrong}
        </p>
      )}
      <div class="row end">
        <button type="button" class="quiet" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="primary" onClick={finish} disabled={text.trim() === ""}>
          Use it
        </button>
      </div>
    </Dialog>
  );
}

/** Fields of a config.json that say nothing about sizes, left out so that the page's address stays short. */
const IDLE =
  /^(architectures|auto_map|torch_dtype|dtype|transformers_version|quantization_config|use_cache|attention_dropout|pretraining_tp|aux_loss_alpha|seq_aux|ep_size|_name_or_path)$/;

/** JSON without what the planner does not read; throws SyntaxError. */
export function slim(text: string): string {
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return JSON.stringify(value);
  return JSON.stringify(Object.fromEntries(Object.entries(value).filter(([key]) => !IDLE.test(key))));
}

function nameIn(json: string, keys: string[], otherwise: string): string {
  try {
    const value = JSON.parse(json) as Record<string, unknown>;
    return String(keys.map((key) => value?.[key]).find((v) => typeof v === "string") ?? otherwise);
  } catch {
    return otherwise;
  }
}
const configName = (json: string) => `pasted: ${nameIn(json, ["model_type"], "config.json")}`;
const chipName = (json: string) => `own: ${nameIn(json, ["name", "id"], "chip")}`;
const has = (faults: readonly Fault[], fields: Field[]) =>
  faults.some((fault) => (fields as string[]).includes(fault.field));

/** 14.8e12 -> "14.8T", as one types it. */
export function compact(value: number): string {
  for (const [limit, unit] of [
    [1e12, "T"],
    [1e9, "B"],
    [1e6, "M"],
    [1e3, "K"],
  ] as const)
    if (value >= limit) return `${Number((value / limit).toPrecision(6))}${unit}`;
  return String(value);
}

export { BLANK };
