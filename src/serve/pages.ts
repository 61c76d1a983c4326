/** The built pages, sent with the headers that keep them safe. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import { secureHeaders } from "hono/secure-headers";

/** The package's own built pages, from `src/serve` as from `dist/serve`. */
export const PAGES = fileURLToPath(new URL("../../dist/web/", import.meta.url));

/** Nothing from elsewhere, no inline script, no frames, no forms; inline style attributes only because KaTeX writes them. */
const CONTENT_SECURITY_POLICY = {
  defaultSrc: ["'none'"],
  scriptSrc: ["'self'"],
  styleSrc: ["'self'"],
  styleSrcAttr: ["'unsafe-inline'"],
  fontSrc: ["'self'"],
  imgSrc: ["'self'", "data:"],
  connectSrc: ["'self'"],
  // the planner's own thread
  workerSrc: ["'self'"],
  manifestSrc: ["'self'"],
  baseUri: ["'none'"],
  formAction: ["'none'"],
  frameAncestors: ["'none'"],
};

/** The built pages of a folder, by default the package's own: `/`, chats (`/c/ID`), `/runs` and `/plan` are its index.html, the rest are its files. */
export function pageRoutes(dir = PAGES): Hono {
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: CONTENT_SECURITY_POLICY,
      referrerPolicy: "no-referrer",
      // an HTTPS promise makes no sense for a server on this machine, nor isolation of the pages from each other
      strictTransportSecurity: false,
    }),
  );
  const index = serveStatic({ path: join(dir, "index.html") });
  for (const path of ["/", "/c/*", "/runs", "/runs/*", "/plan", "/plan/*"])
    app.get(path, async (c, next) => {
      c.header("cache-control", "no-cache");
      return index(c, next);
    });
  const file = serveStatic({ root: dir });
  app.get("/assets/*", async (c, next) => {
    const found = await file(c, next);
    // built files carry a hash of their content in their name; the others may change with the next version
    const hashed = /-[\w-]{8}\.\w+$/.test(c.req.path);
    if (found instanceof Response)
      found.headers.set("cache-control", hashed ? "public, max-age=31536000, immutable" : "no-cache");
    return found;
  });
  return app;
}

/** Whether the pages were built. */
export const hasPages = (dir = PAGES): boolean => existsSync(join(dir, "index.html"));
