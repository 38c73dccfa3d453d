//! Sessions of clients that have no connection: each request stands alone, and names what it goes on with.

use std::{collections::HashMap, fmt::Write as _, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::client::Client;

/// Sessions by name. Who knows a name may use its session, so names cannot be guessed.
pub(super) struct Sessions {
    make: Box<dyn Fn(String) -> Client + Send + Sync>,
    open: Mutex<HashMap<String, Entry>>,
    idle: Duration,
    most: usize,
}

struct Entry {
    client: Arc<Client>,
    used_at: Instant,
}

impl Sessions {
    /// No sessions. One that was not used for `idle` ends.
    pub(super) fn new(
        idle: Duration,
        most: usize,
        make: impl Fn(String) -> Client + Send + Sync + 'static,
    ) -> Sessions {
        Sessions { make: Box::new(make), open: Mutex::default(), idle, most }
    }

    /// A new session.
    ///
    /// # Errors
    /// In words for the model, when there are too many.
    pub(super) fn begin(&self) -> Result<Lease<'_>, String> {
        let name = new_name().map_err(|error| format!("no session could be named: {error}"))?;
        let mut open = self.open.lock();
        if open.len() >= self.most {
            let most = self.most;
            return Err(format!(
                "this server has its {most} sessions; try again when some have ended"
            ));
        }
        let client = Arc::new((self.make)(name.clone()));
        let entry = Entry { client: Arc::clone(&client), used_at: Instant::now() };
        open.insert(name.clone(), entry);
        Ok(Lease { sessions: self, name, client })
    }

    /// The session of that name.
    ///
    /// # Errors
    /// In words for the model, when there is none.
    pub(super) fn find(&self, name: &str) -> Result<Lease<'_>, String> {
        let mut open = self.open.lock();
        let entry = open.get_mut(name).ok_or_else(|| {
            format!(
                "there is no session {name:?}: it ended, because nobody used it for {} or all of its cells were done \
                 and had stored nothing; exec without `session` begins another one",
                humantime::format_duration(self.idle)
            )
        })?;
        entry.used_at = Instant::now();
        Ok(Lease { sessions: self, name: name.to_owned(), client: Arc::clone(&entry.client) })
    }

    /// Ends the sessions that nobody has used for too long, for as long as it is polled.
    pub(super) async fn look_after(&self) {
        loop {
            tokio::time::sleep(self.idle / 4).await;
            let mut ended = Vec::new();
            self.open.lock().retain(|_, entry| {
                let idle =
                    Arc::strong_count(&entry.client) == 1 && entry.used_at.elapsed() > self.idle;
                if idle {
                    ended.push(Arc::clone(&entry.client));
                }
                !idle
            });
            for client in ended {
                client.close().await;
            }
        }
    }
}

/// The use of a session by one request.
pub(super) struct Lease<'a> {
    sessions: &'a Sessions,
    name: String,
    client: Arc<Client>,
}

impl Lease<'_> {
    pub(super) fn client(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut open = self.sessions.open.lock();
        let Some(entry) = open.get_mut(&self.name) else { return };
        entry.used_at = Instant::now();
        // The table has one, and this.
        let last = Arc::strong_count(&entry.client) == 2;
        let ended = (last && entry.client.is_idle()).then(|| open.remove(&self.name));
        drop(open);
        drop(ended);
    }
}

/// 128 bits from the system, as hexadecimal digits.
fn new_name() -> std::io::Result<String> {
    let mut bytes = [0_u8; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    if filled != bytes.len() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.iter().fold(String::new(), |mut name, byte| {
        let _ = write!(name, "{byte:02x}");
        name
    }))
}
