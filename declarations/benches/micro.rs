//! Declarations of many tools, and a search among them.

#![allow(missing_docs, reason = "criterion's macros make items without")]
#![allow(clippy::unwrap_used, reason = "a benchmark may end where it cannot go on")]

use std::{hint::black_box, time::Duration};

use codemode_declarations::{ToolIndex, describe, render, render_within};
use codemode_host_protocol::{Json, ToolDefinition, ToolKind, ToolName};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

criterion_group! {
    name = micro;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .sample_size(20)
        .without_plots();
    targets = declarations, searching
}
criterion_main!(micro);

fn declarations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("declarations");
    for count in [1, 100, 1000] {
        let tools = tools(count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(format!("render {count}"), |bencher| {
            bencher.iter(|| render(black_box(&tools)));
        });
    }
    let tools = tools(1000);
    group.bench_function("render 1000 in 4000 tokens", |bencher| {
        bencher.iter(|| render_within(black_box(&tools), 4000));
    });
    group.bench_function("describe 1 of 1000", |bencher| {
        bencher.iter(|| describe(black_box(&tools), 500));
    });
    group.finish();
}

fn searching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("search");
    let tools = tools(1000);
    group.bench_function("index 1000", |bencher| {
        bencher.iter(|| ToolIndex::new(black_box(&tools)));
    });
    let index = ToolIndex::new(&tools);
    group.bench_function("1000 for two words", |bencher| {
        bencher.iter(|| index.search(black_box("recent issues"), 10));
    });
    group.finish();
}

/// As an agent with many MCP servers has them.
fn tools(count: usize) -> Vec<ToolDefinition> {
    let words = ["issue", "file", "commit", "message", "page", "user", "query", "label"];
    let verbs = ["list", "find", "create", "update", "delete"];
    let tool = |number: usize| {
        let (verb, word) = (verbs[number % verbs.len()], words[number % words.len()]);
        let schema = json!({
            "type": "object",
            "properties": {
                "owner": {"type": "string", "description": "Whose it is"},
                "limit": {"type": "integer", "minimum": 1, "default": 20},
                "state": {"enum": ["open", "closed", "all"]},
                word: {
                    "type": "object",
                    "properties": {
                        "title": {"type": "string"},
                        "labels": {"type": "array", "items": {"type": "string"}},
                    },
                    "required": ["title"],
                },
            },
            "required": ["owner"],
        });
        ToolDefinition {
            name: format!("server_{}_{verb}_{word}_{number}", number % 20),
            tool_name: ToolName {
                name: format!("{verb}_{word}_{number}"),
                namespace: Some(format!("server_{}", number % 20)),
            },
            description: format!("Can {verb} any {word}s that were asked for, most recent first."),
            kind: ToolKind::Function,
            input_schema: Some(Json::from_value(&schema).unwrap()),
            output_schema: None,
        }
    };
    (0..count).map(tool).collect()
}
