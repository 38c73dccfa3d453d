//! What schemas become.
#![allow(clippy::unwrap_used)]

use codemode_host_protocol::{ToolKind, ToolName};
use expect_test::{Expect, expect};
use serde_json::{Map, Value, json};

use super::*;

fn tool(name: &str, input: Option<Value>, output: Option<Value>) -> ToolDefinition {
    ToolDefinition {
        name: name.to_owned(),
        tool_name: ToolName::plain(name),
        description: String::new(),
        kind: ToolKind::Function,
        input_schema: input.map(Json::from),
        output_schema: output.map(Json::from),
    }
}

fn check(definitions: &[ToolDefinition], expected: &Expect) {
    expected.assert_eq(&rendered(definitions));
}

/// The declarations, which a parser of TypeScript takes.
fn rendered(definitions: &[ToolDefinition]) -> String {
    let text = render(definitions);
    parse(&text);
    text
}

pub(crate) fn parse(text: &str) {
    let allocator = oxc_allocator::Allocator::default();
    let parsed = oxc_parser::Parser::new(&allocator, text, oxc_span::SourceType::d_ts()).parse();
    assert!(!parsed.panicked && parsed.diagnostics.is_empty(), "{:?}\n{text}", parsed.diagnostics);
}

/// A tool of a server, with schemas as they are written.
fn served(server: &str, name: &str, input: &str, output: &str) -> ToolDefinition {
    let read = |text: &str| (!text.is_empty()).then(|| Json::parse(text).unwrap());
    ToolDefinition {
        name: format!("mcp__{server}__{name}"),
        tool_name: ToolName { namespace: Some(server.to_owned()), name: name.to_owned() },
        description: String::new(),
        kind: ToolKind::Function,
        input_schema: read(input),
        output_schema: read(output),
    }
}

#[test]
fn each_kind_of_schema_becomes_a_type() {
    let cases = [
        (json!(true), "unknown"),
        (json!(false), "never"),
        (json!({}), "unknown"),
        (json!(7), "unknown"),
        (json!({"type": "string"}), "string"),
        (json!({"type": "integer"}), "number"),
        (json!({"type": ["string", "null"]}), "string | null"),
        (json!({"type": "string", "nullable": true}), "string | null"),
        (json!({"type": "martian"}), "unknown"),
        (json!({"const": "a\"b\n"}), r#""a\"b\n""#),
        (json!({"const": null}), "null"),
        (
            json!({"type": "string", "enum": ["a", "b", 1, null, true]}),
            r#""a" | "b" | 1 | null | true"#,
        ),
        (
            json!({"enum": [[1, "x"], {"a-b": 2}, {}]}),
            r#"[1, "x"] | { "a-b": 2 } | Record<string, never>"#,
        ),
        (json!({"enum": []}), "never"),
        (json!({"type": "array"}), "unknown[]"),
        (json!({"type": "array", "items": {"type": "string"}}), "string[]"),
        (json!({"type": "array", "items": {"type": ["string", "null"]}}), "(string | null)[]"),
        (
            json!({"type": "array", "items": {"type": "array", "items": {"enum": [1, 2]}}}),
            "(1 | 2)[][]",
        ),
        (
            json!({"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}], "minItems": 2, "maxItems": 2}),
            "[number, string]",
        ),
        (
            json!({"prefixItems": [{"type": "number"}, {"type": ["string", "null"]}], "minItems": 1, "items": false}),
            "[number, (string | null)?]",
        ),
        (
            json!({"prefixItems": [{"type": "number"}], "minItems": 1, "items": {"enum": ["a", "b"]}}),
            r#"[number, ...("a" | "b")[]]"#,
        ),
        (
            json!({"type": "array", "items": [{"type": "number"}], "minItems": 1}),
            "[number, ...unknown[]]",
        ),
        (json!({"type": "object"}), "Record<string, unknown>"),
        (json!({"type": "object", "additionalProperties": false}), "Record<string, never>"),
        (json!({"additionalProperties": {"type": "number"}}), "{ [key: string]: number }"),
        (
            json!({"patternProperties": {"^x": {"type": "number"}, "^y": {"type": "string"}}}),
            "{ [key: string]: number | string }",
        ),
        (
            json!({"properties": {"b": {"type": "string"}, "a": {}}, "required": ["b"]}),
            "{ b: string; a?: unknown }",
        ),
        (json!({"properties": {"a": false}, "required": ["z"]}), "{ z: unknown; a?: never }"),
        (
            json!({"properties": {"a": {"type": "string"}}, "additionalProperties": true}),
            "{ a?: string; [key: string]: unknown }",
        ),
        (
            json!({"properties": {"a": {"type": "string"}}, "additionalProperties": {"type": "number"}}),
            "{ a?: string } & { [key: string]: number }",
        ),
        (
            json!({"properties": {"a-b": {}, "1": {}, "é": {}, "": {}, "$ok": {}, "class": {}}}),
            r#"{ ""?: unknown; $ok?: unknown; "1"?: unknown; "a-b"?: unknown; class?: unknown; "é"?: unknown }"#,
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "number"}]}),
            "string | number",
        ),
        (json!({"oneOf": [{"type": "string"}, {}]}), "unknown"),
        (json!({"anyOf": [false, {"type": "string"}]}), "string"),
        (
            json!({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}}]}),
            "{ a?: unknown; b?: unknown }",
        ),
        (
            json!({"allOf": [{"type": ["string", "null"]}, {"type": "string"}]}),
            "(string | null) & string",
        ),
        (
            json!({"type": "array", "items": {"allOf": [{"required": ["a"]}, {"required": ["b"]}]}}),
            "{ a: unknown; b: unknown }[]",
        ),
        (
            json!({"type": "object", "properties": {"k": {"const": 1}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            "{ k?: 1 } & ({ a: unknown } | { b: unknown })",
        ),
        (json!({"type": "string", "anyOf": [{"minLength": 3}, {"maxLength": 1}]}), "string"),
    ];
    for (schema, expected) in cases {
        assert_eq!(inline_type(&Json::from(schema.clone())), expected, "{schema}");
    }
}

#[test]
fn references_become_named_types() {
    let tree = json!({
        "$ref": "#/$defs/tree-node",
        "$defs": {
            "tree-node": {
                "type": "object",
                "properties": {
                    "children": {"type": "array", "items": {"$ref": "#/$defs/tree-node"}},
                    "tag": {"$ref": "#/$defs/Tag"},
                    "far": {"$ref": "https://example.com/schema.json"},
                    "gone": {"$ref": "#/$defs/none"},
                    "any": {"$ref": "#/$defs/any"}
                },
                "required": ["children"]
            },
            "Tag": {"enum": ["a", "b"]},
            "any": true
        }
    });
    let list = json!({"type": "object", "properties": {"next": {"$ref": "#"}, "Tag": {"$ref": "#/definitions/Tag"}},
                      "definitions": {"Tag": {"type": "string"}}});
    let itself = json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}});
    let two = json!({"$ref": "#/$defs/first", "$defs": {
        "first": {"anyOf": [{"$ref": "#/$defs/second"}, {"type": "null"}]},
        "second": {"anyOf": [{"$ref": "#/$defs/first"}, {"type": "string"}]}
    }});
    let json = json!({"$ref": "#/$defs/json", "$defs": {"json": {"anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"$ref": "#/$defs/json"}},
        {"type": "object", "additionalProperties": {"$ref": "#/$defs/json"}}
    ]}}});
    check(
        &[
            tool("grow", Some(tree.clone()), Some(tree)),
            tool("list", None, Some(list)),
            tool("itself", Some(itself), None),
            tool("two", Some(two), Some(json)),
        ],
        &expect![[r#"
            type TreeNode = {
              children: TreeNode[];
              any?: unknown;
              far?: unknown;
              gone?: unknown;
              tag?: Tag;
            };

            type Tag = "a" | "b";

            type ListOutput = {
              Tag?: ListOutputTag;
              next?: ListOutput;
            };

            type ListOutputTag = string;

            type First = Second | null;

            type Second = string;

            type Json = string | Json[] | { [key: string]: Json };

            declare const tools: {
              grow(args: TreeNode): Promise<TreeNode>;

              list(args?: unknown): Promise<ListOutput>;

              itself(args: unknown): Promise<unknown>;

              two(args: First): Promise<Json>;
            };
        "#]],
    );
}

#[test]
fn names_and_words_are_those_that_a_cell_sees() {
    let mut freeform = tool("apply-patch", None, None);
    freeform.kind = ToolKind::Freeform;
    freeform.description = "Applies a patch. */ alert(1) /*\n\n  indented: keep\nThe line after that is so long that it has to be broken somewhere, as nobody reads on for ever.".to_owned();
    let described = json!({
        "type": "object",
        "properties": {
            "a": {"type": "string", "description": "One line."},
            "b": {"type": "number", "description": "Two\r\nlines */", "default": 5, "deprecated": true},
            "c": {"type": "object", "properties": {"deep": {"description": "Deep.", "type": "string"}}}
        }
    });
    check(
        &[
            tool("1password", None, None),
            tool("a.b", Some(json!({"type": "object"})), None),
            tool("a_b", Some(described), Some(json!({"type": "string"}))),
            tool("__proto__", None, None),
            tool("", None, None),
            freeform,
        ],
        &expect![[r#"
            declare const tools: {
              _password(args?: unknown): Promise<unknown>;

              a_b(args?: {
                /** One line. */
                a?: string;
                /**
                 * Two
                 * lines *\/
                 * @default 5 @deprecated
                 */
                b?: number;
                c?: {
                  /** Deep. */
                  deep?: string;
                };
              }): Promise<string>;

              __proto__(args?: unknown): Promise<unknown>;

              _(args?: unknown): Promise<unknown>;

              /**
               * Applies a patch. *\/ alert(1) /*
               *
               *   indented: keep
               * The line after that is so long that it has to be broken somewhere, as nobody reads on for ever.
               */
              apply_patch(input: string): Promise<unknown>;
            };
        "#]],
    );
    check(
        &[],
        &expect![[r#"
        declare const tools: {
        };
    "#]],
    );
}

#[test]
fn hostile_schemas_stay_small() {
    let mut deep = json!({"type": "string"});
    for _ in 0..100 {
        deep = json!({"type": "array", "items": deep});
    }
    assert_eq!(inline_type(&Json::from(deep)), format!("unknown{}", "[]".repeat(64)));
    // Each refers to the next twice: inlined, this would be 2^40 types.
    let mut defs = Map::new();
    for n in 0..40 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        defs.insert(
            format!("d{n}"),
            json!({"type": "object", "properties": {"l": next, "r": next}}),
        );
    }
    let bomb = json!({"$ref": "#/$defs/d0", "$defs": defs});
    let rendered = render(&[tool("bomb", Some(bomb), None)]);
    assert!(rendered.len() < 4000, "{} bytes", rendered.len());
}

#[test]
fn keywords_of_all_drafts_have_their_meaning() {
    let cases = [
        // Booleans and what comes to nothing else.
        (json!({"enum": [true, false]}), "boolean"),
        (json!({"enum": [true, null, false, "x"]}), r#"boolean | null | "x""#),
        (json!({"anyOf": [{"const": true}, {"const": false}]}), "boolean"),
        (json!({"const": {"a": [null, {}]}}), "{ a: [null, Record<string, never>] }"),
        (json!({"not": {"type": "string"}}), "unknown"),
        (json!({"if": {"type": "string"}, "then": {"minLength": 1}}), "unknown"),
        // Draft 3 and 4.
        (json!({"type": "any"}), "unknown"),
        (
            json!({"type": [{"type": "object", "properties": {"a": {}}}, "null"]}),
            "{ a?: unknown } | null",
        ),
        (json!({"minimum": 1, "exclusiveMinimum": true, "type": "number"}), "number"),
        // Up to draft 7, what stands beside a reference says nothing.
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/s", "type": "number",
                   "definitions": {"s": {"type": "string"}}}),
            "unknown",
        ),
        // 2019 and later.
        (
            json!({"type": "object", "properties": {"a": {}}, "unevaluatedProperties": {"type": "string"}}),
            "{ a?: unknown } & { [key: string]: string }",
        ),
        (json!({"type": "object", "unevaluatedProperties": false}), "Record<string, never>"),
        (
            json!({"type": "array", "prefixItems": [{"type": "string"}], "minItems": 1, "unevaluatedItems": false}),
            "[string]",
        ),
        (json!({"type": "array", "prefixItems": [], "items": false}), "[]"),
        // Names of properties.
        (
            json!({"additionalProperties": {"type": "number"}, "propertyNames": {"enum": ["a", "b"]}}),
            r#"{ [key in "a" | "b"]?: number }"#,
        ),
        (
            json!({"additionalProperties": true, "propertyNames": {"pattern": "^a"}}),
            "Record<string, unknown>",
        ),
        (json!({"required": ["a", "a", 5]}), "{ a: unknown }"),
        (
            json!({"properties": {"constructor": {}, "__proto__": {}, "new": {}, "\u{202e}": {}}}),
            r#"{ __proto__?: unknown; constructor?: unknown; new?: unknown; "\u202e"?: unknown }"#,
        ),
        // Of OpenAPI.
        (
            json!({"type": "object", "properties": {"a": {}}, "nullable": true}),
            "{ a?: unknown } | null",
        ),
        (json!({"enum": ["a"], "nullable": true}), r#""a" | null"#),
        // Objects that say nothing about each other are one.
        (
            json!({"allOf": [{"properties": {"a": {}}}, {"properties": {"b": {}}, "required": ["b"]}, {"type": "object"}]}),
            "{ b: unknown; a?: unknown } & Record<string, unknown>",
        ),
        (
            json!({"allOf": [{"properties": {"a": {"type": "string"}}}, {"required": ["a"]}]}),
            "{ a?: string } & { a: unknown }",
        ),
        (
            json!({"anyOf": [{"allOf": [{"type": "string"}, {"type": ["string", "null"]}]}, {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "number"}]}}]}),
            "string & (string | null) | (string | number)[]",
        ),
        // What has no sense.
        (
            json!({"type": "object", "properties": 5, "required": "a", "additionalProperties": 7}),
            "Record<string, unknown>",
        ),
        (json!({"type": [], "enum": {}, "items": 5, "anyOf": "x", "allOf": {}}), "never"),
        (json!({"anyOf": [], "type": "string"}), "string & never"),
    ];
    for (schema, expected) in cases {
        let text = inline_type(&Json::from(schema.clone()));
        assert_eq!(text, expected, "{schema}");
        parse(&format!("type T = {text};"));
    }
}

#[test]
fn what_types_cannot_say_is_said_in_words() {
    let input = r##"{
        "description": "What nobody needs to read.",
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "Words.\u0007\u202e\udb40\udc41\u001b[31m", "minLength": 1, "maxLength": 200},
            "page_size": {"title": "Page Size", "type": "integer", "format": "int32", "minimum": 1, "exclusiveMaximum": 101, "default": 10},
            "old": {"$comment": "draft 4", "type": "number", "minimum": 0, "exclusiveMinimum": true, "multipleOf": 0.5},
            "when": {"title": "Time of the event", "type": "string", "format": "date-time", "examples": ["2024-01-01T00:00:00Z", "x"]},
            "id": {"type": "string", "pattern": "^[a-z]+*/$", "default": "*/"},
            "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": true, "maxItems": 3, "default": []},
            "pair": {"prefixItems": [{}, {}], "minItems": 2, "maxItems": 2},
            "data": {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/png"},
            "mode": {"description": "How.", "default": "fast", "oneOf": [
                {"const": "fast", "description": "Reads\nthe index"}, {"enum": ["slow"], "description": "Reads all"}, {"const": "off"}]},
            "none": {"default": null},
            "long": {"type": "string", "default": "LONG", "pattern": "LONG", "examples": ["LONG"]}
        }
    }"##;
    let input = input.replace("LONG", &"x".repeat(121));
    let output =
        r#"{"description": "What was\nfound.", "type": "array", "items": {"type": "string"}}"#;
    let mut tool = served("web", "search", &input, output);
    tool.description = "Searches.\u{2028}*/ evil".to_owned();
    check(
        &[tool],
        &expect![[r#"
        declare const tools: {
          web: {
            /**
             * Searches.
             * *\/ evil
             * @returns What was
             * found.
             */
            search(args?: {
              /**
               * Words.[31m
               * @minLength 1 @maxLength 200
               */
              query?: string;
              /** @default 10 @minimum 1 @exclusiveMaximum 101 */
              page_size?: number;
              /** @exclusiveMinimum 0 @multipleOf 0.5 */
              old?: number;
              /**
               * Time of the event
               * @format date-time @example "2024-01-01T00:00:00Z"
               */
              when?: string;
              /** @default "*\/" @pattern ^[a-z]+*\/$ */
              id?: string;
              /** @default [] @maxItems 3 @uniqueItems */
              tags?: string[];
              pair?: [unknown, unknown];
              /** @contentEncoding base64 @contentMediaType image/png */
              data?: string;
              /**
               * How.
               * - "fast": Reads the index
               * - "slow": Reads all
               * @default "fast"
               */
              mode?: "fast" | "slow" | "off";
              none?: unknown;
              long?: string;
            }): Promise<string[]>;
          };
        };
    "#]],
    );
}

#[test]
fn what_is_the_same_has_one_name() {
    let filter = r#"{"type": "object", "properties": {"field": {"type": "string", "description": "Which"}, "value": {"type": "string"}}, "required": ["field"]}"#;
    let tools = [
        // The same object in two tools, and twice in one.
        served(
            "db",
            "find",
            &format!(
                r#"{{"properties": {{"filters": {{"type": "array", "items": {filter}}}, "or": {filter}}}}}"#
            ),
            "",
        ),
        served(
            "db",
            "count",
            &format!(r#"{{"properties": {{"filter": {filter}}}}}"#),
            r#"{"type": "number"}"#,
        ),
        // The same arguments.
        served(
            "fs",
            "read",
            r#"{"properties": {"path": {"type": "string"}, "encoding": {"enum": ["utf8", "base64"]}}, "required": ["path"]}"#,
            "",
        ),
        served(
            "fs",
            "stat",
            r#"{"properties": {"path": {"type": "string"}, "encoding": {"enum": ["utf8", "base64"]}}, "required": ["path"]}"#,
            "",
        ),
        // What is short is not worth a name.
        served("fs", "a", r#"{"properties": {"x": {}}}"#, r#"{"properties": {"x": {}}}"#),
        // Definitions of one name: the same, though the documents differ, and another.
        served(
            "g",
            "p",
            r##"{"$ref": "#/$defs/Node", "$defs": {"Node": {"properties": {"next": {"$ref": "#/$defs/Node"}, "at": {"$ref": "#/$defs/Point"}}},
            "Point": {"properties": {"x": {"type": "number"}}}}}"##,
            "",
        ),
        served(
            "g",
            "q",
            r##"{"$ref": "#/definitions/Node", "definitions": {"unused": {}, "Node": {"properties": {"next": {"$ref": "#/definitions/Node"}, "at": {"$ref": "#/definitions/Point"}}},
            "Point": {"properties": {"x": {"type": "number"}}}}}"##,
            "",
        ),
        served(
            "g",
            "r",
            r##"{"$ref": "#/$defs/Node", "$defs": {"Node": {"properties": {"next": {"$ref": "#/$defs/Node"}, "at": {"$ref": "#/$defs/Point"}}},
            "Point": {"properties": {"x": {"type": "string"}}}}}"##,
            "",
        ),
        // Names that TypeScript has already.
        served(
            "g",
            "s",
            r##"{"properties": {"a": {"$ref": "#/$defs/Array"}, "b": {"$ref": "#/$defs/é"}}, "$defs": {"Array": {"type": "string"}, "é": {"type": "number"}}}"##,
            "",
        ),
    ];
    check(
        &tools,
        &expect![[r#"
        type Filter = {
          /** Which */
          field: string;
          value?: string;
        };

        type ReadInput = {
          path: string;
          encoding?: "utf8" | "base64";
        };

        type Node = {
          next?: Node;
          at?: Point;
        };

        type Point = {
          x?: number;
        };

        type RInputNode = {
          next?: RInputNode;
          at?: RInputPoint;
        };

        type RInputPoint = {
          x?: string;
        };

        type SInputArray = string;

        type SInput = number;

        declare const tools: {
          db: {
            find(args?: {
              filters?: Filter[];
              or?: Filter;
            }): Promise<unknown>;

            count(args?: {
              filter?: Filter;
            }): Promise<number>;
          };

          fs: {
            read(args: ReadInput): Promise<unknown>;

            stat(args: ReadInput): Promise<unknown>;

            a(args?: {
              x?: unknown;
            }): Promise<{
              x?: unknown;
            }>;
          };

          g: {
            p(args: Node): Promise<unknown>;

            q(args: Node): Promise<unknown>;

            r(args: RInputNode): Promise<unknown>;

            s(args?: {
              a?: SInputArray;
              b?: SInput;
            }): Promise<unknown>;
          };
        };
    "#]],
    );
}

#[test]
fn circles_with_nothing_around_them_are_broken() {
    let of = |defs: &str| {
        served("c", "t", &format!(r##"{{"$ref": "#/$defs/a", "$defs": {defs}}}"##), "")
    };
    for (defs, expected) in [
        (r##"{"a": {"$ref": "#/$defs/a"}}"##, "tools: t(args: unknown)"),
        (
            r##"{"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}"##,
            "tools: t(args: unknown)",
        ),
        (
            r##"{"a": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "null"}]}}"##,
            "A = null; tools: t(args: A)",
        ),
        (
            r##"{"a": {"allOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}"##,
            "A = string; tools: t(args: A)",
        ),
        // What was met within braces comes around without them.
        (
            r##"{"a": {"properties": {"x": {"$ref": "#/$defs/b"}}, "allOf": [{"$ref": "#/$defs/c"}]},
                 "c": {"$ref": "#/$defs/b"}, "b": {"anyOf": [{"$ref": "#/$defs/a"}, {"type": "string"}]}}"##,
            "A = { x?: B; } & C; B = string; C = B; tools: t(args: A)",
        ),
    ] {
        let text = rendered(&[of(defs)]);
        let words: Vec<&str> = text.split_whitespace().collect();
        let text =
            words.join(" ").replace("type ", "").replace("declare const tools: { c: { ", "tools: ");
        assert_eq!(text, format!("{expected}: Promise<unknown>; }}; }};"), "{defs}");
    }
}

#[test]
fn tools_are_where_a_cell_finds_them() {
    let mut taken = served("files", "write", "", "");
    taken.name = "files_write".to_owned();
    let tools = [
        served("my-server", "do.it", "", ""),
        served("my_server", "new", "", ""),
        // Normalised, it is the first.
        served("my server", "do it", r#"{"type": "string"}"#, ""),
        served("9", "", "", ""),
        // A tool has the name of its server.
        taken,
        tool("files", None, None),
        tool("new", None, None),
    ];
    check(
        &tools,
        &expect![[r#"
        declare const tools: {
          files_write(args?: unknown): Promise<unknown>;

          files(args?: unknown): Promise<unknown>;

          "new"(args?: unknown): Promise<unknown>;

          my_server: {
            do_it(args: string): Promise<unknown>;

            "new"(args?: unknown): Promise<unknown>;
          };

          _: {
            _(args?: unknown): Promise<unknown>;
          };
        };
    "#]],
    );
}

#[test]
fn large_schemas_take_no_time_to_speak_of() {
    // 2 MB, of which each part is referred to, by references that lie in a row.
    let mut defs = String::new();
    for n in 0..12_000 {
        let next = (n + 1) % 12_000;
        defs.push_str(&format!(
            r##""D{n}": {{"anchor{n}": 1, "description": "Some words about it, and others, to fill the room that there is in it.",
               "properties": {{"next": {{"$ref": "#/$defs/D{next}"}}, "n": {{"const": {n}}}}}}},"##
        ));
    }
    let large = format!(r##"{{"$ref": "#/$defs/D0", "$defs": {{{} "end": {{}}}}}}"##, defs);
    assert!(large.len() > 2_000_000);
    let text = rendered(&[served("s", "t", &large, &large)]);
    assert_eq!(text.matches("type ").count(), 12_000);
    // As many by name.
    let anchors = large.replace("\"anchor", "\"$anchor\": \"a").replace("\": 1,", "\",");
    let anchors = anchors.replace("#/$defs/D", "#a");
    assert_eq!(render(&[served("s", "t", &anchors, "")]).matches("type ").count(), 12_000);
    // Many values, alternatives and properties.
    let many = |each: &dyn Fn(usize) -> String| (0..50_000).map(each).collect::<Vec<_>>().join(",");
    for schema in [
        format!(r#"{{"enum": [{}]}}"#, many(&|n| n.to_string())),
        format!(r#"{{"anyOf": [{}]}}"#, many(&|n| format!(r#"{{"const": "{n}"}}"#))),
        format!(r#"{{"allOf": [{}]}}"#, many(&|n| format!(r#"{{"required": ["{n}"]}}"#))),
        format!(
            r#"{{"properties": {{{}}}, "required": [{}]}}"#,
            many(&|n| format!(r#""{n}": {{}}"#)),
            many(&|n| format!(r#""{n}""#))
        ),
        format!(r#"{{"description": "{}"}}"#, "a ".repeat(1_000_000)),
        format!(
            r##"{{"anyOf": [{}], "$defs": {{"a": {{"type": "string"}}}}}}"##,
            many(&|_| String::from(r##"{"$ref": "#/$defs/a"}"##))
        ),
    ] {
        parse(&render(&[served("s", "t", &schema, "")]));
    }
}

#[test]
fn deep_schemas_overflow_no_stack() {
    let nested = |open: &str, close: &str, inner: &str| {
        format!("{}{inner}{}", open.repeat(10_000), close.repeat(10_000))
    };
    for (schema, part) in [
        (nested(r#"{"type": "array", "items": "#, "}", "{}"), "unknown[][][]"),
        (nested(r#"{"properties": {"a": "#, "}}", "{}"), "a?: {"),
        (nested(r#"{"anyOf": [{"type": "null"}, "#, "]}", r#"{"type": "string"}"#), "unknown"),
        (format!(r#"{{"enum": [{}]}}"#, nested("[", "]", "")), "[[["),
        (format!(r#"{{"default": {}, "type": "string"}}"#, nested("[", "]", "")), "string"),
        (nested(r#"{"$id": "a/", "items": "#, "}", "{}"), "[][]"),
    ] {
        let text = rendered(&[served("s", "t", &schema, &schema)]);
        assert!(text.contains(part), "{text}");
    }
}

#[test]
fn one_tool_is_described_in_its_place() {
    let tools = [
        served(
            "a",
            "t",
            r##"{"$ref": "#/$defs/N", "$defs": {"N": {"description": "A node", "properties": {"next": {"$ref": "#/$defs/N"}}}}}"##,
            "",
        ),
        served(
            "b",
            "t",
            r#"{"properties": {"x": {"description": "Which", "enum": [1, 2]}}, "required": ["x"]}"#,
            r#"{"type": "string"}"#,
        ),
        tool("b", None, None),
        served(
            "a",
            "large",
            &format!(r#"{{"properties": {{"x": {{"description": "{}"}}}}}}"#, "a ".repeat(20_000)),
            "",
        ),
        served(
            "a",
            "larger",
            &format!(
                r#"{{"properties": {{{}}}}}"#,
                (0..10_000).map(|n| format!(r#""{n}": {{}}"#)).collect::<Vec<_>>().join(",")
            ),
            "",
        ),
    ];
    let mut text = String::new();
    for place in 0..6 {
        let declared = describe(&tools, place);
        let declared = if declared.len() > 500 {
            format!("{} … {}", &declared[..50], &declared[declared.len() - 50..])
        } else {
            parse(&declared);
            declared
        };
        let brief = signature(&tools, place);
        let brief = if brief.len() > 500 { "long" } else { &brief };
        text.push_str(&format!("{declared}{brief}\n\n"));
    }
    expect![[r#"
        /** A node */
        type N = {
          next?: N;
        };

        declare const tools: {
          a: {
            t(args: N): Promise<unknown>;
          };
        };
        (args: N): Promise<unknown>

        declare const tools: {
          mcp__b__t(args: {
            /** Which */
            x: 1 | 2;
          }): Promise<string>;
        };
        (args: { x: 1 | 2 }): Promise<string>

        declare const tools: {
          b(args?: unknown): Promise<unknown>;
        };
        (args?: unknown): Promise<unknown>

        // Without comments: with them, it takes 44037 bytes.
        declare const tools: {
          a: {
            large(args?: { x?: unknown }): Promise<unknown>;
          };
        };
        (args?: { x?: unknown }): Promise<unknown>

        declare const tools: {
          a: {
            larger(args?: {  … 1879"
        // And so on: the whole takes 178969 bytes.
        long

        declare const tools: {
        };


    "#]]
    .assert_eq(&text);
}

#[test]
fn what_tools_share_is_called_what_its_schema_is() {
    let result = r#"{"title": "Call result", "properties": {"content": {"items": {"properties": {"text": {"type": "string"}}}}, "more": {}}}"#;
    let tools = [served("a", "x", "{}", result), served("a", "y", "{}", result)];
    let text = render(&tools);
    assert!(text.starts_with("type CallResult = {\n"), "{text}");
    assert_eq!(text.matches("Promise<CallResult>").count(), 2, "{text}");
}

#[test]
fn the_globals_are_declarations() {
    parse(GLOBALS);
    let common = common_globals();
    parse(common);
    assert!(
        common.contains("function text(") && common.contains("function search_tools("),
        "{common}"
    );
    // It needs nothing that only the others declare.
    assert!(!common.contains("Settled"), "{common}");
}
