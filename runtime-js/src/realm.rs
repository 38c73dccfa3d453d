//! The global scope of one cell, before the cell runs in it.

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
}

fn bootstrap<'s>(
    scope: &mut v8::PinScope<'s, '_>,
    context: v8::Local<'s, v8::Context>,
) -> Option<Helpers> {
    let global = context.global(scope);
    globals::install(scope, global)?;
    let source = v8::String::new_from_utf8(
        scope,
        include_bytes!("bootstrap.js"),
        v8::NewStringType::Normal,
    )?;
    let name = v8::String::new(scope, BOOTSTRAP_NAME)?;
    let origin =
        v8::ScriptOrigin::new(scope, name.into(), 0, 0, false, -1, None, false, false, false, None);
    let main = v8::Script::compile(scope, source, Some(&origin))?.run(scope)?;
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

const PROMISE_HINT: &str = "[Promise: await it to see its value]";
