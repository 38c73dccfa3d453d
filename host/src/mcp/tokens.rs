//! Tokens that servers gave, kept for the next time.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use async_trait::async_trait;
use rmcp::transport::{AuthError, CredentialStore, StoredCredentials};
use sha2::{Digest as _, Sha256};

use super::HttpConfig;

/// The token of one server: a file that only its user can read.
pub(super) struct Tokens {
    file: PathBuf,
}

impl Tokens {
    /// Where the token of this server is, or would be.
    pub(super) fn of(config: &HttpConfig) -> Option<Tokens> {
        let folder = config.oauth.tokens.as_ref()?;
        let digest = Sha256::digest(config.url.as_str());
        let name: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        let host = config
            .url
            .host_str()
            .unwrap_or_default()
            .replace(|char: char| !char.is_ascii_alphanumeric(), "_");
        Some(Tokens { file: folder.join(format!("{host}-{name}.json")) })
    }

    fn read(&self) -> io::Result<Option<StoredCredentials>> {
        match fs::read(&self.file) {
            // What nobody can read any more is as good as absent: the next login writes it anew.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&self, credentials: &StoredCredentials) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(&self.file);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let temporary = self.file.with_extension(format!("{}.tmp", std::process::id()));
        let _ = fs::remove_file(&temporary);
        // Never readable to others, not for a moment.
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&serde_json::to_vec(credentials)?)?;
        file.sync_all()?;
        fs::rename(&temporary, &self.file)
    }
}

#[async_trait]
impl CredentialStore for Tokens {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        self.read().map_err(|error| self.failed("read", &error))
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        self.write(&credentials).map_err(|error| self.failed("written", &error))
    }

    async fn clear(&self) -> Result<(), AuthError> {
        match fs::remove_file(&self.file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("removed", &error))
            }
            _ => Ok(()),
        }
    }
}

impl Tokens {
    fn failed(&self, what: &str, error: &io::Error) -> AuthError {
        AuthError::CredentialStoreError(format!(
            "{} cannot be {what}: {error}",
            self.file.display()
        ))
    }
}
