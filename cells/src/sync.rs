//! What threads share, and what runs beside them.
//!
//! With the feature `shuttle` the tests of this crate have shuttle's in their place, and a scripted engine, so that the
//! interleavings of a cell's life can be tried: see `interleavings.rs`.

#[cfg(not(all(test, feature = "shuttle")))]
pub(crate) use {
    codemode_runtime_js::Cell as EngineCell,
    parking_lot::{Condvar, Mutex, MutexGuard},
    std::sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize},
    },
    tokio::{runtime::Handle as Runtime, task::AbortHandle, time::sleep},
};

#[cfg(all(test, feature = "shuttle"))]
pub(crate) use explored::*;

#[cfg(all(test, feature = "shuttle"))]
mod explored {
    #![allow(clippy::unwrap_used)]

    use std::{
        ops::{Deref, DerefMut},
        time::Duration,
    };

    pub(crate) use shuttle::{
        future::AbortHandle,
        sync::atomic::{AtomicBool, AtomicU64, AtomicUsize},
    };

    pub(crate) use crate::interleavings::EngineCell;

    /// With the face of `parking_lot`'s.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(shuttle::sync::Mutex<T>);

    /// Absent while a condition is waited for.
    pub(crate) struct MutexGuard<'a, T>(Option<shuttle::sync::MutexGuard<'a, T>>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(shuttle::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            MutexGuard(Some(self.0.lock().unwrap()))
        }

        pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok().map(|guard| MutexGuard(Some(guard)))
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.0.as_ref().unwrap()
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.0.as_mut().unwrap()
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(shuttle::sync::Condvar);

    /// Nobody waits in vain here: a wait that would is found as a deadlock.
    pub(crate) struct Waited;

    impl Waited {
        pub(crate) fn timed_out(&self) -> bool {
            false
        }
    }

    impl Condvar {
        pub(crate) fn new() -> Condvar {
            Condvar::default()
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            guard.0 = Some(self.0.wait(guard.0.take().unwrap()).unwrap());
        }

        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, _: Duration) -> Waited {
            self.wait(guard);
            Waited
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }

    /// The value is the standard library's; who looks for it, and who waits, goes through a lock of shuttle's.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        is_set: Mutex<bool>,
        set: Condvar,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> OnceLock<T> {
            OnceLock {
                value: std::sync::OnceLock::new(),
                is_set: Mutex::default(),
                set: Condvar::new(),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            let _guard = self.is_set.lock();
            self.value.get()
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            let mut is_set = self.is_set.lock();
            self.value.set(value)?;
            *is_set = true;
            self.set.notify_all();
            Ok(())
        }

        pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
            let _ = self.set(make());
            self.wait()
        }

        pub(crate) fn wait(&self) -> &T {
            let mut is_set = self.is_set.lock();
            while !*is_set {
                self.set.wait(&mut is_set);
            }
            self.value.get().unwrap()
        }
    }

    /// In the place of a handle of tokio's runtime.
    pub(crate) struct Runtime;

    impl Runtime {
        pub(crate) fn enter(&self) -> Entered {
            Entered
        }

        pub(crate) fn spawn<F>(&self, future: F) -> shuttle::future::JoinHandle<F::Output>
        where
            F: Future<Output: Send + 'static> + Send + 'static,
        {
            shuttle::future::spawn(future)
        }
    }

    impl From<tokio::runtime::Handle> for Runtime {
        fn from(_: tokio::runtime::Handle) -> Runtime {
            Runtime
        }
    }

    impl From<codemode_runtime_js::Cell> for EngineCell {
        fn from(_: codemode_runtime_js::Cell) -> EngineCell {
            unreachable!("no cell of the engine's runs here")
        }
    }

    pub(crate) struct Entered;

    /// Any time may pass until it goes on, none too.
    pub(crate) async fn sleep(_: Duration) {
        shuttle::future::yield_now().await;
    }
}
