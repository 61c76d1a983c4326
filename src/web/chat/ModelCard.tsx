/** The model's name in the top bar, and the dialog that says what it is. */
import { parametersInWords } from "../../format.ts";
import { useStore } from "../store.ts";
import { flatten } from "../ui/flatten.ts";
import { short } from "../ui/format.ts";
import { Dialog } from "../ui/parts.tsx";
import { words } from "../words/index.ts";
import { connection } from "./connection.ts";

/** The model's name in the top bar, with a dot that tells whether its server answers. */
export function ModelName({ onOpen }: { onOpen: () => void }) {
  const link = useStore(connection);
  const state = words.model[link.state];
  const name = {
    connecting: "…",
    down: words.model.offline,
    none: words.model.noModel,
    locked: words.model.lockedShort,
  };
  return (
    <button type="button" class={`model-name ${link.state}`} onClick={onOpen} title={words.model.about(state)}>
      <i aria-hidden="true" />
      <span class="off-screen">{words.model.name(state)}</span>
      <span class="model-id">{link.state === "up" ? link.model.id : name[link.state]}</span>
    </button>
  );
}

const COUNT = /(parameters?|active|total|tokens|vocab|context|flops|bytes)/i;

function readable(key: string, value: string): string {
  if (value === "true" || value === "false") return value === "true" ? words.model.yes : words.model.not;
  const number = Number(value);
  return COUNT.test(key) && value !== "" && Number.isFinite(number) && Math.abs(number) >= 10_000
    ? `${short(number)} (${number.toLocaleString("en-US")})`
    : value;
}

function label(key: string): string {
  return key
    .replace(/([a-z0-9])([A-Z])/g, "$1 $2")
    .replace(/[_.]/g, " ")
    .toLowerCase();
}

/** What the model's size is, in the words of the command line. */
function Size({ parameters }: { parameters: unknown }) {
  const { total, active, mtp } = (parameters ?? {}) as Record<string, unknown>;
  if (typeof total !== "number" || typeof active !== "number") return null;
  return (
    <>
      <dt>{words.model.size}</dt>
      <dd>{parametersInWords({ total, active, mtp: typeof mtp === "number" ? mtp : 0 })}</dd>
    </>
  );
}

/** Everything that /v1/models and /api/model tell about the model. */
export function ModelDialog({ onClose }: { onClose: () => void }) {
  const link = useStore(connection);
  return (
    <Dialog title={link.state === "up" ? link.model.id : words.model.no} onClose={onClose} class="model-card">
      {link.state === "up" ? (
        <>
          <dl>
            {link.model.created && (
              <>
                <dt>{words.model.made}</dt>
                <dd>{new Date(link.model.created * 1_000).toLocaleDateString(words.code)}</dd>
              </>
            )}
            <Size parameters={link.model.details.parameters} />
            {flatten(link.model.details)
              .filter(
                ([key]) =>
                  key !== "id" &&
                  key !== "object" &&
                  key !== "createdSeconds" &&
                  !/^(?:examples|parameters)\b/.test(key),
              )
              .map(([key, value]) => (
                <>
                  <dt>{label(key)}</dt>
                  <dd>{readable(key, value)}</dd>
                </>
              ))}
          </dl>
          <p class="faint">{words.model.api(<code>{location.origin}/v1</code>)}</p>
        </>
      ) : (
        <p>{link.state === "connecting" ? words.model.looking : link.message}</p>
      )}
    </Dialog>
  );
}
