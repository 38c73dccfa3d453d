/** Shows a string as it is, anything else as JSON. */
declare function text(value: unknown): void;
/** Shows an image: a data: URL, or an MCP block. */
declare function image(image: string | { image_url: string; detail?: ImageDetail } | McpMedia, detail?: ImageDetail): void;
declare function audio(audio: string | { audio_url: string } | McpMedia): void;
/** Shows MCP content blocks, such as those in a tool's result. */
declare function content(blocks: object | readonly object[]): void;
/** Keeps a JSON value for later cells. */
declare function store(key: string, value: unknown): void;
/** What was stored last under the key, or undefined. */
declare function load(key: string): any;
/** Tells the user something at once, apart from the output. */
declare function notify(value: unknown): void;
/** Answers with the output so far; the cell goes on. */
declare function yield_control(): void;
/** Ends the cell here, as a success. */
declare function exit(): never;
declare const ALL_TOOLS: { name: string; description: string }[];
/** The tools that fit some words best, best first; each can be called as its signature shows, or as tools[name]. */
declare function search_tools(query: string, options?: { limit?: number }): { name: string; signature: string; description: string }[];
/** The TypeScript declaration of a tool. */
declare function describe_tool(tool: string | Function): string;
/** What a tool call that fails throws. */
interface ToolError extends Error { name: "ToolError"; tool: string; kind?: "timeout" | "transport" | "protocol" | "tool" | "cancelled" | "denied" }
type ImageDetail = "auto" | "low" | "high" | "original";
type McpMedia = { type: string; data: string; mimeType?: string };

/** Results as they come in: for await (const { index, status, value, reason } of as_settled(promises)) */
declare function as_settled<T>(promises: Iterable<T>): AsyncGenerator<Settled<T>, void, void>;
declare function stream_settled<T>(promises: Iterable<T>, callback: (result: Settled<T>) => unknown): Promise<void>;
type Settled<T> = { index: number; status: "fulfilled"; value: Awaited<T>; reason?: undefined } | { index: number; status: "rejected"; reason: any; value?: undefined };
declare function setTimeout(callback: () => void, ms?: number): number;
declare function clearTimeout(id?: number): void;
/** Shows an image that a tool generated, with its hint. */
declare function generatedImage(result: { image_url: string; detail?: ImageDetail; output_hint?: string } | McpMedia): void;
