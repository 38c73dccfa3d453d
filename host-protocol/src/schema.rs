//! The JSON Schema and the TypeScript types in `schema/`, which are made from the types of this crate.
//!
//! They are made by tests and not by a build script: whoever builds the crate does not pay for it.

use std::{any::TypeId, collections::BTreeMap};

use expect_test::expect_file;
use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform},
};
use serde_json::Value;
use ts_rs::{Config, TS, TypeVisitor};

use crate::{ClientToHost, HostToClient};

#[test]
fn the_schema_of_what_a_client_sends_is_fresh() {
    // What a host takes: a field that may be null may be left out as well.
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let schema = schema::<ClientToHost>(settings, "client-to-host");
    expect_file!["../schema/client-to-host.schema.json"].assert_eq(&schema);
}

#[test]
fn the_schema_of_what_a_host_sends_is_fresh() {
    // What a host gives: a field that may be null is always there.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = schema::<HostToClient>(settings, "host-to-client");
    expect_file!["../schema/host-to-client.schema.json"].assert_eq(&schema);
}

#[test]
fn the_typescript_types_are_fresh() {
    let mut declarations = Declarations {
        config: Config::new().with_large_int("number"),
        seen: Vec::new(),
        by_name: BTreeMap::new(),
    };
    declarations.visit::<ClientToHost>();
    declarations.visit::<HostToClient>();
    let declarations: String = declarations.by_name.into_values().collect();
    expect_file!["../schema/protocol.ts"].assert_eq(&format!("{TYPESCRIPT_HEAD}{declarations}"));
}

fn schema<T: JsonSchema>(settings: SchemaSettings, name: &str) -> String {
    let mut schema = settings.into_generator().into_root_schema_for::<T>();
    RecursiveTransform(tidy).transform(&mut schema);
    schema.insert("$id".to_owned(), format!("urn:codemode:host-protocol:v1:{name}").into());
    format!("{schema:#}\n", schema = schema.as_value())
}

/// Says what holds for every object and every integer of the wire, and sets descriptions as running text.
fn tidy(schema: &mut Schema) {
    let range: Option<(Value, Value)> = match schema.get("format").and_then(Value::as_str) {
        Some("int64") => Some((i64::MIN.into(), i64::MAX.into())),
        Some("uint64") => Some((0.into(), u64::MAX.into())),
        Some("uint32") => Some((0.into(), u32::MAX.into())),
        _ => None,
    };
    if let Some((min, max)) = range {
        let object = schema.ensure_object();
        object.entry("minimum").or_insert(min);
        object.entry("maximum").or_insert(max);
    }
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace('\n', " ");
    }
}

/// Collects the declaration of each type once. They are put in the order of their names, because the order
/// in which `ts-rs` visits them is another one with each build.
struct Declarations {
    config: Config,
    seen: Vec<TypeId>,
    by_name: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        let named = T::output_path().is_some();
        let id = TypeId::of::<T::WithoutGenerics>();
        if named && self.seen.contains(&id) {
            return;
        }
        self.seen.push(id);
        T::visit_dependencies(self);
        T::visit_generics(self);
        if named {
            let docs = T::docs().unwrap_or_default();
            let declaration = set(&T::decl(&self.config));
            let text = format!("\n{docs}export {declaration}\n");
            self.by_name.insert(T::ident(&self.config), text);
        }
    }
}

/// Sets a declaration with one field to a line, below its comment.
fn set(declaration: &str) -> String {
    let closed = declaration.replace(", }", ",\n}");
    let mut text = String::new();
    for line in closed.lines() {
        if !text.is_empty() {
            text.push_str(if line.starts_with('}') { "\n" } else { "\n  " });
        }
        text.push_str(line.trim_end());
    }
    text
}

const TYPESCRIPT_HEAD: &str = "\
// The messages of the host protocol, V1. Made from the Rust types; do not edit.
//
// Integers of up to 64 bits are `number` here, as JSON.parse makes them: durations in nanoseconds stay exact
// for 104 days. An id that is above Number.MAX_SAFE_INTEGER is one that you have chosen yourself.
";
