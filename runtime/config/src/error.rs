//! What is wrong with a configuration, and where.

use std::io;
use std::path::PathBuf;

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("coffer.toml is larger than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("coffer.toml, line {line}, column {column}: {message}")]
    Invalid { line: usize, column: usize, message: String },
    #[error("cannot write the configuration as TOML")]
    Encode(#[source] toml::ser::Error),
    #[error("the configuration disk: {0}")]
    Volume(&'static str),
    #[error("cannot read the configuration disk")]
    Disk(#[source] io::Error),
}

impl Error {
    /// Something wrong at an offset of the file.
    pub(crate) fn at(text: &[u8], offset: usize, message: impl Into<String>) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column =
            String::from_utf8_lossy(before.get(line_start..).unwrap_or_default()).chars().count() + 1;
        Self::Invalid { line, column, message: message.into() }
    }

    /// What the parser says, which is one sentence, sometimes over several lines.
    pub(crate) fn syntax(text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(text.len(), |span| span.start);
        Self::at(text.as_bytes(), offset, error.message().replace('\n', ", "))
    }
}
