//! Control groups (version 2), one for each worker, where this process may make some.
//!
//! They bound what nothing else does: memory of every kind, swap, and the number of threads. A host may make them when the
//! group that it runs in is its own: a systemd unit with `Delegate=yes`, or a container with a writable `/sys/fs/cgroup`.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use rustix::{fs::Access, process::Pid};

/// A group of this process's own, in which it makes one for each worker.
#[derive(Debug)]
pub struct Groups {
    folder: PathBuf,
}

impl Groups {
    /// Whether groups can be made. Changes nothing.
    ///
    /// # Errors
    /// Why not.
    pub fn find() -> Result<Groups, NoGroups> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|_| NoGroups::NoVersion2)?;
        let mounts =
            fs::read_to_string("/proc/self/mountinfo").map_err(|_| NoGroups::NoVersion2)?;
        let folder = own_folder(&own, &mounts).ok_or(NoGroups::NoVersion2)?;
        Groups::at(folder, std::process::id())
    }

    fn at(folder: PathBuf, pid: u32) -> Result<Groups, NoGroups> {
        let groups = Groups { folder };
        if !groups.has("cgroup.controllers", "memory") {
            return Err(NoGroups::NoMemoryController);
        }
        let writable = |file: &str| rustix::fs::access(groups.folder.join(file), Access::WRITE_OK);
        if writable("").and(writable("cgroup.subtree_control")).is_err() {
            return Err(NoGroups::NotDelegated);
        }
        // The kernel lets a group have processes or hand out controllers, and we move nobody but ourselves.
        let processes = fs::read_to_string(groups.folder.join("cgroup.procs")).unwrap_or_default();
        let alone = processes.split_whitespace().all(|process| process == pid.to_string());
        if !alone && !groups.has("cgroup.subtree_control", "memory") {
            return Err(NoGroups::NotAlone);
        }
        Ok(groups)
    }

    /// Makes ready for groups of workers: this process moves to one of its own, and the memory of others is counted.
    ///
    /// # Errors
    /// When the kernel does not let it; all is as it was then.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        self.sweep();
        if self.has("cgroup.subtree_control", "memory") {
            return Ok(());
        }
        let host = self.folder.join("codemode-host");
        make_folder(&host)?;
        let pid = std::process::id().to_string();
        fs::write(host.join("cgroup.procs"), &pid)?;
        let control = self.folder.join("cgroup.subtree_control");
        fs::write(&control, "+memory").inspect_err(|_| {
            let _ = fs::write(self.folder.join("cgroup.procs"), &pid);
            let _ = fs::remove_dir(&host);
        })?;
        // Not all who delegate memory delegate this.
        let _ = fs::write(&control, "+pids");
        Ok(())
    }

    /// A new group for one worker.
    ///
    /// # Errors
    /// When the kernel does not let it; then there is none.
    pub(crate) fn make(&self, memory_bytes: u64, threads: u64) -> io::Result<Group> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{WORKER}{}-{number}", std::process::id());
        let group = Group { folder: self.folder.join(name) };
        make_folder(&group.folder)?;
        group.set("memory.max", memory_bytes)?;
        // Not there without swap, without the controller, or on kernels before 4.19.
        let _ = group.set("memory.swap.max", 0);
        let _ = group.set("memory.oom.group", 1);
        let _ = group.set("pids.max", threads);
        Ok(group)
    }

    /// Removes the groups of workers whose host has gone and did not come to do so.
    fn sweep(&self) {
        let Ok(groups) = fs::read_dir(&self.folder) else { return };
        for group in groups.flatten() {
            let name = group.file_name();
            let host = name.to_str().and_then(|name| name.strip_prefix(WORKER)?.split('-').next());
            if host.is_some_and(|host| !Path::new("/proc").join(host).exists()) {
                let _ = fs::remove_dir(group.path());
            }
        }
    }

    fn has(&self, file: &str, controller: &str) -> bool {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        text.split_whitespace().any(|name| name == controller)
    }
}

/// The group of one worker. Dropping it ends what is in there, and removes it.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
}

impl Group {
    /// Puts a process there, with all of its threads.
    pub(crate) fn add(&self, pid: Pid) -> io::Result<()> {
        self.set("cgroup.procs", pid.as_raw_nonzero())
    }

    /// Whether the kernel ended a process in there for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
        killed.is_some_and(|count| count.trim() != "0")
    }

    fn set(&self, file: &str, value: impl std::fmt::Display) -> io::Result<()> {
        // Not `fs::write`, which makes the file where there is none.
        let mut file = fs::File::options().write(true).open(self.folder.join(file))?;
        io::Write::write_all(&mut file, value.to_string().as_bytes())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // On kernels before 5.14 there is no such file, and the worker was waited for anyway.
        let _ = self.set("cgroup.kill", 1);
        let _ = fs::remove_dir(&self.folder);
    }
}

/// Why there are no groups for workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoGroups {
    /// No mount of version 2.
    #[error("there are no control groups of version 2 here")]
    NoVersion2,
    /// Version 1 has it, or nobody.
    #[error("control groups of version 2 do not count memory here")]
    NoMemoryController,
    /// Somebody else's.
    #[error(
        "the control group of this process is not its own; in a systemd unit, `Delegate=yes` makes it so"
    )]
    NotDelegated,
    /// With others in it.
    #[error("other processes share the control group of this one")]
    NotAlone,
}

/// The memory in bytes that this process and all that it starts may use together, where its control groups bound that.
pub fn memory_of_this_process() -> Option<u64> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let version_2 = || {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        Some((own_folder(&own, &mounts)?, "memory.max"))
    };
    let version_1 = || {
        let path = own.lines().find_map(|line| line.split_once(":memory:/"))?.1;
        Some((Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"))
    };
    let bounds = [version_1(), version_2()].into_iter().flatten().flat_map(|(folder, file)| {
        // The group's own, and those of the groups that it is in.
        let folders: Vec<_> = folder.ancestors().map(|folder| folder.join(file)).collect();
        folders.into_iter().filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok())
    });
    // Version 1 says "none" with a figure near the largest.
    bounds.filter(|&bytes: &u64| bytes < 1 << 60).min()
}

/// The folder of this process's group, from its `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn own_folder(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let (root, point) = mounts.lines().find_map(|line| {
        let (mount, system) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        system.starts_with("cgroup2 ").then_some((mount.next()?, mount.next()?))
    })?;
    // Of a mount that shows a part of the tree, the path begins with that part.
    let within = Path::new(path).strip_prefix(root).ok()?;
    if within.components().any(|part| part == Component::ParentDir) {
        return None;
    }
    Some(Path::new(point).join(within))
}

fn make_folder(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// How the names of workers' groups begin.
const WORKER: &str = "codemode-worker-";

static NEXT: AtomicU64 = AtomicU64::new(1);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_own_group_is_found_in_what_proc_says() {
        const PLAIN: &str = "25 30 0:23 / /sys rw - sysfs sysfs rw\n35 25 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw";
        let find = |own, mounts| own_folder(own, mounts).map(|path| path.display().to_string());
        let cases = [
            ("0::/", PLAIN, Some("/sys/fs/cgroup/")),
            ("0::/user.slice/a.service\n", PLAIN, Some("/sys/fs/cgroup/user.slice/a.service")),
            (
                "9:memory:/x\n0::/",
                "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw",
                Some("/sys/fs/cgroup/unified/"),
            ),
            (
                "0::/pod/c1",
                "35 25 0:30 /pod /sys/fs/cgroup rw - cgroup2 none rw",
                Some("/sys/fs/cgroup/c1"),
            ),
            // Of a process that is in none of the groups that it sees.
            ("0::/../outside", PLAIN, None),
            ("0::/other", "35 25 0:30 /pod /sys/fs/cgroup rw - cgroup2 none rw", None),
            ("4:memory:/", PLAIN, None),
            ("0::/", "25 30 0:23 / /sys rw - sysfs sysfs rw", None),
        ];
        for (own, mounts, expected) in cases {
            assert_eq!(find(own, mounts).as_deref(), expected, "{own}");
        }
    }

    /// Files that stand for the kernel's: this tests what is decided, not what the kernel does.
    #[test]
    fn groups_are_made_only_where_they_are_ours() {
        let folder = std::env::temp_dir().join(format!("codemode-cgroup-{}", std::process::id()));
        let check = |controllers: &str, subtree: &str, processes: &str| {
            fs::create_dir_all(&folder).unwrap();
            for (file, text) in [
                ("cgroup.controllers", controllers),
                ("cgroup.subtree_control", subtree),
                ("cgroup.procs", processes),
            ] {
                fs::write(folder.join(file), text).unwrap();
            }
            Groups::at(folder.clone(), 77).map(drop)
        };
        assert_eq!(check("cpu pids", "", "77"), Err(NoGroups::NoMemoryController));
        assert_eq!(check("cpu memory", "", "77\n1234\n"), Err(NoGroups::NotAlone));
        assert_eq!(check("cpu memory", "memory", "77\n1234\n"), Ok(()));
        assert_eq!(check("memory pids", "", "77\n"), Ok(()));
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(Groups::at(folder, 77).map(drop), Err(NoGroups::NoMemoryController));
    }
}
