/** Who answers: the model behind the server, asked for at the start, after failures, and every so often while it is away. */
import { Fault, fetchModel, type ModelCard } from "../net/api.ts";
import { createStore } from "../store.ts";

export type Connection =
  | { state: "connecting" }
  | { state: "up"; model: ModelCard }
  | { state: "down" | "none" | "locked"; message: string };
export const connection = createStore<Connection>({ state: "connecting" });

/** Asks who serves. */
export async function connect(): Promise<void> {
  try {
    connection.set({ state: "up", model: await fetchModel() });
  } catch (error) {
    const kind = error instanceof Fault ? error.kind : "server";
    const state = kind === "no-model" ? "none" : kind === "key" ? "locked" : "down";
    connection.set({ state, message: error instanceof Error ? error.message : String(error) });
  }
}

/** What a model does with thoughts: whether it has any, and whether it can be told to think or not. */
export function thoughtsOf(model: ModelCard | undefined): { thinks: boolean; switched: boolean } {
  const thinks = model?.details.reasons === true;
  return { thinks, switched: thinks && model?.details.thinkingSwitch === true };
}

/** The model that answers; undefined while it is not known. */
export function servedModel(): ModelCard | undefined {
  const link = connection.get();
  return link.state === "up" ? link.model : undefined;
}
