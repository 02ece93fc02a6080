//! The little XML that S3 speaks.

use aws_smithy_xml::decode::{Document, ScopedDecoder, try_data};

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// Its whole key.
    pub(super) key: String,
    /// Its size in bytes.
    pub(super) size: u64,
}

/// One page of a listing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) objects: Vec<Listed>,
    /// What gives the next page.
    pub(super) next: Option<String>,
}

/// What an error says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: String,
    pub(super) message: String,
    pub(super) region: Option<String>,
}

fn text(element: &mut ScopedDecoder<'_, '_>) -> Result<String, String> {
    try_data(element).map(std::borrow::Cow::into_owned).map_err(|e| e.to_string())
}

fn walk(
    bytes: &[u8],
    root: &str,
    see: &mut dyn FnMut(&mut ScopedDecoder<'_, '_>) -> Result<(), String>,
) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    // The decoder takes the end of the text for the end of an element.
    if !text.trim_end().ends_with(&format!("</{root}>")) {
        return Err(format!("it does not end with </{root}>"));
    }
    let mut document = Document::new(text);
    let mut element = document.root_element().map_err(|e| e.to_string())?;
    if !element.start_el().matches(root) {
        return Err(format!("it is a <{}>, not a <{root}>", element.start_el().local()));
    }
    while let Some(mut child) = element.next_tag() {
        see(&mut child)?;
    }
    Ok(())
}

/// A page of `ListObjectsV2` with `encoding-type=url`.
pub(super) fn page(bytes: &[u8]) -> Result<Page, String> {
    let (mut page, mut truncated, mut next) = (Page::default(), None, None);
    walk(bytes, "ListBucketResult", &mut |child| {
        match child.start_el().local() {
            "IsTruncated" => truncated = Some(text(child)? == "true"),
            "NextContinuationToken" => next = Some(text(child)?),
            "Contents" => page.objects.push(listed(child)?),
            _ => {}
        }
        Ok(())
    })?;
    match truncated {
        None => Err("it does not say whether it is the last page".to_owned()),
        Some(true) if next.is_none() => Err("it says that there is more and not how to get it".to_owned()),
        Some(more) => Ok(Page { next: next.filter(|_| more), ..page }),
    }
}

fn listed(element: &mut ScopedDecoder<'_, '_>) -> Result<Listed, String> {
    let (mut key, mut size) = (None, None);
    while let Some(mut child) = element.next_tag() {
        match child.start_el().local() {
            "Key" => key = Some(text(&mut child)?),
            "Size" => size = text(&mut child)?.parse().ok(),
            _ => {}
        }
    }
    match (key, size) {
        (Some(key), Some(size)) => Ok(Listed { key: super::url::decode(&key)?, size }),
        _ => Err("an object in it has no key or no size".to_owned()),
    }
}

/// What the body of an error says. One that is no XML (a proxy's, an empty one) says nothing.
pub(super) fn said(bytes: &[u8]) -> Said {
    let mut said = Said::default();
    let read = walk(bytes, "Error", &mut |child| {
        match child.start_el().local() {
            "Code" => said.code = text(child)?,
            "Message" => said.message = text(child)?,
            "Region" => said.region = Some(text(child)?),
            _ => {}
        }
        Ok(())
    });
    drop(read);
    said
}

/// The text of one element directly below the root.
pub(super) fn field(bytes: &[u8], root: &str, name: &str) -> Result<String, String> {
    let mut found = None;
    walk(bytes, root, &mut |child| {
        if child.start_el().matches(name) {
            found = Some(text(child)?);
        }
        Ok(())
    })?;
    found.ok_or_else(|| format!("it has no <{name}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_keys_decoded() {
        let bytes = b"<?xml version=\"1.0\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
            <Name>b</Name><IsTruncated>true</IsTruncated><NextContinuationToken>a&amp;b</NextContinuationToken>\
            <Contents><Key>p/gr%C3%BCn+%2Bx</Key><ETag>&quot;e&quot;</ETag><Size>7</Size></Contents></ListBucketResult>";
        let listed = Listed { key: "p/gr\u{fc}n +x".to_owned(), size: 7 };
        assert_eq!(page(bytes), Ok(Page { objects: vec![listed], next: Some("a&b".to_owned()) }));
    }

    #[test]
    fn half_an_answer_is_no_listing() {
        let whole = b"<ListBucketResult><Contents><Key>a</Key><Size>1</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>";
        assert_eq!(page(whole).map(|p| p.objects.len()), Ok(1));
        for cut in 0..whole.len() - "</ListBucketResult>".len() {
            assert!(page(&whole[..cut]).is_err(), "cut at {cut}");
        }
        assert!(page(b"<ListBucketResult></ListBucketResult>").is_err());
        assert!(page(b"<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>").is_err());
        assert!(page(b"<html>welcome</html>").is_err());
    }

    #[test]
    fn an_error_says_what_it_says_or_nothing() {
        let bytes =
            b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-west-1</Region></Error>";
        let said_so = said(bytes);
        assert_eq!(
            (said_so.code.as_str(), said_so.region.as_deref()),
            ("AuthorizationHeaderMalformed", Some("eu-west-1"))
        );
        assert_eq!(said(b"<html>Bad gateway"), Said::default());
        assert_eq!(said(b""), Said::default());
    }
}
