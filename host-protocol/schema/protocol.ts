// The messages of the host protocol, V1. Made from the Rust types; do not edit.
//
// Integers of up to 64 bits are `number` here, as JSON.parse makes them: durations in nanoseconds stay exact
// for 104 days. An id that is above Number.MAX_SAFE_INTEGER is one that you have chosen yourself.

/**
 * What an operation or a delegate request came to.
 */
export type Answer<T> = { "status": "ok",
  /**
   * Its outcome.
   */
  value: T,
} | { "status": "error",
  /**
   * Why not, for a reader.
   */
  message: string,
};

/**
 * One thing of which only so much may be used.
 */
export type Budget = "heap" | "arrayBuffers" | "cpu" | "wall" | "outputBytes" | "outputItems" | "storedBytes" | "storedValues" | "toolCalls" | "openToolCalls" | "argumentBytes" | "resultBytes" | "timers" | "liveCells" | "sourceBytes" | "depth" | "unreadBytes" | "connections";

/**
 * An amount for some of the budgets: bytes, milliseconds or a number of things.
 */
export type Budgets = Partial<Record<Budget, number>>;

/**
 * The name of something beyond the plain protocol. Never blank.
 */
export type Capability = string;

/**
 * Capabilities, each once, in the order of their names, which is the order in which a host lists them.
 */
export type CapabilitySet = Array<Capability>;

/**
 * Limits on each cell of a session. What is absent or null is left to the host.
 */
export type CellExecutionLimits = {
  /**
   * The longest that an execute or a wait is left without an answer, in milliseconds, whatever it asks
   * for itself.
   */
  maxYieldTimeMs?: number,
  /**
   * The largest JavaScript heap, in bytes.
   */
  maxHeapSizeBytes?: number,
};

/**
 * Names one cell of one session. The host counts them from "1"; a client may ask for any string, and is
 * told which of them is no cell.
 */
export type CellId = string;

/**
 * What a client sends.
 */
export type ClientToHost = { "type": "connection/hello" } & Hello | { "type": "operation/request",
  /**
   * Ties the answer to this request; must not be in use.
   */
  id: RequestId,
  /**
   * The operation.
   */
  request: Operation,
} | { "type": "operation/cancel",
  /**
   * The request.
   */
  id: RequestId,
} | { "type": "operation/yield",
  /**
   * The request.
   */
  id: RequestId,
} | { "type": "delegate/response",
  /**
   * The id of the request that this answers.
   */
  id: DelegateId,
  /**
   * What it came to.
   */
  result: Answer<DelegateValue>,
};

/**
 * One item of a cell's output, in the shape in which models take it.
 */
export type ContentItem = { "type": "input_text",
  /**
   * The text itself.
   */
  text: string,
} | { "type": "input_image",
  /**
   * A `data:` or `https:` URL.
   */
  image_url: string,
  /**
   * How closely the model should look; the model's own choice when absent.
   */
  detail: ImageDetail | null,
} | { "type": "input_audio",
  /**
   * A `data:` URL.
   */
  audio_url: string,
};

/**
 * Ties a delegate request to its answer. Chosen by the host, unique within its connection.
 */
export type DelegateId = number;

/**
 * One request of a cell to the client that started it.
 */
export type DelegateRequest = { "type": "tool/invoke",
  /**
   * The call.
   */
  invocation: ToolInvocation,
} | { "type": "notification/send",
  /**
   * The `tool_call_id` of the request that started the cell.
   */
  callId: string,
  /**
   * The cell.
   */
  cellId: CellId,
  /**
   * What it said.
   */
  text: string,
};

/**
 * The outcome of a delegate request that was done.
 */
export type DelegateValue = { "type": "tool/result",
  /**
   * One JSON value of any shape.
   */
  result: unknown,
} | { "type": "notification/delivered" };

/**
 * A cell to run.
 */
export type ExecuteRequest = {
  /**
   * The model's own id of the call; the cell's notifications carry it.
   */
  tool_call_id: string,
  /**
   * The tools that the cell sees, in this order.
   */
  enabled_tools: Array<ToolDefinition>,
  /**
   * The cell's code.
   */
  source: string,
  /**
   * After how many milliseconds the cell yields, if it has not ended by then. 0 yields at once; null
   * means 10,000.
   */
  yield_time_ms: number | null,
  /**
   * How many tokens of output the first response keeps, where the host cuts it; null means 10,000.
   */
  max_output_tokens: OutputTokens | null,
};

/**
 * The versions and capabilities with which a client can work.
 */
export type Hello = {
  /**
   * The versions that the client speaks.
   */
  supportedVersions: SupportedVersions,
  /**
   * What the client cannot do without.
   */
  requiredCapabilities: CapabilitySet,
  /**
   * What the client uses where it can. None of them is required as well.
   */
  optionalCapabilities: CapabilitySet,
};

/**
 * What a host sends.
 */
export type HostToClient = { "type": "connection/ready",
  /**
   * The version that both speak.
   */
  selectedVersion: ProtocolVersion,
  /**
   * What both have.
   */
  capabilities: CapabilitySet,
} | { "type": "connection/rejected",
  /**
   * Why.
   */
  reason: Rejection,
} | { "type": "operation/response",
  /**
   * The id of the request that this answers.
   */
  id: RequestId,
  /**
   * What it came to.
   */
  result: Answer<OperationValue>,
} | { "type": "execute/initialResponse",
  /**
   * The id of the `session/execute` that started the cell.
   */
  id: RequestId,
  /**
   * What the cell has to show.
   */
  result: Answer<RuntimeResponse>,
} | { "type": "delegate/request",
  /**
   * Ties the answer to this request.
   */
  id: DelegateId,
  /**
   * The cell's session.
   */
  sessionId: SessionId,
  /**
   * The request.
   */
  request: DelegateRequest,
} | { "type": "delegate/cancel",
  /**
   * The id of the request.
   */
  id: DelegateId,
} | { "type": "cell/closed",
  /**
   * The cell's session.
   */
  sessionId: SessionId,
  /**
   * The cell.
   */
  cellId: CellId,
};

/**
 * How closely a model should look at an image.
 */
export type ImageDetail = "auto" | "low" | "high" | "original";

/**
 * A budget that was crossed.
 */
export type LimitExceeded = {
  /**
   * What was crossed, for programs. It belongs to the budget; that of a session which is over its budget is
   * `sessionBudgetExceeded`, whichever budget it is.
   */
  code: string,
  /**
   * Whose budget it is.
   */
  scope: Scope,
  /**
   * Which.
   */
  budget: Budget,
  /**
   * How much was allowed: bytes, milliseconds or a number of things.
   */
  limit: number,
  /**
   * How much there was, or would have been, when that was noticed.
   */
  used: number,
};

/**
 * One operation on one session.
 */
export type Operation = { "method": "session/open",
  /**
   * The new session.
   */
  sessionId: SessionId,
  /**
   * Limits on its cells. Needs the capability `session-cell-execution-resource-limits`.
   */
  cellExecutionLimits?: CellExecutionLimits,
  /**
   * Who cuts output to its budget of tokens; the client when absent. Needs the capability
   * `bounded-output-v1`.
   */
  outputTruncation?: OutputTruncation,
  /**
   * Limits on the session and its cells. Needs the capability `codemode.budgets`.
   */
  budgets?: SessionBudgets,
} | { "method": "session/execute",
  /**
   * The cell's session.
   */
  sessionId: SessionId,
  /**
   * What to run, and with which tools.
   */
  request: ExecuteRequest,
} | { "method": "session/wait",
  /**
   * The cell's session.
   */
  sessionId: SessionId,
  /**
   * The cell, and for how long.
   */
  request: WaitRequest,
  /**
   * How many tokens of output the answer keeps, where the host cuts it; 10,000 when absent. Needs the
   * capability `bounded-output-v1`.
   */
  maxOutputTokens?: number,
} | { "method": "session/terminate",
  /**
   * The cell's session.
   */
  sessionId: SessionId,
  /**
   * The cell.
   */
  cellId: CellId,
  /**
   * As in `session/wait`.
   */
  maxOutputTokens?: number,
} | { "method": "session/usage",
  /**
   * The session.
   */
  sessionId: SessionId,
} | { "method": "session/tools",
  /**
   * The session.
   */
  sessionId: SessionId,
} | { "method": "session/shutdown",
  /**
   * The session.
   */
  sessionId: SessionId,
};

/**
 * The outcome of an operation that was done.
 */
export type OperationValue = { "type": "session/ready",
  /**
   * The session.
   */
  sessionId: SessionId,
} | { "type": "execution/started",
  /**
   * The new cell.
   */
  cellId: CellId,
} | { "type": "wait/completed",
  /**
   * What became of the cell.
   */
  outcome: WaitOutcome,
} | { "type": "session/usage",
  /**
   * The session.
   */
  sessionId: SessionId,
  /**
   * What it has used of its budgets, and what it may use.
   */
  usage: SessionUsage,
} | { "type": "session/tools",
  /**
   * The session.
   */
  sessionId: SessionId,
  /**
   * The tools, which cells that start from now on have.
   */
  tools: Array<ToolDefinition>,
} | { "type": "session/closed",
  /**
   * The session.
   */
  sessionId: SessionId,
};

/**
 * A budget of output tokens, from 0 to 2,147,483,647: in an execute request, the wire keeps it in 32 bits
 * with a sign.
 */
export type OutputTokens = number;

/**
 * Who cuts a cell's output to its budget of tokens.
 */
export type OutputTruncation = "client" | "server";

/**
 * A version of the protocol, from 1.
 */
export type ProtocolVersion = number;

/**
 * Why a host refuses a connection, as it says on the wire.
 */
export type Rejection = { "type": "noCompatibleVersion",
  /**
   * Those that the host speaks.
   */
  supportedVersions: SupportedVersions,
} | { "type": "missingRequiredCapability",
  /**
   * The first that it lacks.
   */
  capability: Capability,
} | { "type": "invalidHello",
  /**
   * What was wrong with it.
   */
  message: string,
};

/**
 * Ties an operation to its answers. Chosen by the client; one that is in use must not be used again.
 */
export type RequestId = number;

/**
 * What a cell has to show since its last response.
 */
export type RuntimeResponse = { "Result": {
  /**
   * The cell.
   */
  cell_id: CellId,
  /**
   * What it showed since its last response.
   */
  content_items: Array<ContentItem>,
  /**
   * What it failed with; null when it completed.
   */
  error_text: string | null,
  /**
   * The budget that it or its session crossed, if that is why it ended. Comes with the capability
   * `codemode.budgets` only.
   */
  limit_exceeded?: LimitExceeded,
  /**
   * How long the result lay ready before it was asked for, in nanoseconds.
   */
  result_buffered_for_ns: number,
  /**
   * How long the host spent on the request that this answers, in nanoseconds.
   */
  code_mode_host_duration_ns: number,
} } | { "Yielded": {
  /**
   * The cell.
   */
  cell_id: CellId,
  /**
   * What it showed since its last response.
   */
  content_items: Array<ContentItem>,
  /**
   * How long the host spent on the request that this answers, in nanoseconds.
   */
  code_mode_host_duration_ns: number,
} } | { "Terminated": {
  /**
   * The cell.
   */
  cell_id: CellId,
  /**
   * What it showed since its last response.
   */
  content_items: Array<ContentItem>,
  /**
   * How long the host spent on the request that this answers, in nanoseconds.
   */
  code_mode_host_duration_ns: number,
} };

/**
 * Whose budget it is.
 */
export type Scope = "cell" | "session" | "host";

/**
 * Limits that a client asks for when it opens a session. What is absent is left to the host, and more than the host
 * grants is not granted.
 */
export type SessionBudgets = {
  /**
   * Of each cell.
   */
  cell?: Budgets,
  /**
   * Of all cells together.
   */
  session?: Budgets,
};

/**
 * Names one session of one connection. Chosen by the client, never blank.
 */
export type SessionId = string;

/**
 * What a session has used of its budgets, and what it and each of its cells may use.
 */
export type SessionUsage = {
  /**
   * What the session has used: of what does not come back, since it was opened; of all else, now. Where cells
   * run in processes of their own, of heaps, array buffers and timers it is what these were lent, which may be a little
   * more.
   */
  used: Budgets,
  /**
   * What it may use.
   */
  limits: Budgets,
  /**
   * What each of its cells may use.
   */
  cellLimits: Budgets,
  /**
   * The budget of which nothing is left, so that no cell starts any more.
   */
  exceeded?: LimitExceeded,
};

/**
 * Versions of the protocol: at least one, each once, in the order in which they were named.
 */
export type SupportedVersions = Array<ProtocolVersion>;

/**
 * A tool as one step advertises it to its cells.
 */
export type ToolDefinition = {
  /**
   * The name under which the cell sees it; characters that no JavaScript identifier takes become `_`.
   */
  name: string,
  /**
   * The name under which the step's runtime knows it.
   */
  tool_name: ToolName,
  /**
   * What the tool does, for the model.
   */
  description: string,
  /**
   * What its input is.
   */
  kind: ToolKind,
  /**
   * JSON Schema of the input, if the tool has one.
   */
  input_schema: unknown | null,
  /**
   * JSON Schema of the result, if the tool has one.
   */
  output_schema: unknown | null,
};

/**
 * One call of a tool by a cell.
 */
export type ToolInvocation = {
  /**
   * The calling cell.
   */
  cell_id: CellId,
  /**
   * The call, unique within its cell.
   */
  runtime_tool_call_id: string,
  /**
   * The tool.
   */
  tool_name: ToolName,
  /**
   * Its kind, as the step advertised it.
   */
  tool_kind: ToolKind,
  /**
   * The input; null where the cell gave none or gave null.
   */
  input: unknown | null,
};

/**
 * What a tool takes.
 */
export type ToolKind = "function" | "freeform";

/**
 * The name of a tool in the namespace of whoever offers it.
 */
export type ToolName = {
  /**
   * The tool's own name.
   */
  name: string,
  /**
   * Whose tool it is, such as an MCP server's name.
   */
  namespace: string | null,
};

/**
 * What a `session/wait` or `session/terminate` found.
 */
export type WaitOutcome = { "LiveCell": RuntimeResponse } | { "MissingCell": RuntimeResponse };

/**
 * A wait for more of a cell.
 */
export type WaitRequest = {
  /**
   * The cell.
   */
  cell_id: CellId,
  /**
   * After how many milliseconds the wait is answered with what there is by then.
   */
  yield_time_ms: number,
};
