//! Is an answer all there? The SDK's XML reader takes a document that ends in
//! the middle for a short one, and its JSON reader takes an empty body for an
//! empty list; a target list cut in half would then read as "no targets".
//! Each answer is checked to be one complete document before it is believed.

/// How a service writes its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    Xml,
    Json,
}

/// Says what is wrong with a document that is not complete.
pub fn check(wire: Wire, body: &[u8]) -> Result<(), String> {
    match wire {
        Wire::Xml => xml(body),
        Wire::Json => json(body),
    }
}

fn json(body: &[u8]) -> Result<(), String> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err("empty body where JSON was due".into());
    }
    match serde_json::from_slice::<serde::de::IgnoredAny>(body) {
        Ok(_) => Ok(()),
        Err(e) if e.is_eof() => Err(format!("JSON cut off after {} bytes", body.len())),
        Err(e) => Err(format!("not JSON: {e}")),
    }
}

/// Every element that was opened is closed, in order, and one root is there.
/// Comments, CDATA, declarations and attribute values are skipped as such.
fn xml(body: &[u8]) -> Result<(), String> {
    let cut = || format!("XML cut off after {} bytes", body.len());
    let mut open: Vec<&[u8]> = Vec::new();
    let mut roots = 0;
    let mut rest = body;
    while let Some(at) = rest.iter().position(|b| *b == b'<') {
        if open.is_empty() && !blank(&rest[..at]) {
            return Err("not XML".into());
        }
        rest = &rest[at..];
        let end = if rest.starts_with(b"<!--") {
            after(rest, b"-->")
        } else if rest.starts_with(b"<![CDATA[") {
            after(rest, b"]]>")
        } else if rest.starts_with(b"<?") {
            after(rest, b"?>")
        } else {
            tag_end(rest)
        };
        let Some(end) = end else { return Err(cut()) };
        let tag = &rest[..end];
        rest = &rest[end..];
        if tag.starts_with(b"<!") || tag.starts_with(b"<?") {
            continue;
        }
        if let Some(name) = tag.strip_prefix(b"</") {
            let name = name[..name.len() - 1].trim_ascii_end();
            if open.pop() != Some(name) {
                return Err(format!("XML closes {} out of order", String::from_utf8_lossy(name)));
            }
            continue;
        }
        if open.is_empty() {
            roots += 1;
        }
        if !tag.ends_with(b"/>") {
            let name = tag[1..tag.len() - 1].split(u8::is_ascii_whitespace).next().unwrap_or_default();
            open.push(name);
        }
    }
    if !open.is_empty() {
        return Err(cut());
    }
    match roots {
        1 if blank(rest) => Ok(()),
        0 if body.is_empty() => Err("empty body where XML was due".into()),
        _ => Err("not one XML document".into()),
    }
}

fn blank(bytes: &[u8]) -> bool {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).iter().all(u8::is_ascii_whitespace)
}

/// Offset just past the first `mark`.
fn after(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|w| w == mark).map(|at| at + mark.len())
}

/// Offset just past the `>` that ends a tag; one in a quoted value does not.
fn tag_end(bytes: &[u8]) -> Option<usize> {
    let mut quote = None;
    for (i, b) in bytes.iter().enumerate() {
        match (quote, *b) {
            (Some(q), b) if b == q => quote = None,
            (None, b'"' | b'\'') => quote = Some(*b),
            (None, b'>') => return Some(i + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const XML: &str = r#"<?xml version="1.0"?>
<!-- <not> counted -->
<DescribeTargetHealthResponse xmlns="http://x/?a>b"><DescribeTargetHealthResult><TargetHealthDescriptions>
<member><Target><Id>i-1</Id></Target><Empty/><Text><![CDATA[</member> & <x>]]></Text></member>
</TargetHealthDescriptions></DescribeTargetHealthResult ></DescribeTargetHealthResponse>
"#;

    #[test]
    fn whole_documents_pass() {
        check(Wire::Xml, XML.as_bytes()).unwrap();
        check(Wire::Xml, b"<a/>").unwrap();
        check(Wire::Json, b" {\"logGroups\":[{\"a\":\"}\"}]} ").unwrap();
        check(Wire::Json, b"{}").unwrap();
    }

    #[test]
    fn a_document_cut_anywhere_is_refused() {
        let end = XML.trim_end().len();
        for cut in 0..end {
            assert!(check(Wire::Xml, &XML.as_bytes()[..cut]).is_err(), "{}", &XML[..cut]);
        }
        let json = br#"{"logGroups":[{"logGroupName":"/app/\u0041"}],"n":12.5,"t":true}"#;
        for cut in 0..json.len() {
            assert!(check(Wire::Json, &json[..cut]).is_err());
        }
    }

    #[test]
    fn other_documents_are_refused() {
        for body in ["", " ", "upstream error", "<a></b>", "<a/><b/>", "<a></a>x", "x<a/>"] {
            assert!(check(Wire::Xml, body.as_bytes()).is_err(), "{body}");
        }
        for body in ["", "\n", "<html></html>", "{} {}", "{\"a\":}"] {
            assert!(check(Wire::Json, body.as_bytes()).is_err(), "{body}");
        }
    }
}
