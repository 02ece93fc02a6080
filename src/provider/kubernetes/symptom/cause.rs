//! What messages of kubelets, runtimes, schedulers and admission mean.
//!
//! They are meant for people and differ between runtimes and registries, so each test is for a piece of text that several
//! of them share, and whatever no test knows is taken for the passing kind: it costs a wait, never a wrong verdict.

use super::kinds::SymptomKind;

/// The registry, or the way to it, is at fault: it may answer in a moment.
const REGISTRY_PASSING: [&str; 20] = [
    "timeout",
    "timed out",
    "deadline exceeded",
    "too many requests",
    "toomanyrequests",
    "rate limit",
    "qps exceeded",
    "connection refused",
    "connection reset",
    "no such host",
    "no route to host",
    "network is unreachable",
    "temporary failure",
    "server misbehaving",
    "tls handshake",
    "unexpected eof",
    "internal server error",
    "bad gateway",
    "service unavailable",
    "no space left",
];

/// The image is not there, or not for these credentials.
const IMAGE_MISSING: [&str; 14] = [
    "not found",
    "manifest unknown",
    "name unknown",
    "does not exist",
    "no such image",
    "denied",
    "unauthorized",
    "authentication required",
    "no basic auth credentials",
    "no match for platform",
    "no matching manifest",
    "invalid reference",
    "couldn't parse image",
    "403 forbidden",
];

/// Whether an image can be had at all, from what its pull said. `image` is left out of the message first: names of images
/// may contain any of these words.
pub(super) fn of_image(reason: &str, message: &str, image: &str) -> SymptomKind {
    match reason {
        "InvalidImageName" | "ErrImageNeverPull" => return SymptomKind::ImageNotFound,
        "RegistryUnavailable" => return SymptomKind::ImageUnavailable,
        _ => {}
    }
    let said = without_names(&message.to_lowercase(), &image.to_lowercase());
    if says_any(&said, &REGISTRY_PASSING) || has_server_error(&said) {
        return SymptomKind::ImageUnavailable;
    }
    if says_any(&said, &IMAGE_MISSING) {
        return SymptomKind::ImageNotFound;
    }
    SymptomKind::ImageUnavailable
}

/// A message without the words that are names: of the image in any of its forms, and whatever has a slash. Whole words only,
/// since names are often short, and pieces of other words.
fn without_names(message: &str, image: &str) -> String {
    let base = repository(image).rsplit('/').next().unwrap_or_default();
    let is_name = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        word.contains('/') || word == image || repository(word) == base
    };
    message.split_whitespace().filter(|word| !is_name(word)).collect::<Vec<_>>().join(" ")
}

/// An image's name without tag and digest.
fn repository(image: &str) -> &str {
    let image = image.split_once('@').map_or(image, |(name, _)| name);
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => image,
    }
}

fn has_server_error(said: &str) -> bool {
    ["status code 5", "status: 5", "status 5", "http 5", "code: 5", "status code 429", "status: 429"]
        .iter()
        .any(|piece| said.contains(piece))
}

fn says_any(said: &str, pieces: &[&str]) -> bool {
    pieces.iter().any(|piece| said.contains(piece))
}

/// Whether a container that cannot be made will not be made by waiting a moment. The kubelet's own caches and the runtime's
/// slowness pass; krane's list has the first.
pub(super) fn is_lasting_config_error(message: &str) -> bool {
    let said = message.to_lowercase();
    !says_any(&said, &["cache", "deadline exceeded", "timed out", "timeout", "is reserved for", "already in use"])
}

/// What a pod that was not made died of.
pub(super) fn of_creation(message: &str) -> SymptomKind {
    let said = message.to_lowercase();
    if says_any(
        &said,
        &["failed calling webhook", "timeout", "deadline exceeded", "connection refused", "etcdserver", "try again"],
    ) {
        return SymptomKind::CreateFailing;
    }
    // The account may be made a moment later, by the same release.
    if said.contains("error looking up service account") {
        return SymptomKind::ConfigError;
    }
    if said.contains("exceeded quota") || said.contains("failed quota") {
        return SymptomKind::QuotaExceeded;
    }
    if says_any(&said, &["denied the request", "forbidden", "violates podsecurity", "is invalid", "denied request"]) {
        return SymptomKind::AdmissionDenied;
    }
    SymptomKind::CreateFailing
}

/// Reasons of the scheduler that stay while nodes come and go empty. Every other reason may pass when a pod ends.
const NODE_NEVER_FITS: [&str; 5] = [
    "didn't match pod's node affinity",
    "didn't match node selector",
    "untolerated taint",
    "had taint",
    "pod affinity rules",
];

/// Taints that nodes get for a while: they start, lose touch or are under pressure.
const PASSING_TAINTS: [&str; 2] = ["node.kubernetes.io/", "node.cloudprovider.kubernetes.io/"];

/// Why no node takes a pod, from the scheduler's `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had …`. It is
/// lasting only if that is so of every reason: one node that is merely full may have room in a moment.
pub(super) fn of_scheduling(message: &str) -> SymptomKind {
    let said = message.to_lowercase();
    if said.contains("persistentvolumeclaim") {
        // `persistentvolumeclaim "x" not found`, against one that is there and has no volume yet.
        return if said.contains("not found") { SymptomKind::Unschedulable } else { SymptomKind::VolumeSlow };
    }
    let Some((_, reasons)) = said.split_once("nodes are available:") else { return SymptomKind::NoRoom };
    let reasons = reasons.split("preemption:").next().unwrap_or_default();
    let mut any = false;
    for reason in
        reasons.split([',', '.']).map(str::trim).filter(|reason| reason.starts_with(|c: char| c.is_ascii_digit()))
    {
        any = true;
        let passes = reason.contains("taint") && says_any(reasons, &PASSING_TAINTS);
        if passes || !says_any(reason, &NODE_NEVER_FITS) || reason.contains("anti-affinity") {
            return SymptomKind::NoRoom;
        }
    }
    if any { SymptomKind::Unschedulable } else { SymptomKind::NoRoom }
}

/// Whether a volume cannot be mounted because what it is made of does not exist.
pub(super) fn of_volume(message: &str) -> SymptomKind {
    let said = message.to_lowercase();
    let names_object = says_any(&said, &["secret", "configmap", "persistentvolumeclaim", "references non-existent"]);
    let is_missing = says_any(&said, &["not found", "non-existent"]) && !says_any(&said, &["cache", "timed out"]);
    if names_object && is_missing { SymptomKind::VolumeProblem } else { SymptomKind::VolumeSlow }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_phrase_is_told_by_itself() {
        for phrase in REGISTRY_PASSING {
            let both = format!("not found: {}", phrase.to_uppercase());
            assert_eq!(of_image("ErrImagePull", &both, "shop/time:1"), SymptomKind::ImageUnavailable, "{phrase}");
        }
        for phrase in IMAGE_MISSING {
            assert_eq!(of_image("ErrImagePull", phrase, "i"), SymptomKind::ImageNotFound, "{phrase}");
        }
        for (reason, kind) in [
            ("InvalidImageName", SymptomKind::ImageNotFound),
            ("ErrImageNeverPull", SymptomKind::ImageNotFound),
            ("RegistryUnavailable", SymptomKind::ImageUnavailable),
            ("ErrImagePull", SymptomKind::ImageUnavailable),
        ] {
            assert_eq!(of_image(reason, "of no known cause", "i"), kind, "{reason}");
        }
        for phrase in NODE_NEVER_FITS {
            let message = format!("0/1 nodes are available: 1 node(s) {phrase}.");
            assert_eq!(of_scheduling(&message), SymptomKind::Unschedulable, "{phrase}");
        }
        assert_eq!(of_scheduling("0/1 nodes are available: something else."), SymptomKind::NoRoom);
        for phrase in ["cache", "deadline exceeded", "timed out", "timeout", "name is reserved for", "already in use"] {
            assert!(!is_lasting_config_error(phrase), "{phrase}");
        }
        for phrase in
            ["failed calling webhook", "timeout", "deadline exceeded", "connection refused", "etcdserver", "try again"]
        {
            assert_eq!(of_creation(&format!("forbidden: {phrase}")), SymptomKind::CreateFailing, "{phrase}");
        }
        for phrase in ["denied the request", "forbidden", "violates PodSecurity", "is invalid", "denied request"] {
            assert_eq!(of_creation(phrase), SymptomKind::AdmissionDenied, "{phrase}");
        }
        assert_eq!(of_creation("failed quota: q"), SymptomKind::QuotaExceeded);
    }
}
