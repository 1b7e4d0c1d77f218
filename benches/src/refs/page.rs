//! The page that shows the figures of a run.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

const BEGIN: &str = "<!-- run: begin -->\n";
const END: &str = "<!-- run: end -->";

/// Puts this between the two marks of a page, in place of what was there.
pub(crate) fn insert(path: &Path, text: &str) -> Result<()> {
    let page = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let page = replaced(&page, text)
        .with_context(|| format!("{} has not the marks for it", path.display()))?;
    fs::write(path, page).with_context(|| format!("writing {}", path.display()))
}

fn replaced(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let text = text.trim_end();
    Some(format!("{before}{BEGIN}```text\n{text}\n```\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_run_takes_the_place_of_an_earlier() -> Result<()> {
        let page = format!("above\n{BEGIN}{END}\nbelow\n");
        let first = replaced(&page, "1\n").context("no marks")?;
        let second = replaced(&first, "2\n").context("no marks")?;
        assert_eq!(
            second,
            format!("above\n{BEGIN}```text\n2\n```\n{END}\nbelow\n")
        );
        assert_eq!(replaced("no marks", "1"), None);
        Ok(())
    }
}
