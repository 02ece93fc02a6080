//! Every crash point of the source, and who lets a process die there.

/// Who lets a process die at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Killer {
    /// The simulated world, at every passage.
    World,
    /// Real processes: `tests/it/kill.rs`.
    Process,
}

/// The points by name. A test compares them with the source.
pub(super) const POINTS: &[(&str, Killer)] = &[
    ("exec.act", Killer::World),
    ("exec.answer", Killer::World),
    ("exec.append", Killer::World),
    ("exec.appended", Killer::World),
    ("exec.find", Killer::World),
    ("exec.migrate", Killer::World),
    ("exec.open", Killer::World),
    ("exec.pin", Killer::World),
    ("exec.read", Killer::World),
    ("exec.recover", Killer::World),
    ("exec.recover_back", Killer::World),
    ("exec.revert", Killer::World),
    ("ledger.append.before", Killer::Process),
    ("ledger.append.synced", Killer::Process),
    ("ledger.append.written", Killer::Process),
    ("ledger.blob.named", Killer::Process),
    ("ledger.blob.synced", Killer::Process),
    ("ledger.blob.written", Killer::Process),
    ("ledger.create.linked", Killer::Process),
    ("ledger.create.synced", Killer::Process),
    ("ledger.create.written", Killer::Process),
    ("ledger.dir.created", Killer::Process),
    ("ledger.dir.synced", Killer::Process),
    ("ledger.lease.after", Killer::Process),
    ("ledger.lease.before", Killer::Process),
    ("ledger.predecessor.synced", Killer::Process),
    ("local_command start", Killer::Process),
    ("local_command started", Killer::Process),
    ("local_file delete", Killer::Process),
    ("local_file write", Killer::Process),
    ("migrate.alone_done", Killer::Process),
    ("migrate.alone_started", Killer::Process),
    ("migrate.begin", Killer::Process),
    ("migrate.begun", Killer::Process),
    ("migrate.commit", Killer::Process),
    ("migrate.committed", Killer::Process),
    ("migrate.revert_begin", Killer::Process),
    ("migrate.revert_commit", Killer::Process),
    ("migrate.reverted", Killer::Process),
    ("migrate.statement", Killer::Process),
    ("migrate.step_commit", Killer::Process),
    ("migrate.step_committed", Killer::Process),
    ("service answer", Killer::Process),
    ("service request", Killer::Process),
    ("service start", Killer::Process),
];
