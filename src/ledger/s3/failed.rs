//! What can go wrong between here and a bucket, and what to do about it.

use crate::ledger::error::LedgerError;

/// What kind of failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// Nobody is there, or the way there is broken: no connection came about.
    Unreachable,
    /// The connection broke, or the answer never came or was cut off.
    Broken,
    /// The store says that it cannot now (5xx, slow down).
    Overloaded,
    /// A condition of a write did not hold (412).
    Refused,
    /// Another write to the same name was under way (409).
    Busy,
    /// There are no credentials.
    NoCredentials,
    /// They could not be got.
    Credentials,
    /// They ran out.
    Expired,
    /// The store does not know them or the signature.
    Unknown,
    /// They may not do this.
    Denied,
    /// No region is set anywhere.
    NoRegion,
    /// The endpoint is no address.
    BadEndpoint,
    /// The bucket is not there.
    NoBucket,
    /// The bucket is in another region.
    OtherRegion,
    /// The clocks differ.
    Clock,
    /// What is asked for is not there.
    Missing,
    /// The store cannot do what is asked of it.
    Unsupported,
    /// Anything else.
    Other,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) why: Why,
    /// What was said, in words that may be shown.
    pub(super) text: String,
    /// The action that permissions are about, `s3:PutObject`, and what it was to act on.
    pub(super) action: Option<(&'static str, String)>,
    /// The region that the bucket is said to be in.
    pub(super) region: Option<String>,
}

/// How much of what a stranger says is shown.
const MAX_TEXT: usize = 300;

impl Failed {
    pub(super) fn new(why: Why, text: &str) -> Self {
        let mut text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect();
        text.truncate(text.trim_end_matches([' ', '.']).len());
        Self { why, text, action: None, region: None }
    }

    /// What an answer that is no success means.
    pub(super) fn answered(status: u16, said: &super::xml::Said, region: Option<String>) -> Self {
        let why = match (status, said.code.as_str()) {
            (412, _) => Why::Refused,
            (409, "ConditionalRequestConflict" | "OperationAborted" | "") => Why::Busy,
            (_, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired") => Why::Expired,
            (_, "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "InvalidToken" | "InvalidClientTokenId") => {
                Why::Unknown
            }
            (_, "RequestTimeTooSkewed") => Why::Clock,
            (_, "NoSuchBucket") => Why::NoBucket,
            (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "TemporaryRedirect") | (301 | 307, _) => {
                Why::OtherRegion
            }
            (404, _) => Why::Missing,
            (501, _) | (_, "NotImplemented") => Why::Unsupported,
            (401 | 403, _) => Why::Denied,
            (408 | 429 | 500..=599, _) | (_, "SlowDown" | "RequestTimeout" | "InternalError") => Why::Overloaded,
            _ => Why::Other,
        };
        let mut text = format!("{status}");
        for part in [&said.code, &said.message] {
            if !part.is_empty() {
                text.push(' ');
                text.push_str(part);
            }
        }
        Self { region: region.or_else(|| said.region.clone()), ..Self::new(why, &text) }
    }

    /// Whether the same call may do better in a moment.
    pub(super) fn is_passing(&self) -> bool {
        matches!(self.why, Why::Unreachable | Why::Broken | Why::Overloaded | Why::Busy)
    }

    /// Whether a write may have had its effect all the same. An answer that refuses is one that did nothing.
    pub(super) fn is_doubtful(&self) -> bool {
        matches!(self.why, Why::Broken | Why::Overloaded)
    }

    /// As a failure of the ledger.
    pub(super) fn into_error(self, place: &str, writing: bool) -> LedgerError {
        LedgerError::Unavailable {
            place: place.to_owned(),
            writing,
            reason: self.reason(),
            hint: self.hint().to_owned(),
        }
    }

    /// What is wrong, as a part of a sentence.
    pub(super) fn reason(&self) -> String {
        let Self { text, .. } = self;
        let action = self.action.as_ref().map(|(action, on)| format!("{action} on {on}"));
        let action = action.as_deref().unwrap_or("the request");
        match self.why {
            Why::Unreachable => format!("the store cannot be reached ({text})"),
            Why::Broken => format!("the store did not answer ({text})"),
            Why::Overloaded => format!("the store answered {text} to {action}, each time it was asked"),
            Why::Refused | Why::Busy => format!("the store refused {action} ({text})"),
            Why::NoCredentials => "there are no AWS credentials".to_owned(),
            Why::Credentials => format!("the AWS credentials cannot be got ({text})"),
            Why::Expired => "the AWS credentials have expired".to_owned(),
            Why::Unknown => format!("the store does not accept the AWS credentials ({text})"),
            Why::Denied => format!("the AWS credentials do not allow {action} ({text})"),
            Why::NoRegion => "no AWS region is set".to_owned(),
            Why::BadEndpoint => format!("the endpoint cannot be used: {text}"),
            Why::NoBucket => "there is no such bucket".to_owned(),
            Why::OtherRegion => match &self.region {
                Some(region) => format!("the bucket is in the region {region}"),
                None => "the bucket is in another region".to_owned(),
            },
            Why::Clock => "the clock of this machine and the store's differ by too much".to_owned(),
            Why::Missing => format!("{action} found nothing ({text})"),
            Why::Unsupported => format!("the store cannot do {action} ({text})"),
            Why::Other => format!("the store answered {text} to {action}"),
        }
    }

    /// What to do about it.
    fn hint(&self) -> String {
        match self.why {
            Why::Unreachable => "see that the endpoint is right and the network works, then run the command again",
            Why::Broken | Why::Overloaded | Why::Busy | Why::Refused => {
                "wait until the store answers again, then run the same command again: it goes on from what was recorded"
            }
            Why::NoCredentials => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a `profile` that has credentials, then run the command again"
            }
            Why::Credentials => "see that the profile is right (for SSO: aws sso login), then run the command again",
            Why::Expired => "get new ones (for SSO: aws sso login), then run the same command again",
            Why::Unknown => "see that the key belongs to this store, and that `endpoint` and `profile` are the ones you mean",
            Why::Denied => "allow it in the policy of the user or role; docs/state-s3.md lists what Gantry needs",
            Why::NoRegion => "set `region` in the block `state`, AWS_REGION, or a region in the profile",
            Why::BadEndpoint => "write `endpoint` as https://HOST or http://HOST:PORT",
            Why::NoBucket => "create the bucket, or see that `bucket`, `region` and the account are the ones you mean",
            Why::OtherRegion => {
                return match &self.region {
                    Some(region) => format!("set `region = \"{region}\"` in the block `state`"),
                    None => "set `region` in the block `state` to the bucket's".to_owned(),
                };
            }
            Why::Clock => "set this machine's clock (NTP), then run the command again",
            Why::Missing => "see that nobody removes the ledger's objects, then run `gantry state verify`",
            Why::Unsupported => "keep the ledger in a store that can: docs/state-s3.md says what is needed",
            Why::Other => "see what the store's documentation says about this answer",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::xml::Said;
    use super::*;

    #[test]
    fn what_a_stranger_says_is_shown_in_one_short_line() {
        let failed = Failed::new(Why::Other, &format!("a\u{1b}[31m\n{}", "x".repeat(1000)));
        assert!(failed.text.len() <= MAX_TEXT && !failed.text.contains(['\n', '\u{1b}']), "{}", failed.text);
    }

    #[test]
    fn answers_are_told_apart() {
        let said = |code: &str| Said { code: code.to_owned(), ..Said::default() };
        for (status, code, why) in [
            (412, "PreconditionFailed", Why::Refused),
            (409, "ConditionalRequestConflict", Why::Busy),
            (409, "BucketNotEmpty", Why::Other),
            (400, "ExpiredToken", Why::Expired),
            (403, "InvalidAccessKeyId", Why::Unknown),
            (403, "AccessDenied", Why::Denied),
            (403, "", Why::Denied),
            (403, "RequestTimeTooSkewed", Why::Clock),
            (404, "NoSuchBucket", Why::NoBucket),
            (404, "NoSuchKey", Why::Missing),
            (301, "", Why::OtherRegion),
            (400, "AuthorizationHeaderMalformed", Why::OtherRegion),
            (501, "NotImplemented", Why::Unsupported),
            (503, "SlowDown", Why::Overloaded),
            (500, "", Why::Overloaded),
            (400, "MalformedXML", Why::Other),
        ] {
            assert_eq!(Failed::answered(status, &said(code), None).why, why, "{status} {code}");
        }
    }
}
