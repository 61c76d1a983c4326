/** The page's side of the planner's worker: requests out, answers in, superseded ones ended. */
import { createStore, type Store } from "../store.ts";
import type { Reply, Request } from "./messages.ts";
import workerUrl from "./worker.ts?worker&url";

type Body = Request extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;

/** Trusted Types want to know who may name a script to run: this page's own worker, nothing else. */
const policy = (
  globalThis as {
    trustedTypes?: { createPolicy(name: string, rules: object): { createScriptURL(url: string): unknown } };
  }
).trustedTypes?.createPolicy("sumbi-worker", {
  createScriptURL: (url: string) => {
    if (url !== workerUrl) throw new TypeError(`not this page's worker: ${url}`);
    return url;
  },
});

/**
 * The planner on its own thread. The latest request wins: one that is still being answered is dropped together with its
 * thread, since a search cannot be asked to stop.
 */
export class Planner {
  readonly busy: Store<boolean> = createStore(false);
  #worker: Worker | null = null;
  #id = 0;

  constructor(private readonly onReply: (reply: Reply) => void) {}

  ask(request: Body): void {
    if (this.busy.get()) this.stop();
    this.#worker ??= this.#start();
    this.busy.set(true);
    this.#worker.postMessage({ ...request, id: ++this.#id });
  }

  stop(): void {
    this.#worker?.terminate();
    this.#worker = null;
    this.busy.set(false);
  }

  #start(): Worker {
    const worker = new Worker((policy ? policy.createScriptURL(workerUrl) : workerUrl) as string, { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<Reply>) => {
      if (data.id !== this.#id) return;
      if (data.kind === "done") this.busy.set(false);
      else this.onReply(data);
    };
    worker.onerror = (event) => {
      const id = this.#id;
      this.stop();
      this.onReply({
        id,
        kind: "faults",
        faults: [
          { field: "", message: `The planner could not be run: ${event.message || "its file could not be loaded"}.` },
        ],
      });
    };
    return worker;
  }
}
