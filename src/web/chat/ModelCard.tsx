/** The model's name in the top bar, and the dialog that says what it is. */
import { parametersInWords } from "../../format.ts";
import { useStore } from "../store.ts";
import { flatten } from "../ui/flatten.ts";
import { short } from "../ui/format.ts";
import { Dialog } from "../ui/parts.tsx";
import { connection } from "./state.ts";

/** The model's name in the top bar, with a dot that tells whether its server answers. */
export function ModelName({ onOpen }: { onOpen: () => void }) {
  const link = useStore(connection);
  const state =
    link.state === "up"
      ? "The server answers"
      : link.state === "down"
        ? "The server does not answer"
        : link.state === "none"
          ? "The server has no model"
          : link.state === "locked"
            ? "The server asks for a key"
            : "Looking for the server";
  return (
    <button type="button" class={`model-name ${link.state}`} onClick={onOpen} title={`${state}. About the model`}>
      <i aria-hidden="true" />
      <span class="off-screen">{state}. Model: </span>
      <span class="model-id">
        {link.state === "up"
          ? link.model.id
          : link.state === "down"
            ? "offline"
            : link.state === "none"
              ? "no model"
              : link.state === "locked"
                ? "locked"
                : "…"}
      </span>
    </button>
  );
}

const COUNT = /(parameters?|active|total|tokens|vocab|context|flops|bytes)/i;

function readable(key: string, value: string): string {
  if (value === "true" || value === "false") return value === "true" ? "yes" : "no";
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
      <dt>size</dt>
      <dd>{parametersInWords({ total, active, mtp: typeof mtp === "number" ? mtp : 0 })}</dd>
    </>
  );
}

/** Everything that /v1/models and /api/model tell about the model. */
export function ModelDialog({ onClose }: { onClose: () => void }) {
  const link = useStore(connection);
  return (
    <Dialog title={link.state === "up" ? link.model.id : "No model"} onClose={onClose} class="model-card">
      {link.state === "up" ? (
        <>
          <dl>
            {link.model.created && (
              <>
                <dt>made</dt>
                <dd>{new Date(link.model.created * 1_000).toLocaleDateString()}</dd>
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
          <p class="faint">
            The same model answers OpenAI's API at <code>{location.origin}/v1</code>.
          </p>
        </>
      ) : (
        <p>{link.state === "connecting" ? "Looking for the server…" : link.message}</p>
      )}
    </Dialog>
  );
}
