use std::{collections::HashSet, sync::Arc};

use codemode_host_protocol::{ToolDefinition, ToolKind, ToolName};
use expect_test::{Expect, expect};

use super::{ISOLATED, LOCKED, Report, Trial, print, spec};
use crate::{CellSpec, Discovery, FoundTool, ToolCatalog};

/// Finds what has a word in its name.
#[derive(Debug)]
struct Names(Vec<ToolDefinition>);

impl Discovery for Names {
    fn search(&self, query: &str, limit: usize) -> Vec<FoundTool> {
        let found = (0..self.0.len()).filter(|place| self.0[*place].name.contains(query));
        let found =
            found.map(|place| FoundTool { place, signature: String::from("(a: 1): Promise<2>") });
        found.take(limit).collect()
    }

    fn describe(&self, place: usize) -> String {
        format!("declare {}", self.0[place].tool_name)
    }
}

fn definitions() -> Vec<ToolDefinition> {
    let tool = |name: &str, namespace: Option<&str>, flat: &str| ToolDefinition {
        name: flat.to_owned(),
        tool_name: ToolName { name: name.to_owned(), namespace: namespace.map(str::to_owned) },
        description: format!("The tool {flat}."),
        kind: ToolKind::Function,
        input_schema: None,
        output_schema: None,
    };
    vec![
        tool("echo", None, "echo"),
        tool("echo", Some("my-server"), "mcp__my-server__echo"),
        tool("fail", Some("my server"), "mcp__my_server__fail"),
        // Its place is taken by the first tool.
        tool("echo", Some("echo"), "mcp__echo__echo"),
        tool("__proto__", Some("constructor"), "mcp__constructor____proto__"),
        tool("never", Some("my-server"), "mcp__my_server__never"),
    ]
}

fn with_discovery(source: &str) -> CellSpec {
    let definitions = definitions();
    CellSpec {
        tools: Arc::new(ToolCatalog::new(&definitions)),
        discovery: Some(Arc::new(Names(definitions))),
        ..spec(source)
    }
}

/// Runs a cell here and in a worker process, where it does the same.
fn run(source: &str) -> String {
    let report: Report = Trial::start(with_discovery(source)).finish();
    let report = print(report);
    // A process that is locked down starts no other.
    if std::env::var_os(LOCKED).is_none() {
        let isolated = Trial::start_in(&ISOLATED, with_discovery(source)).finish();
        assert_eq!(print(isolated), report, "isolated, and not");
    }
    report
}

fn check(source: &str, expected: Expect) {
    expected.assert_eq(&run(source));
}

#[test]
fn tools_are_found_by_namespace() {
    check(
        "text(await tools.my_server.echo({v: 1}));
         text(await tools.mcp__my_server__echo(2));
         text(Object.keys(tools)); text(Object.keys(tools.my_server));
         text([tools.my_server === tools.my_server, tools.my_server.echo === tools.my_server.echo, 'echo' in tools.my_server,
           'nope' in tools.my_server, typeof tools.echo, tools.echo.echo, tools.my_server.fail.name, typeof tools.constructor.__proto__].join(' '));
         const { echo } = tools.my_server; text(await echo('x'));
         text(tools.my_server);
         try { await tools.my_server.fail() } catch (e) { text([e.name, e.tool, e.message].join(' ')) }",
        expect![[r#"
            {"v":1}
            2
            ["echo","mcp__my_server__echo","mcp__my_server__fail","mcp__echo__echo","mcp__constructor____proto__","mcp__my_server__never","my_server","constructor"]
            ["echo","fail","never"]
            true true true false function  mcp__my_server__fail function
            x
            {"echo":"[Function: mcp__my_server__echo]","fail":"[Function: mcp__my_server__fail]","never":"[Function: mcp__my_server__never]"}
            ToolError mcp__my_server__fail denied
        "#]],
    );
}

#[test]
fn a_namespace_may_be_changed_by_the_cell() {
    check(
        "tools.my_server.echo = 1; delete tools.my_server.fail;
         text([tools.my_server.echo, tools.my_server.fail, Object.keys(tools.my_server), typeof tools.mcp__my_server__fail].join(' '));
         tools.my_server.own = 2; text(Object.keys(tools.my_server)); text(typeof tools.my_server.never);
         Object.defineProperty(tools.constructor, '__proto__', {value: 3}); text(tools.constructor.__proto__);
         tools.other = 4; text(Object.keys(tools)); text(tools.my_server.own);
         delete tools.my_server; text(typeof tools.my_server); tools.my_server = 5; text(tools.my_server)",
        expect![[r#"
            1  echo,never function
            ["echo","never","own"]
            function
            3
            ["echo","mcp__my_server__echo","mcp__my_server__fail","mcp__echo__echo","mcp__constructor____proto__","mcp__my_server__never","my_server","constructor","other"]
            2
            undefined
            5
        "#]],
    );
}

#[test]
fn names_that_are_not_there_bring_those_that_are() {
    for (source, expected) in [
        (
            "tools.my_server.ecko()",
            "hint: there is no tool my_server.ecko; did you mean tools.my_server.echo?",
        ),
        (
            "tools.my_server.xyz()",
            "hint: there is no tool xyz in tools.my_server; it has echo, fail, never",
        ),
        (
            "tools.my_servr.echo()",
            "hint: there is no my_servr in tools; did you mean tools.my_server?",
        ),
        (
            "tools.my_server()",
            "hint: tools.my_server has the tools of my_server, and is none: it has echo, fail, never",
        ),
        ("tools.ecko()", "hint: there is no tool ecko; did you mean tools.echo?"),
        ("tools.echo.echo()", "! TypeError: tools.echo.echo is not a function"),
        (
            "const x = undefined; x.y",
            "! TypeError: Cannot read properties of undefined (reading 'y')",
        ),
        (
            "describe_tool('my_server.ecko')",
            "there is no tool my_server.ecko; did you mean tools.my_server.echo?",
        ),
        (
            "describe_tool('my_servr.echo')",
            "there is no tool my_servr.echo; did you mean tools.my_server?",
        ),
        (
            "describe_tool('zzzz')",
            "there is no tool zzzz; search_tools(query) finds those there are",
        ),
        ("describe_tool('echo.echo')", "there is no tool echo.echo"),
        ("describe_tool('z'.repeat(1e6))", "there is no tool of such a long name"),
        ("describe_tool()", "describe_tool expects the name of a tool"),
        ("search_tools()", "search_tools expects words to look for"),
        ("search_tools('a', {limit: 0})", "search_tools expects a number above 0 as its limit"),
        ("search_tools('a', {get limit() { throw new RangeError('mine') }})", "! RangeError: mine"),
    ] {
        let report = run(source);
        assert!(report.contains(expected), "{source}: {report}");
    }
}

#[test]
fn tools_are_searched_and_described() {
    check(
        "text(search_tools('echo', {limit: 2}));
         text(search_tools('echo', 1).length + ' ' + search_tools('nothing').length + ' ' + search_tools('m', {limit: 1e9}).length + ' ' + search_tools('m', {}).length);
         for (const name of ['echo', 'tools.echo', 'my_server.echo', 'my-server.echo', 'tools.my_server.echo', 'mcp__my_server__echo',
           'mcp__my-server__echo', tools.my_server.echo, tools.echo, 'mcp__echo__echo']) text(describe_tool(name));
         text(ALL_TOOLS.length); text(search_tools('x'.repeat(1e6)).length);",
        expect![[r#"
            [{"name":"echo","signature":"tools.echo(a: 1): Promise<2>","description":"The tool echo."},{"name":"mcp__my_server__echo","signature":"tools.my_server.echo(a: 1): Promise<2>","description":"The tool mcp__my-server__echo."}]
            1 0 5 5
            declare echo
            declare echo
            declare my-server.echo
            declare my-server.echo
            declare my-server.echo
            declare my-server.echo
            declare my-server.echo
            declare my-server.echo
            declare echo
            declare echo.echo
            6
            0
        "#]],
    );
}

/// Whatever the cell does to the language, what it is told is so.
#[test]
fn what_is_found_cannot_be_forged() {
    check(
        "Object.defineProperty(Object.prototype, 'name', {set() { text('poisoned') }, get: () => 'poison'});
         Object.defineProperty(Array.prototype, '0', {set() { text('poisoned') }});
         Array.prototype.push = JSON.parse = JSON.stringify = Object.keys = () => { throw 'poisoned' };
         const [first] = search_tools('my'); text(first.name + first.signature); text(describe_tool(first.name));",
        expect![[r#"
            mcp__my_server__echotools.my_server.echo(a: 1): Promise<2>
            declare my-server.echo
        "#]],
    );
}

#[test]
fn without_it_nothing_of_it_is_there() {
    let without = CellSpec {
        discovery: None,
        ..with_discovery(
            "text([typeof search_tools, typeof describe_tool, tools.my_server, 'my_server' in tools, Object.keys(tools)].join(' '))",
        )
    };
    expect![[r#"
        undefined undefined  false echo,mcp__my_server__echo,mcp__my_server__fail,mcp__echo__echo,mcp__constructor____proto__,mcp__my_server__never
    "#]].assert_eq(&print(Trial::start(without).finish()));
}

/// What a cell can reach beyond what any cell can.
#[test]
fn nothing_more_is_reachable_than_is_listed() {
    let walk = include_str!("reachable.js");
    let lines = |report: &str| -> HashSet<String> { report.lines().map(str::to_owned).collect() };
    let mut tools = definitions();
    for (tool, name) in tools.iter_mut().zip(["echo", "fail", "never"]) {
        *tool = ToolDefinition {
            name: name.to_owned(),
            tool_name: ToolName::plain(name),
            ..tool.clone()
        };
    }
    let spec = CellSpec { tools: Arc::new(ToolCatalog::new(&tools)), ..spec(walk) };
    let plain = print(Trial::start(spec.clone()).finish());
    let discovery: Option<Arc<dyn Discovery>> = Some(Arc::new(Names(tools)));
    let with = print(Trial::start(CellSpec { discovery, ..spec }).finish());
    let [plain_lines, with_lines] = [&plain, &with].map(|report| lines(report));
    let mut changes: Vec<String> = with
        .lines()
        .filter(|line| !plain_lines.contains(*line))
        .map(|line| format!("+ {line}"))
        .collect();
    changes.extend(
        plain.lines().filter(|line| !with_lines.contains(*line)).map(|line| format!("- {line}")),
    );
    expect![[r#"
        + globalThis.search_tools: function search_tools
        + globalThis.describe_tool: function describe_tool
        + globalThis.tools.constructor: object
        + globalThis.tools.my_server: object
        + globalThis.tools.constructor.__proto__: function mcp__constructor____proto__
        + globalThis.tools.constructor.__proto__: object
        + globalThis.tools.my_server.never: function mcp__my_server__never
        + globalThis.tools.my_server.__proto__: object
        + globalThis.tools.constructor.__proto__.constructor: function (anonymous)
        + globalThis.tools.constructor.__proto__.__proto__ = globalThis.Object.prototype
        + globalThis.tools.my_server.__proto__.constructor: function (anonymous)
        + globalThis.tools.my_server.__proto__.__proto__ = globalThis.Object.prototype
        + globalThis.tools.constructor.__proto__.constructor.prototype = globalThis.tools.constructor.__proto__
        + globalThis.tools.my_server.__proto__.constructor.prototype = globalThis.tools.my_server.__proto__
    "#]]
    .assert_eq(&format!("{}\n", changes.join("\n")));
}
