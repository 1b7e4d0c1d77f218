//! What the terminal can show: width, colour, and characters beyond ASCII.

use std::io::{self, IsTerminal, Write};

const WIDTH_WITHOUT_TERMINAL: usize = 80;
const WIDEST: usize = 110;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// Characters in a line.
    pub width: usize,
    /// Whether colours and progress are welcome.
    pub rich: bool,
    /// Whether characters beyond ASCII are.
    pub unicode: bool,
}

/// The colours in use, by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Headings.
    Strong,
    /// What matters less.
    Faint,
    /// What is well, and Nowire itself.
    Good,
    /// What is missing or wrong.
    Bad,
}

impl Terminal {
    /// Plain ASCII of 80 columns: for pipes, files and tests.
    pub const PLAIN: Self = Self {
        width: WIDTH_WITHOUT_TERMINAL,
        rich: false,
        unicode: false,
    };

    /// What standard output can show; [`Terminal::PLAIN`] if it is no terminal
    /// or `plain` is asked for.
    ///
    /// `NO_COLOR` and `TERM=dumb` switch colours off.
    #[must_use]
    pub fn detect(plain: bool) -> Self {
        let stdout = io::stdout();
        if plain || !stdout.is_terminal() {
            return Self::PLAIN;
        }
        let columns = rustix::termios::tcgetwinsize(&stdout).map_or(0, |size| size.ws_col);
        let width = match usize::from(columns) {
            0 => WIDTH_WITHOUT_TERMINAL,
            columns => columns.min(WIDEST),
        };
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            width,
            rich: !dumb && !no_color,
            unicode: !dumb && locale_speaks_utf8(),
        }
    }

    /// `text` in the colour for `tone`, or as it is.
    #[must_use]
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        if !self.rich {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "1;32",
            Tone::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// `beautiful` where the terminal can show it, else `ascii`.
    #[must_use]
    pub fn either<'a>(&self, beautiful: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { beautiful } else { ascii }
    }
}

/// Writes `text` to standard output; a reader that has gone away is no error.
///
/// # Errors
/// Whatever else the operating system says.
pub fn print(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// An unset locale counts as UTF-8: containers rarely set one, and their
/// terminals are somebody's desktop.
fn locale_speaks_utf8() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_none_or(|locale| locale.to_ascii_lowercase().contains("utf"))
}

/// Breaks `text` into lines of at most `width` characters, between words where
/// it can.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let letters = word.chars().count();
        if used > 0 && used + 1 + letters <= width {
            line.push(' ');
            used += 1;
        } else if used > 0 {
            lines.push(std::mem::take(&mut line));
            used = 0;
        }
        for letter in word.chars() {
            if used == width.max(1) {
                lines.push(std::mem::take(&mut line));
                used = 0;
            }
            line.push(letter);
            used += 1;
        }
    }
    lines.push(line);
    lines
}
