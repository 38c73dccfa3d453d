//! What a cell learns of its tools beyond their names.

use std::sync::Arc;

use codemode_cells::{CodeModeSession, Step};
use codemode_host_protocol::{Json, ToolDefinition, ToolKind, ToolName};
use expect_test::expect;

use crate::support::{Desk, Lab, MINUTE, now, request, show};

fn definition(server: &str, name: &str, description: &str, input: &str) -> ToolDefinition {
    ToolDefinition {
        name: format!("mcp__{server}__{name}"),
        tool_name: ToolName { namespace: Some(server.to_owned()), name: name.to_owned() },
        description: description.to_owned(),
        kind: ToolKind::Function,
        input_schema: Json::parse(input).ok(),
        output_schema: None,
    }
}

fn served(desk: &Desk) -> Arc<Step> {
    let path = r#"{"properties": {"path": {"type": "string", "description": "Which file"}}, "required": ["path"]}"#;
    let tools = vec![
        definition("files", "read", "Reads a file", path),
        definition("files", "remove", "Removes a file", path),
        definition(
            "git",
            "commit",
            "Records changes of files",
            r#"{"properties": {"message": {"type": "string"}}}"#,
        ),
    ];
    Arc::new(Step::new(tools, Arc::new(desk.clone())))
}

async fn run(lab: &Lab, step: Arc<Step>, source: &str) -> String {
    let cell = now(lab.session.execute(step, request(source, MINUTE))).unwrap();
    show(&cell.response.await.unwrap())
}

#[tokio::test]
async fn a_cell_finds_the_tools_of_its_step() {
    let lab = Lab::with(|options| options.discovery = true);
    let shown = run(
        &lab,
        served(&lab.desk),
        "for (const {name, signature} of search_tools('remove files')) text(name + ' ' + signature);
         text(describe_tool(search_tools('commit')[0].name)); text(describe_tool(tools.files.read));",
    );
    expect![[r#"
        result["mcp__files__remove tools.files.remove(args: { path: string }): Promise<unknown>",
        "mcp__files__read tools.files.read(args: { path: string }): Promise<unknown>",
        "mcp__git__commit tools.git.commit(args?: { message?: string }): Promise<unknown>",
        "declare const tools: {
          git: {
            /** Records changes of files */
            commit(args?: {
              message?: string;
            }): Promise<unknown>;
          };
        };
        ",
        "declare const tools: {
          files: {
            /** Reads a file */
            read(args: {
              /** Which file */
              path: string;
            }): Promise<unknown>;
          };
        };
        "]"#]]
    .assert_eq(&shown.await.replace(", \"", ",\n\"").replace("\\n", "\n"));
}

#[tokio::test]
async fn a_session_without_it_shows_nothing_of_it() {
    let lab = Lab::new();
    let source = "text([typeof search_tools, typeof describe_tool, typeof tools.files, Object.keys(tools).length].join())";
    let shown = run(&lab, served(&lab.desk), source).await;
    assert_eq!(shown, r#"result["undefined,undefined,undefined,3"]"#);
}

#[tokio::test]
async fn what_answers_keeps_no_step() {
    let lab = Lab::with(|options| options.discovery = true);
    let step = served(&lab.desk);
    let kept = Arc::downgrade(&step);
    run(&lab, step, "search_tools('a'); describe_tool('mcp__git__commit')").await;
    lab.until_idle().await;
    assert!(kept.upgrade().is_none());
}

/// The cell that TypeScript's compiler has checked against the declarations does what they say.
#[tokio::test]
async fn a_cell_of_checked_typescript_runs() {
    let lab = Lab::with(|options| options.discovery = true);
    let tool = |server: Option<&str>, name: &str| match server {
        Some(server) => definition(server, name, "", "{}"),
        None => ToolDefinition {
            name: name.to_owned(),
            tool_name: ToolName::plain(name),
            ..definition("", name, "", "{}")
        },
    };
    let tools = vec![tool(None, "echo"), tool(Some("files"), "echo"), tool(Some("files"), "fail")];
    let step = Arc::new(Step::new(tools, Arc::new(lab.desk.clone())));
    let source = include_str!("../../../declarations/tests/cell.ts");
    let cell = now(lab.session.execute(step, request(source, MINUTE))).unwrap();
    let first = show(&cell.response.await.unwrap());
    let rest = lab.wait(cell.cell_id.as_str()).await;
    expect![[r#"
        yielded["42", "X", "plain", "(image)", "(image)", "(audio)", "a block", "(image)", "a hint", "1", "true", "2", "a", "0rejected", "echo,mcp__files__echo,mcp__files__fail", "tools.files.echo(args?: unknown): Promise<unknown>", "true", "ToolError: mcp__files__fail: denied"]
        result[]
    "#]].assert_eq(&format!("{first}\n{rest}\n"));
}

/// Whatever is declared is there, and whatever is there is declared.
#[tokio::test]
async fn the_globals_are_those_that_are_declared() {
    let lab = Lab::with(|options| options.discovery = true);
    let declared = codemode_declarations::GLOBALS.lines().filter_map(|line| {
        let line = line.strip_prefix("declare ")?;
        let rest = line.strip_prefix("function ").or_else(|| line.strip_prefix("const "))?;
        rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next()
    });
    let mut declared: Vec<&str> = declared.chain(["tools"]).collect();
    declared.sort_unstable();
    // ECMAScript's own functions in lower case; all other names of it begin with a capital.
    let source = "const own = new Set(['globalThis', 'undefined', 'parseFloat', 'parseInt', 'decodeURI', 'decodeURIComponent', 'encodeURI',
          'encodeURIComponent', 'escape', 'unescape', 'eval', 'isFinite', 'isNaN']);
        const isOurs = (name) => !own.has(name) && (/^[a-z]/.test(name) || name.includes('_'));
        text(Object.getOwnPropertyNames(globalThis).filter(isOurs).sort().join(' '))";
    let shown = lab.run(source).await;
    assert_eq!(shown, format!("result[{:?}]", declared.join(" ")));
}
