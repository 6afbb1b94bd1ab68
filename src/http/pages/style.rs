//! Which styles a page may have: hashes for its `Content-Security-Policy` (CSP3 §6.7.3.3).

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// The sources of `style-src` that allow the `<style>` elements of these templates alone.
pub(super) fn allowed<'a>(templates: impl Iterator<Item = &'a str>) -> String {
    let hashes: BTreeSet<String> = templates.flat_map(hashes).collect();
    if hashes.is_empty() {
        return "'none'".to_owned();
    }
    hashes.into_iter().collect::<Vec<_>>().join(" ")
}

fn hashes(template: &str) -> Vec<String> {
    // Browsers hash what their parser made of it, which knows line feeds alone.
    let template = template.replace("\r\n", "\n");
    // Lower case in ASCII keeps every byte where it was.
    let lower = template.to_ascii_lowercase();
    let mut hashes = Vec::new();
    let mut from = 0;
    while let Some((start, end)) = next_element(&lower, from) {
        let digest = Sha256::digest(&template.as_bytes()[start..end]);
        hashes.push(format!("'sha256-{}'", STANDARD.encode(digest)));
        from = end;
    }
    hashes
}

// Where the content of the next element begins and ends.
fn next_element(lower: &str, from: usize) -> Option<(usize, usize)> {
    let tag = from + lower.get(from..)?.find("<style")?;
    let start = tag + lower.get(tag..)?.find('>')? + 1;
    let end = start + lower.get(start..)?.find("</style")?;
    Some((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_style_element_is_allowed_by_its_hash() {
        // printf %s 'p{color:red}' | openssl dgst -sha256 -binary | base64
        const RED: &str = "'sha256-p0bF+un5yUb9MBO6xRb8kPHlY2BdpHVtLiFkDrZPF64='";
        let page = "<STYLE media=\"all\">p{color:red}</STYLE ><style>\r\n</style>";
        let allowed = allowed([page, page].into_iter());
        assert!(allowed.contains(RED), "{allowed}");
        assert_eq!(allowed.split(' ').count(), 2);
    }

    #[test]
    fn a_page_without_style_may_have_none() {
        for page in ["", "<p>", "<style>p{}", "<style"] {
            assert_eq!(allowed([page].into_iter()), "'none'", "{page}");
        }
    }
}
