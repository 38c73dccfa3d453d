// What a model may write. TypeScript takes it with the declarations of a cell's globals, and a cell runs it.
const { n, word } = await tools.files.echo({ n: 41, word: "x" });
text(n + 1);
text(word.toUpperCase());

const flat: unknown = await tools.echo("plain");
text(flat);

image("data:image/png;base64,AA==", "low");
image({ type: "image", data: "AA==", mimeType: "image/png" });
audio({ type: "audio", data: "AA==", mimeType: "audio/wav" });
content([{ type: "text", text: "a block" }]);
generatedImage({ image_url: "data:image/png;base64,AA==", output_hint: "a hint" });

store("k", { a: [1] });
text(load("k").a.length);
text(load("none") === undefined);

for await (const result of as_settled([tools.files.echo({ n: 1, word: "a" }), 2])) {
  if (result.status === "rejected") text(result.reason);
  else if (typeof result.value === "number") text(result.value);
  else text(result.value.word);
}
await stream_settled([Promise.reject(new Error("no"))], ({ index, status }) => text(index + status));

const timer: number = setTimeout(() => text("never"), 1e6);
clearTimeout(timer);
await new Promise<void>((resolve) => setTimeout(resolve));

text(ALL_TOOLS.map((tool) => tool.name).join());
const [found] = search_tools("files echo", { limit: 1 });
text(found!.signature);
text(describe_tool(found!.name) === describe_tool(tools.files.echo));

try {
  await tools.files.fail();
} catch (error) {
  const { name, tool, message } = error as ToolError;
  text([name, tool, message].join(": "));
}
notify("soon");
yield_control();
exit();
