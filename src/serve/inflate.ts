/** Bodies that come compressed: gzip, deflate and brotli by Node's zlib, in its threads, a piece at a time. */
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { ApiError } from "../errors.ts";
import type { Inflate } from "./body.ts";

const MAKERS = { gzip: createGunzip, "x-gzip": createGunzip, deflate: createInflate, br: createBrotliDecompress };

const broken = (coding: string, why: string): ApiError =>
  new ApiError(
    400,
    `content-encoding: expected a body in ${coding}, as the header says, got one that is broken: ${why}`,
    "invalid_request_error",
    "invalid_encoding",
  );

/** For `AppOptions.inflate`. */
export const inflate: Inflate = Object.assign(
  (coding: string, take: (piece: Uint8Array) => void, fail: (error: unknown) => void) => {
    if (!Object.hasOwn(MAKERS, coding)) return undefined;
    const stream = MAKERS[coding as keyof typeof MAKERS]();
    const stop = (error: unknown): void => {
      stream.destroy();
      fail(error);
    };
    stream.on("data", (piece: Buffer) => {
      try {
        if (!stream.destroyed) take(piece);
      } catch (error) {
        stop(error);
      }
    });
    stream.on("error", (error) => stop(broken(coding, error.message)));
    return {
      push: (piece: Uint8Array) => void (stream.destroyed || stream.write(piece)),
      end: () =>
        new Promise<void>((resolve) => {
          stream.once("end", resolve);
          stream.end();
        }),
      drop: () => void stream.destroy(),
    };
  },
  { codings: Object.keys(MAKERS).filter((coding) => !coding.startsWith("x-")) },
);
