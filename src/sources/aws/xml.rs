//! A document of the query and REST-XML protocols as a tree: enough for
//! answers of a few fields. That it is one complete document was checked by
//! the guard before it comes here.

/// One element.
#[derive(Debug, Default, PartialEq)]
pub struct Node {
    pub name: String,
    pub text: String,
    pub children: Vec<Node>,
}

/// Nesting that is followed at most.
const DEEPEST: usize = 64;

impl Node {
    /// Reads a document; its root element.
    pub fn parse(body: &[u8]) -> Result<Node, String> {
        let text = std::str::from_utf8(body).map_err(|_| "XML that is not UTF-8".to_string())?;
        let mut open: Vec<Node> = vec![Node::default()];
        let mut rest = text;
        while let Some(at) = rest.find('<') {
            if let Some(node) = open.last_mut() {
                push_unescaped(&mut node.text, &rest[..at]);
            }
            rest = &rest[at..];
            if let Some(tail) = rest.strip_prefix("<![CDATA[") {
                let end = tail.find("]]>").ok_or("CDATA without an end")?;
                if let Some(node) = open.last_mut() {
                    node.text.push_str(&tail[..end]);
                }
                rest = &tail[end + 3..];
                continue;
            }
            if rest.starts_with("<!--") {
                rest = &rest[rest.find("-->").ok_or("comment without an end")? + 3..];
                continue;
            }
            let end = tag_end(rest).ok_or("tag without an end")?;
            let tag = &rest[1..end];
            rest = &rest[end + 1..];
            if tag.starts_with(['?', '!']) {
                continue;
            }
            if tag.starts_with('/') {
                let done = open.pop().ok_or("an element too many is closed")?;
                open.last_mut().ok_or("an element too many is closed")?.children.push(done);
                continue;
            }
            let name = tag.trim_end_matches('/').split_ascii_whitespace().next().unwrap_or_default();
            let name = name.rsplit(':').next().unwrap_or(name).to_string();
            let node = Node { name, ..Node::default() };
            if tag.ends_with('/') {
                if let Some(parent) = open.last_mut() {
                    parent.children.push(node);
                }
            } else {
                if open.len() >= DEEPEST {
                    return Err("XML nested too deep".into());
                }
                open.push(node);
            }
        }
        let mut document = open.pop().unwrap_or_default();
        if !open.is_empty() || document.children.len() != 1 {
            return Err("not one XML document".into());
        }
        document.children.pop().ok_or_else(|| "no XML".to_string())
    }

    /// The first child of this name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    /// The node at the end of a path of names.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, name| node.child(name))
    }

    /// Text of a child; empty when there is none.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |c| c.text.trim())
    }

    /// The members of a list child (`member`, or whatever they are called).
    pub fn members<'a>(&'a self, list: &str) -> impl Iterator<Item = &'a Node> {
        self.child(list).into_iter().flat_map(|l| l.children.iter())
    }

    /// All children of this name (flattened lists).
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |c| c.name == name)
    }
}

/// Offset of the `>` that ends a tag; one in a quoted value does not.
fn tag_end(text: &str) -> Option<usize> {
    let mut quote = None;
    for (i, b) in text.bytes().enumerate() {
        match (quote, b) {
            (Some(q), b) if b == q => quote = None,
            (None, b'"' | b'\'') => quote = Some(b),
            (None, b'>') => return Some(i),
            _ => {}
        }
    }
    None
}

fn push_unescaped(out: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(end) = rest.find(';').filter(|e| *e <= 10) else { break };
        let c = match &rest[1..end] {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "quot" => Some('"'),
            "apos" => Some('\''),
            n => n
                .strip_prefix("#x")
                .and_then(|h| u32::from_str_radix(h, 16).ok())
                .or_else(|| n.strip_prefix('#').and_then(|d| d.parse().ok()))
                .and_then(char::from_u32),
        };
        match c {
            Some(c) => out.push(c),
            None => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_entities_and_empty_elements() {
        let doc = r#"<?xml version="1.0"?><!-- <x> --><R xmlns="http://a/?b>c"><Result>
            <Groups><member><Name>a &amp; b &#x41;&#66;</Name><Empty/></member><member><Name><![CDATA[<c>]]></Name></member></Groups>
            <Flat>1</Flat><Flat>2</Flat></Result></R>"#;
        let root = Node::parse(doc.as_bytes()).unwrap();
        let result = root.child("Result").unwrap();
        let names: Vec<&str> = result.members("Groups").map(|m| m.text_of("Name")).collect();
        assert_eq!(names, ["a & b AB", "<c>"]);
        assert_eq!(result.all("Flat").count(), 2);
        assert_eq!(root.at(&["Result", "Groups"]).unwrap().children[0].text_of("Empty"), "");
        assert!(root.at(&["Result", "Nothing", "There"]).is_none());
    }

    #[test]
    fn refuses_what_is_no_document() {
        for bad in ["", "text", "<a>", "<a></a><b/>", "</a>", "<a><![CDATA[", "<a"] {
            assert!(Node::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        let deep = "<a>".repeat(1000);
        assert!(Node::parse(deep.as_bytes()).is_err());
        assert_eq!(Node::parse(b"<a>&nothing; & ;</a>").unwrap().text, "&nothing; & ;");
    }
}
