//! Addresses: where a bucket is, and how the names in it are written.

use super::S3Settings;

/// Where requests for a bucket go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// `https://HOST` or `http://HOST:PORT`, with the path that an endpoint has, without a slash at the end.
    base: String,
    /// The bucket, where it stands in the path and not in the host's name.
    bucket: Option<String>,
}

/// Why an endpoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BadEndpoint(pub(super) String);

impl Place {
    /// The place of a bucket in a region, or at an endpoint.
    pub(super) fn new(settings: &S3Settings, endpoint: Option<&str>, region: &str) -> Result<Self, BadEndpoint> {
        let bucket = settings.bucket.as_str();
        // The certificate of Amazon's hosts is for one label before them.
        let plain = !bucket.contains('.');
        let Some(endpoint) = endpoint else {
            let host = format!("s3.{region}.{}", domain(region));
            return Ok(if plain && settings.force_path_style != Some(true) {
                Self { base: format!("https://{bucket}.{host}"), bucket: None }
            } else {
                Self { base: format!("https://{host}"), bucket: Some(bucket.to_owned()) }
            });
        };
        let url = checked(endpoint)?;
        let mut base = url.origin().ascii_serialization();
        // A server under an address of its own has no names below it, unless somebody says that it has.
        let path_style = settings.force_path_style.unwrap_or(true);
        if !path_style && let Some((scheme, host)) = base.split_once("://") {
            base = format!("{scheme}://{bucket}.{host}");
        }
        base.push_str(url.path().trim_end_matches('/'));
        Ok(Self { base, bucket: path_style.then(|| bucket.to_owned()) })
    }

    /// The address of an object, or of the bucket (`None`), with a query.
    pub(super) fn url(&self, key: Option<&str>, query: &[(&str, &str)]) -> String {
        let mut url = self.base.clone();
        for part in [self.bucket.as_deref(), key].into_iter().flatten() {
            url.push('/');
            url.push_str(&encode(part, true));
        }
        if key.is_none() && self.bucket.is_none() {
            url.push('/');
        }
        for (at, (name, value)) in query.iter().enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(&format!("{}={}", encode(name, false), encode(value, false)));
        }
        url
    }

    /// Scheme, host and port.
    pub(super) fn origin(&self) -> &str {
        &self.base
    }
}

/// An endpoint as an address that may be used and shown: no user, password, query or fragment.
pub(super) fn checked(endpoint: &str) -> Result<reqwest::Url, BadEndpoint> {
    let bad = |reason: &str| BadEndpoint(reason.to_owned());
    let url = reqwest::Url::parse(endpoint).map_err(|e| BadEndpoint(format!("it is no address: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(bad("it has to start with http:// or https:// and name a host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it holds a user name or a password, which belong into a profile or the environment"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("it must not have a query or a fragment"));
    }
    Ok(url)
}

fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

/// As the signature wants it: everything but letters, digits and `-._~` as `%XX`.
pub(super) fn encode(text: &str, keep_slash: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if keep_slash => out.push('/'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The opposite, as listings need it, which also write a space as `+`.
pub(super) fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let mut digit =
                    || rest.next().and_then(|d| char::from(d).to_digit(16)).and_then(|d| u8::try_from(d).ok());
                let (Some(high), Some(low)) = (digit(), digit()) else {
                    return Err(format!("the key {text:?} in it is not encoded as it should be"));
                };
                bytes.push(16 * high + low);
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).map_err(|_| format!("the key {text:?} in it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(bucket: &str, force_path_style: Option<bool>) -> S3Settings {
        S3Settings { bucket: bucket.to_owned(), force_path_style, ..S3Settings::default() }
    }

    fn url(bucket: &str, path_style: Option<bool>, endpoint: Option<&str>) -> String {
        let place = Place::new(&settings(bucket, path_style), endpoint, "eu-central-1").unwrap();
        place.url(Some("a b/\u{fc}+"), &[("list-type", "2"), ("prefix", "x/y")])
    }

    #[test]
    fn a_bucket_is_in_the_host_s_name_or_in_the_path() {
        let tail = "/a%20b/%C3%BC%2B?list-type=2&prefix=x%2Fy";
        assert_eq!(url("b", None, None), format!("https://b.s3.eu-central-1.amazonaws.com{tail}"));
        assert_eq!(url("b.c", None, None), format!("https://s3.eu-central-1.amazonaws.com/b.c{tail}"));
        assert_eq!(url("b", Some(true), None), format!("https://s3.eu-central-1.amazonaws.com/b{tail}"));
        assert_eq!(url("b", None, Some("http://127.0.0.1:9000/")), format!("http://127.0.0.1:9000/b{tail}"));
        assert_eq!(url("b", Some(false), Some("https://s3.example.org")), format!("https://b.s3.example.org{tail}"));
        assert_eq!(url("b", None, Some("https://example.org/s3/")), format!("https://example.org/s3/b{tail}"));
        let bucket = Place::new(&settings("b", None), None, "cn-north-1").unwrap();
        assert_eq!(bucket.url(None, &[]), "https://b.s3.cn-north-1.amazonaws.com.cn/");
    }

    #[test]
    fn an_endpoint_with_a_secret_or_without_a_host_is_refused() {
        for bad in
            ["", "s3.example.org", "ftp://x", "https://user:secret@x", "https://x?a=b", "https://x#a", "file:///x"]
        {
            let refused = Place::new(&settings("b", None), Some(bad), "r").unwrap_err();
            assert!(!refused.0.contains("secret"), "{refused:?}");
        }
    }

    #[test]
    fn what_is_encoded_comes_back() {
        let text = "a b+c%/\u{1f980}\"<>&\n";
        assert_eq!(decode(&encode(text, false)).unwrap(), text);
        assert!(decode("%zz").is_err() && decode("%f").is_err() && decode("%ff").is_err());
    }
}
