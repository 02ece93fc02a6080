//! The kinds of symptoms.

use jiff::Timestamp;

/// What is wrong, by how much patience it deserves. In the order in which one is shown if there are several: the surest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum SymptomKind {
    /// The image does not exist, or may not be pulled with these credentials.
    ImageNotFound,
    /// A container cannot be made: a Secret or ConfigMap, or a key in it, is missing.
    ConfigError,
    /// A container cannot be started: its command does not exist or cannot be executed.
    RunContainerError,
    /// A quota is exhausted: pods are not made.
    QuotaExceeded,
    /// Admission refuses the pods: a policy, a webhook, the pod security standard.
    AdmissionDenied,
    /// A container ends again and again.
    CrashLoop,
    /// An init container ends otherwise than well, again and again.
    InitContainerFailing,
    /// A volume cannot be mounted, since the Secret, ConfigMap or claim it is made of does not exist.
    VolumeProblem,
    /// No node fits, and none of them would if it were empty.
    Unschedulable,
    /// Pods fail as a whole: evicted, preempted, refused by their node.
    Evicted,
    /// An image exists perhaps, but the registry does not give it now.
    ImageUnavailable,
    /// Pods are not made for a reason that may pass: a webhook that does not answer.
    CreateFailing,
    /// No node has room now.
    NoRoom,
    /// A volume takes its time: it is being provisioned, attached, or detached elsewhere.
    VolumeSlow,
    /// An autoscaler is bringing a node.
    ScalingUp,
    /// Attempts of a job have failed; the job itself says when it gives up.
    JobFailing,
    /// A probe fails.
    ProbeFailing,
}

impl SymptomKind {
    /// All kinds.
    pub(crate) const ALL: [Self; 17] = [
        Self::ImageNotFound,
        Self::ConfigError,
        Self::RunContainerError,
        Self::QuotaExceeded,
        Self::AdmissionDenied,
        Self::CrashLoop,
        Self::InitContainerFailing,
        Self::VolumeProblem,
        Self::Unschedulable,
        Self::Evicted,
        Self::ImageUnavailable,
        Self::CreateFailing,
        Self::NoRoom,
        Self::VolumeSlow,
        Self::ScalingUp,
        Self::JobFailing,
        Self::ProbeFailing,
    ];

    /// The kind of a name.
    #[must_use]
    pub(crate) fn named(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    /// The name that a configuration gives it.
    #[must_use]
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::ImageNotFound => "image_not_found",
            Self::ConfigError => "config_error",
            Self::RunContainerError => "run_container_error",
            Self::QuotaExceeded => "quota_exceeded",
            Self::AdmissionDenied => "admission_denied",
            Self::CrashLoop => "crash_loop",
            Self::InitContainerFailing => "init_container_failing",
            Self::VolumeProblem => "volume_problem",
            Self::Unschedulable => "unschedulable",
            Self::Evicted => "evicted",
            Self::ImageUnavailable => "image_unavailable",
            Self::CreateFailing => "create_failing",
            Self::NoRoom => "no_room",
            Self::VolumeSlow => "volume_slow",
            Self::ScalingUp => "scaling_up",
            Self::JobFailing => "job_failing",
            Self::ProbeFailing => "probe_failing",
        }
    }
}

/// Something that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Symptom {
    /// What.
    pub(crate) kind: SymptomKind,
    /// With what: "pod web-abc container api".
    pub(crate) object: String,
    /// How often it was reported: ends of a container, attempts to pull, events.
    pub(crate) count: u32,
    /// Since when, as the cluster's clock has it, if it says.
    pub(crate) since: Option<Timestamp>,
    /// Whether another pod of the new version is ready. Then it is less sure that the version is at fault, and not a node.
    pub(crate) peers_ready: bool,
    /// All of it, for people.
    pub(crate) sentence: String,
}
