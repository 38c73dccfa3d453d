//! Who is measured.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use codemode_tests::Reference;

use crate::{error::Error, ourselves};

/// A host program with its arguments.
pub(crate) struct Subject {
    pub(crate) program: PathBuf,
    arguments: Vec<String>,
}

/// Our host, with its cells in worker processes and in its own, and the reference where there is one.
pub(crate) struct Subjects {
    pub(crate) isolated: Subject,
    pub(crate) in_process: Subject,
    pub(crate) reference: Option<Subject>,
}

/// Whose figure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Isolated,
    InProcess,
    Reference,
    Limit,
}

impl Subject {
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        command
    }

    /// The same, as the arguments of a command that runs it.
    pub(crate) fn under(&self, runner: &Command) -> Subject {
        let runner_arguments = runner.get_args().map(|argument| argument.to_string_lossy().into());
        Subject {
            program: runner.get_program().into(),
            arguments: runner_arguments.chain(self.arguments.iter().cloned()).collect(),
        }
    }

    /// The process that answers frames and does nothing else.
    pub(crate) fn echo() -> Result<Subject, Error> {
        Ok(Subject { program: ourselves()?, arguments: vec!["echo".to_owned()] })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.program.display().fmt(f)
    }
}

impl Subjects {
    /// `codemode` from beside this program; the reference from where [`Reference::fetch`] has it.
    pub(crate) fn find(host_args: &[String]) -> Result<Subjects, Error> {
        let ourselves = ourselves()?;
        let folder = ourselves.parent().unwrap_or(Path::new("."));
        let program = folder.join("codemode");
        if !program.exists() {
            return Err(Error::new(format!(
                "there is no {}: run `cargo xtask bench`, which builds it",
                program.display()
            )));
        }
        let ours = |isolation: &str| {
            let mut arguments = ["host", "--isolation", isolation].map(str::to_owned).to_vec();
            arguments.extend_from_slice(host_args);
            Subject { program: program.clone(), arguments }
        };
        let reference = Reference::fetch()
            .ok()
            .map(|reference| Subject { program: reference.host(), arguments: Vec::new() });
        Ok(Subjects { isolated: ours("process"), in_process: ours("none"), reference })
    }

    /// What the reader should know about who is missing.
    pub(crate) fn notice(&self) -> Option<&'static str> {
        self.reference.is_none().then_some(
            "no reference host: only our own figures. It comes from npm, or from the folder that \
             CODEMODE_REFERENCE names.",
        )
    }
}

impl Contender {
    pub(crate) const ALL: [Contender; 4] =
        [Contender::Isolated, Contender::InProcess, Contender::Reference, Contender::Limit];
}
