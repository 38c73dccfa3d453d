// A report on the files of a workspace, in Markdown: what it is written in, how much of it there is, which files are
// the largest, and what was left to do.
//
//   codemode run --workspace . examples/repo-report.ts
//
// One cell, a few hundred tool calls, most of them under way at the same time. Only the report comes back: none of
// what was read on the way.

interface SourceFile {
  path: string;
  language: string;
  lines: number;
  bytes: number;
}

const LANGUAGES: Record<string, string> = {
  c: "C", cc: "C++", cpp: "C++", css: "CSS", go: "Go", h: "C", html: "HTML", java: "Java", js: "JavaScript",
  json: "JSON", jsx: "JavaScript", kt: "Kotlin", lua: "Lua", md: "Markdown", mjs: "JavaScript", php: "PHP",
  py: "Python", rb: "Ruby", rs: "Rust", sh: "Shell", sql: "SQL", swift: "Swift", toml: "TOML", ts: "TypeScript",
  tsx: "TypeScript", yaml: "YAML", yml: "YAML", zig: "Zig",
};
const LARGEST = 10;
const NOTES = 15;

// Three questions that don't depend on each other, so they are asked together.
const [all, notes, heading] = await Promise.all([
  tools.glob({ pattern: "**/*" }),
  // Tests are full of them on purpose.
  tools.search({ pattern: String.raw`\b(TODO|FIXME)\b[:(]`, exclude: ["tests", "*.test.*"], max_results: 1000 }),
  title("README.md"),
]);

const known: string[] = all.paths.filter((path: string) => languageOf(path) !== undefined);
const files = (await Promise.all(known.map(measure))).filter((file) => file !== undefined);

text(report(files));

/** Lines and bytes of one file; nothing if it was moved away meanwhile, or is no text. */
async function measure(path: string): Promise<SourceFile | undefined> {
  try {
    const info = await tools.file_info({ path });
    if (info.lines === undefined) return undefined;
    return { path, language: languageOf(path)!, lines: info.lines, bytes: info.size_bytes };
  } catch {
    return undefined;
  }
}

/** The first heading of a Markdown file. */
async function title(path: string): Promise<string> {
  try {
    const file = await tools.read_file({ path, end_line: 40 });
    return /^#\s+(.+)$/m.exec(file.text)?.[1] ?? "This workspace";
  } catch {
    return "This workspace";
  }
}

function languageOf(path: string): string | undefined {
  const extension = /\.(\w+)$/.exec(path)?.[1] ?? "";
  return LANGUAGES[extension.toLowerCase()];
}

function report(files: SourceFile[]): string {
  const groups = Map.groupBy(files, (file) => file.language);
  const languages = [...groups]
    .map(([language, group]) => ({ language, files: group.length, lines: sum(group.map((file) => file.lines)) }))
    .sort((a, b) => b.lines - a.lines);
  const total = sum(files.map((file) => file.lines));
  const largest = files.toSorted((a, b) => b.lines - a.lines).slice(0, LARGEST);

  return [
    `# ${heading}: ${number(total)} lines in ${number(files.length)} files`,
    "## Languages",
    table(
      ["Language", "Files", "Lines", "Share"],
      languages.map((l) => [l.language, number(l.files), number(l.lines), percent(l.lines / Math.max(total, 1))]),
    ),
    "## Largest files",
    table(
      ["File", "Lines", "KiB"],
      largest.map((file) => [`\`${file.path}\``, number(file.lines), number(file.bytes / 1024, 1)]),
    ),
    `## Left to do (${number(notes.matches.length)}${notes.truncated ? "+" : ""})`,
    leftToDo(),
    "",
  ].join("\n\n");
}

function leftToDo(): string {
  if (notes.matches.length === 0) return `Nothing is marked, in ${number(notes.files_searched)} files.`;
  const items = notes.matches
    .slice(0, NOTES)
    .map((match: { path: string; line: number; text: string }) => `- \`${match.path}:${match.line}\` ${match.text.trim()}`);
  const more = notes.matches.length - items.length;
  return [...items, ...(more > 0 ? [`- … and ${number(more)} more`] : [])].join("\n");
}

function table(head: string[], rows: string[][]): string {
  const widths = head.map((cell, column) => Math.max(3, cell.length, ...rows.map((row) => row[column].length)));
  const line = (cells: string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |`;
  const rule = widths.map((width, i) => (i === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join("\n");
}

function sum(numbers: number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}

function number(value: number, digits = 0): string {
  return value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function percent(share: number): string {
  return share.toLocaleString("en", { style: "percent", minimumFractionDigits: 1 });
}
