// A model behind OpenAI's API, with the chat page: node serve.mjs [MODEL]; PORT is the port. Ctrl-C ends it.
import { createApp, listen, loadModel } from "sumbi";
import { pageRoutes } from "sumbi/serve";

const model = await loadModel(process.argv[2] ?? "nano");
const app = createApp({ model, pages: pageRoutes() });
// A route of your own: the app is Hono's, and answers `app.fetch(request)` without a server too.
app.get("/hello", (c) => c.text(`This is ${model.info.id}.\n`));

const server = await listen(app, { host: "127.0.0.1", port: Number(process.env.PORT ?? 8080) });
console.log(`${server.url}  (API: ${server.url}/v1)`);

process.once("SIGINT", async () => {
  await server.close();
  await model.engine.close();
});
