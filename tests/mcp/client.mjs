// The official TypeScript SDK as a client of `codemode mcp`: says in lines what it sees.
//
// node client.mjs MODULES PROGRAM ARGUMENT...   over stdio
// node client.mjs MODULES URL                   over Streamable HTTP

import { pathToFileURL } from "node:url";

const [modules, target, ...args] = process.argv.slice(2);
const sdk = (path) => import(pathToFileURL(`${modules}/@modelcontextprotocol/sdk/dist/esm/${path}`));
const { Client } = await sdk("client/index.js");
const { StdioClientTransport } = await sdk("client/stdio.js");
const { StreamableHTTPClientTransport } = await sdk("client/streamableHttp.js");
const types = await sdk("types.js");

const transport = target.startsWith("http://")
  ? new StreamableHTTPClientTransport(new URL(target))
  : new StdioClientTransport({ command: target, args, stderr: "inherit" });
const client = new Client(
  { name: "typescript-sdk", version: "1" },
  { capabilities: { elicitation: { form: {}, url: {} }, sampling: {}, roots: { listChanged: true } } },
);

// What a cell says next; servers have loggers of their own.
const cellSays = () => new Promise((resolve) => {
  client.setNotificationHandler(types.LoggingMessageNotificationSchema, ({ params }) => {
    if (params.logger.startsWith("cell ")) resolve(params);
  });
});
const logged = cellSays();
const questions = [];
client.setRequestHandler(types.ElicitRequestSchema, ({ params }) => {
  questions.push(params.message);
  if (params.message.includes("May it?") || params.mode === "url") return { action: "accept" };
  return params.requestedSchema.properties.name === undefined
    ? { action: "decline" }
    : { action: "accept", content: { name: "Ada", check: true } };
});
let root = "file:///one";
client.setRequestHandler(types.ListRootsRequestSchema, () => ({ roots: [{ uri: root, name: "root" }] }));
client.setRequestHandler(types.CreateMessageRequestSchema, () => ({
  model: "none",
  role: "assistant",
  content: { type: "text", text: "an answer of the client's model" },
}));

const say = (what, value) => console.log(`${what}: ${JSON.stringify(value)}`);
const call = (name, args, options) =>
  client.callTool({ name, arguments: args }, undefined, options);
const texts = (result) => result.content.map((block) => block.text ?? `(${block.type} ${block.mimeType})`);
const failing = async (promise) => promise.then(() => "no error", (error) => error.message);

await client.connect(transport);
const { tools } = await client.listTools();
say("tools", tools.map((tool) => tool.name));
say("declared", /everything: \{/.test(tools[0].description) && /echo\(/.test(tools[0].description));
say("text", texts(await call("exec", { code: "text(6 * 7); text({ a: [1] })" })));

const object = await call("exec", { code: "text({ a: [1] })" });
say("structured", object.structuredContent);

const image = "const r = await tools.everything.get_tiny_image(); for (const c of r.content ?? r) if (c.type == 'image') image(c)";
say("image", texts(await call("exec", { code: image })));

const failed = await call("exec", { code: "text('before'); null.x" });
say("failed", [failed.isError, texts(failed)[0], texts(failed)[1].split("\n")[0]]);
const refused = await call("exec", { code: 5 });
say("refused", [refused.isError, texts(refused)]);
say("unknown tool", await failing(call("run", {})));

say("stored", texts(await call("exec", { code: "store('k', [1, 2]); text('ok')" })));
say("loaded", texts(await call("exec", { code: "text(load('k'))" })));

const spoken = "notify('half way'); text('told')";
say("notified", texts(await call("exec", { code: spoken })));
say("log", await logged);

let reports = 0;
let reported;
const progress = new Promise((resolve) => (reported = resolve));
const watched = call("exec", {
  code: "await tools.everything.echo({ message: 'x' }); yield_control(); await new Promise(r => setTimeout(r, 1e9)).catch(() => {})",
  yield_time_ms: 600000,
});
const waiting = /wait\(\{"cell_id": "(\d+)"/.exec(texts(await watched).join(" "))[1];
const longer = call("wait", { cell_id: waiting, until: "completion" }, {
  onprogress: (report) => { reports += 1; reported(report); },
});
say("progress", (await progress).message);
const ended = await call("wait", { cell_id: waiting, terminate: true });
say("terminated", texts(ended).map((text) => text.replaceAll(waiting, "N")));
await longer;

const slow = await call("exec", {
  code: `// @exec: {"yield_time_ms": 1}\ntext('a'); await new Promise(r => setTimeout(r, 200)); yield_control(); text('b')`,
});
const id = slow._meta["codemode/cellId"];
say("running", slow._meta["codemode/status"]);
const rest = await call("wait", { cell_id: id, until: "completion" });
say("completed", [...texts(slow).slice(0, -1), ...texts(rest)]);
say("again", texts(await call("wait", { cell_id: id })).at(-1).replace(/[\d.]+/g, "N"));

const abort = new AbortController();
const endless = call("exec", { code: "notify('runs'); for (;;);", yield_time_ms: 600000 }, { signal: abort.signal });
await cellSays();
abort.abort("enough");
say("aborted", await failing(endless));
const cell = String(Number(id) + 1);
// The cancellation is on its way by itself.
let end;
do end = texts(await call("wait", { cell_id: cell })).at(-1);
while (!end.includes("terminated"));
say("its cell", "was terminated");

const elicit = await call("exec", {
  code: "text(await tools.everything.trigger_elicitation_request({}))",
  yield_time_ms: 60000,
});
say("elicited", [questions.at(-1), /Name: \w+/.exec(texts(elicit)[0])[0]]);
const link = "text(await tools.everything.trigger_url_elicitation({ url: 'https://example.org/', message: 'See', elicitationId: 'e' }))";
const linked = await call("exec", { code: link, yield_time_ms: 60000 });
say("sent to a page", [questions.at(-1), texts(linked)[0].includes("User completed the URL elicitation flow")]);
const sample = "text(JSON.stringify(await tools.everything.trigger_sampling_request({ prompt: 'hi', maxTokens: 5 })))";
say("sampled", texts(await call("exec", { code: sample })).join().includes("an answer of the client's model"));

const roots = async () => texts(await call("exec", { code: "text((await tools.everything.get_roots_list({})).content[0].text)" }))[0];
say("roots", /file:\S+/.exec(await roots())[0]);
root = "file:///two";
await client.sendRootsListChanged();
// The servers are told, and ask again.
while (!(await roots()).includes(root));
say("other roots", root);

const denied = questions.length;
const approved = await call("exec", { code: "text(await tools.asking.echo({ message: 'allowed' }))" });
say("approved", [questions.slice(denied), texts(approved)]);

await client.setLoggingLevel("error");
say("quiet", texts(await call("exec", { code: "notify('unheard'); text('ok')" })));
await client.close();
