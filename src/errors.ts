/** Sumbi's errors: one base class, one kind for each sort of fault. */

/** Base of every error Sumbi raises on purpose. The message says where, what was expected and what came. */
export class SumbiError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Shapes or dtypes that do not fit: `mla: expected x_BTD with D=7168, got [2, 128, 4096]`. */
export class ShapeError extends SumbiError {}

/** A config.json, recipe or option that cannot be used. */
export class ConfigError extends SumbiError {}

/** All that is wrong with one config.json or the like, fault by fault: `field: expected …, got …`. */
export class FaultsError extends ConfigError {
  constructor(
    where: string,
    readonly faults: readonly string[],
  ) {
    super(
      faults.length === 1 ? `${where}: ${faults[0]}` : `${where}: ${faults.length} faults\n  ${faults.join("\n  ")}`,
    );
  }
}

/** A checkpoint folder or weight file that is broken, hostile or incomplete; names the file and the tensor. */
export class CheckpointError extends SumbiError {}

/** There is no run of that id. */
export class NoSuchRunError extends CheckpointError {}

/** The disk refused a write: full, read-only, closed to us. What stood there before stands there still. */
export class DiskError extends CheckpointError {}

/** Text or token data that cannot be read; names the file and the line. */
export class DataError extends SumbiError {}

/** A command line that cannot be understood: the CLI prints it and exits with 2. */
export class UsageError extends SumbiError {}

/** Whoever started it has ended it (Ctrl-C): the CLI exits with 130. */
export class StopError extends SumbiError {}

/** The runtime cannot compile or run a graph. */
export class RuntimeError extends SumbiError {}

/** A request the OpenAI API refuses: HTTP status plus OpenAI's error type and code. */
export class ApiError extends SumbiError {
  constructor(
    readonly status: number,
    message: string,
    readonly type: string = "invalid_request_error",
    readonly code: string | null = null,
    readonly param: string | null = null,
    /** When it is worth trying again (the Retry-After header). */
    readonly retryAfterSeconds?: number,
  ) {
    super(message);
  }
}

/** 400: a parameter of a request has a value that it cannot have. */
export const invalidValue = (message: string, param: string): ApiError =>
  new ApiError(400, message, "invalid_request_error", "invalid_value", param);
