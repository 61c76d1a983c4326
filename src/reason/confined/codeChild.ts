/** The process in which JavaScript that a model wrote is run: by QuickJS in WebAssembly, which has no files, network or clock to give. */
import { newQuickJSWASMModuleFromVariant, type QuickJSContext, type QuickJSWASMModule } from "quickjs-emscripten-core";
import { serveConfined } from "./child.ts";

export interface CodeJob {
  source: string;
  /** Name of the function that is called. */
  entry: string;
  /** Arguments of each call, as a JSON list. */
  calls: string[];
  /** For each call, and for the source itself. */
  millis: number;
  memoryMiB: number;
}

/** What a call returned, as JSON, or what went wrong. */
export type CodeResult = { json: string } | { error: string };

const STACK_BYTES = 512 * 1024;
const RESULT_CHARS = 100_000;

const machine = (): Promise<QuickJSWASMModule> =>
  newQuickJSWASMModuleFromVariant(import("@jitl/quickjs-wasmfile-release-sync"));

serveConfined(async () => {
  let module = await machine();
  return {
    about: undefined,
    async work(job: CodeJob): Promise<CodeResult[]> {
      try {
        return run(module, job);
      } catch {
        // out of memory in the wrong place leaves the machine itself broken
        module = await machine();
        return job.calls.map(() => ({ error: "out of memory" }));
      }
    },
  };
});

function run(module: QuickJSWASMModule, { source, entry, calls, millis, memoryMiB }: CodeJob): CodeResult[] {
  const runtime = module.newRuntime();
  runtime.setMemoryLimit(memoryMiB * 2 ** 20);
  runtime.setMaxStackSize(STACK_BYTES);
  let deadline = 0;
  runtime.setInterruptHandler(() => performance.now() > deadline);
  const context = runtime.newContext();
  const evaluate = (code: string): CodeResult => {
    deadline = performance.now() + millis;
    return evaluated(context, code);
  };
  const loaded = evaluate(`${source}\n;""`);
  const results = calls.map((args) =>
    "error" in loaded ? loaded : evaluate(`JSON.stringify(${entry}(...JSON.parse(${JSON.stringify(args)}))) ?? "null"`),
  );
  context.dispose();
  runtime.dispose();
  return results;
}

function evaluated(context: QuickJSContext, code: string): CodeResult {
  const result = context.evalCode(code);
  if (result.error) {
    const error: unknown = context.dump(result.error);
    result.error.dispose();
    const { name, message } = (typeof error === "object" && error !== null ? error : {}) as {
      name?: unknown;
      message?: unknown;
    };
    return { error: `${String(name ?? "Error")}: ${String(message ?? error)}`.slice(0, 300) };
  }
  const text = context.typeof(result.value) === "string" ? context.getString(result.value) : undefined;
  result.value.dispose();
  return text === undefined || text.length > RESULT_CHARS ? { error: "no result that is JSON" } : { json: text };
}
