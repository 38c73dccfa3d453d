//! The global scope of one cell, before the cell runs in it.

use std::sync::OnceLock;

use v8::script_compiler::{self, CachedData, CompileOptions, NoCacheReason};

use crate::globals;

/// A fresh global scope: ECMAScript's own globals, ours, and nothing else.
pub(crate) struct Realm {
    pub(crate) context: v8::Global<v8::Context>,
    pub(crate) helpers: Helpers,
}

/// Functions of the bootstrap script.
pub(crate) struct Helpers {
    /// `(value) => string`: the value as a model should read it.
    pub(crate) render: v8::Global<v8::Function>,
    /// `(value) => string | undefined`: the value as JSON text.
    pub(crate) to_json: v8::Global<v8::Function>,
    /// Does nothing; calling it gives V8 the occasion to notice a termination.
    pub(crate) nothing: v8::Global<v8::Function>,
}

impl Realm {
    pub(crate) fn new(isolate: &mut v8::OwnedIsolate) -> Realm {
        v8::scope!(let scope, isolate);
        let context = v8::Context::new(scope, v8::ContextOptions::default());
        let scope = &mut v8::ContextScope::new(scope, context);
        // The bootstrap runs in an isolate that has never been told to stop, with room to spare: that it fails is a
        // fault of this crate, and no cell could run.
        let helpers = bootstrap(scope, context).expect("the bootstrap script runs");
        Realm { context: v8::Global::new(scope, context), helpers }
    }

    /// Keeps what V8 has made of the bootstrap script, unless that was done, so that isolates to come need not compile it: 18 µs each
    /// instead of 220. Takes 200 once.
    pub(crate) fn keep_code(&self, isolate: &mut v8::OwnedIsolate) {
        CODE.get_or_init(|| {
            v8::scope!(let scope, isolate);
            let context = v8::Local::new(scope, &self.context);
            let scope = &mut v8::ContextScope::new(scope, context);
            // V8 finds what it has compiled in this isolate.
            let code = compile(scope)?.get_unbound_script(scope).create_code_cache()?;
            Some(code.to_vec())
        });
    }
}

/// What was kept, if anything was: to be taken to a copy of this process that has not run a cell.
#[cfg(target_os = "linux")]
pub(crate) fn kept_code() -> Option<&'static [u8]> {
    CODE.get()?.as_deref()
}

/// Keeps what another process kept, which has the same program and has run no cell but our own. V8 takes it at its word.
#[cfg(target_os = "linux")]
pub(crate) fn adopt_code(code: Vec<u8>) {
    let _ = CODE.set(Some(code));
}

fn compile<'s>(scope: &mut v8::PinScope<'s, '_>) -> Option<v8::Local<'s, v8::Script>> {
    let text = v8::String::new_from_utf8(
        scope,
        include_bytes!("bootstrap.js"),
        v8::NewStringType::Normal,
    )?;
    let name = v8::String::new(scope, BOOTSTRAP_NAME)?;
    let origin =
        v8::ScriptOrigin::new(scope, name.into(), 0, 0, false, -1, None, false, false, false, None);
    let (mut source, options) = match CODE.get().and_then(Option::as_deref) {
        Some(code) => {
            let code = CachedData::new(code);
            let source = script_compiler::Source::new_with_cached_data(text, Some(&origin), code);
            // Compiles it after all if it was made by another V8, or with other flags.
            (source, CompileOptions::ConsumeCodeCache)
        }
        None => {
            let source = script_compiler::Source::new(text, Some(&origin));
            (source, CompileOptions::NoCompileOptions)
        }
    };
    let script = script_compiler::compile(scope, &mut source, options, NoCacheReason::NoReason);
    debug_assert!(source.get_cached_data().is_none_or(|code| !code.rejected()), "V8's own code");
    script
}

fn bootstrap<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    context: v8::Local<'s, v8::Context>,
) -> Option<Helpers> {
    let global = context.global(scope);
    globals::install(scope, global)?;
    let main = compile(scope)?.run(scope)?;
    let main = main.try_cast::<v8::Function>().ok()?;
    let kind_of = v8::Function::builder(globals::kind_of)
        .constructor_behavior(v8::ConstructorBehavior::Throw)
        .build(scope)?;
    let promise_hint = v8::String::new(scope, PROMISE_HINT)?;
    let undefined = v8::undefined(scope);
    let helpers = main
        .call(scope, undefined.into(), &[kind_of.into(), promise_hint.into()])?
        .try_cast::<v8::Object>()
        .ok()?;
    Some(Helpers {
        render: helper(scope, helpers, "render")?,
        to_json: helper(scope, helpers, "toJson")?,
        nothing: helper(scope, helpers, "nothing")?,
    })
}

fn helper(
    scope: &mut v8::PinScope<'_, '_>,
    helpers: v8::Local<'_, v8::Object>,
    name: &str,
) -> Option<v8::Global<v8::Function>> {
    let key = v8::String::new(scope, name)?;
    let function = helpers.get(scope, key.into())?.try_cast::<v8::Function>().ok()?;
    Some(v8::Global::new(scope, function))
}

/// The name of our own script; its frames are kept out of the cell's stack traces.
pub(crate) const BOOTSTRAP_NAME: &str = "codemode:bootstrap";

/// What V8 has made of the bootstrap script, with as many of its functions as had been called by then; `None` if it makes nothing of it.
static CODE: OnceLock<Option<Vec<u8>>> = OnceLock::new();

const PROMISE_HINT: &str = "[Promise: await it to see its value]";
