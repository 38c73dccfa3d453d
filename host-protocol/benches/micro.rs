//! The pieces of the wire: frames, and the envelopes in them.

#![allow(missing_docs, reason = "criterion's macros make items without")]
#![allow(clippy::unwrap_used, reason = "a benchmark may end where it cannot go on")]

use std::{hint::black_box, time::Duration};

use codemode_host_protocol::{
    ClientToHost, Envelope as _, FrameDecoder, HEADER_LEN, HostToClient, RequestDecoder,
    encode_frame,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use serde_json::json;

criterion_group! {
    name = micro;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700))
        .sample_size(30)
        .without_plots();
    targets = frames, decoding, encoding
}
criterion_main!(micro);

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    for (name, size, count, chunk) in [
        ("1000 of 200 bytes", 200, 1000, 64 << 10),
        ("1 of 5 MB, in chunks of 64 KiB", 5_000_000, 1, 64 << 10),
    ] {
        let stream: Vec<u8> = (0..count)
            .flat_map(|_| {
                let mut frame = (size as u32).to_le_bytes().to_vec();
                frame.resize(HEADER_LEN + size, b'x');
                frame
            })
            .collect();
        group.throughput(Throughput::Bytes(stream.len() as u64));
        group.bench_function(format!("split {name}"), |bencher| {
            bencher.iter(|| {
                let mut decoder = FrameDecoder::new();
                let mut found = 0;
                for mut input in stream.chunks(chunk) {
                    while let Some(body) = decoder.next_frame(&mut input).unwrap() {
                        found += body.len();
                    }
                }
                assert_eq!(found, count * size);
            });
        });
    }
    group.finish();
}

fn decoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode");
    for (name, body) in [
        ("execute, 2 tools", execute(2)),
        ("execute, 200 tools", execute(200)),
        ("tool result, 40 bytes", tool_result("hello from a tool that says this much")),
        ("tool result, 5 MB", tool_result(&"a line of plain text, ".repeat(230_000))),
    ] {
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| ClientToHost::decode(black_box(&body)).unwrap());
        });
    }
    for count in [2, 200, 2000] {
        let body = execute(count);
        let mut decoder = RequestDecoder::new();
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(format!("execute, {count} tools, as the last"), |bencher| {
            bencher.iter(|| decoder.decode(black_box(&body)).unwrap());
        });
    }
    group.finish();
}

fn encoding(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode");
    let started = json!({
        "type": "operation/response", "id": 7,
        "result": {"status": "ok", "value": {"type": "execution/started", "cellId": "1"}},
    });
    let call = json!({
        "type": "delegate/request", "id": 9, "sessionId": "session-1",
        "request": {
            "type": "tool/invoke",
            "invocation": {
                "cell_id": "1", "runtime_tool_call_id": "tool-1",
                "tool_name": {"name": "echo", "namespace": null}, "tool_kind": "function",
                "input": {"i": 1, "text": "hello"},
            },
        },
    });
    let result = |text: &str| {
        json!({
            "type": "execute/initialResponse", "id": 7,
            "result": {"status": "ok", "value": {"Result": {
                "cell_id": "1", "content_items": [{"type": "input_text", "text": text}],
                "error_text": null, "result_buffered_for_ns": 0, "code_mode_host_duration_ns": 512_603,
            }}},
        })
    };
    for (name, message) in [
        ("execution started", started),
        ("tool call", call),
        ("result, 1 text", result("hi")),
        ("result, 5 MB", result(&"a line of plain text\n".repeat(240_000))),
    ] {
        let message = HostToClient::decode(message.to_string().as_bytes()).unwrap();
        let mut buffer = Vec::new();
        encode_frame(&message, &mut buffer).unwrap();
        group.throughput(Throughput::Bytes(buffer.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                buffer.clear();
                encode_frame(black_box(&message), &mut buffer).unwrap();
            });
        });
    }
    group.finish();
}

fn execute(tools: usize) -> Vec<u8> {
    let tool = |number| {
        json!({
            "name": format!("tool_{number}"),
            "tool_name": {"name": format!("tool_{number}"), "namespace": "server"},
            "description": "Finds what was asked for and says where it is, most recent first.",
            "kind": "function",
            "input_schema": {
                "type": "object",
                "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
                "required": ["query"],
            },
            "output_schema": null,
        })
    };
    let request = json!({
        "type": "operation/request",
        "id": 1,
        "request": {
            "method": "session/execute",
            "sessionId": "session-1",
            "request": {
                "tool_call_id": "call-1",
                "enabled_tools": (0..tools).map(tool).collect::<Vec<_>>(),
                "source": "text('hi')",
                "yield_time_ms": 10_000,
                "max_output_tokens": null,
            },
        },
    });
    request.to_string().into_bytes()
}

fn tool_result(text: &str) -> Vec<u8> {
    let answer = json!({
        "type": "delegate/response",
        "id": 1,
        "result": {
            "status": "ok",
            "value": {"type": "tool/result", "result": {"output": text}},
        },
    });
    answer.to_string().into_bytes()
}
