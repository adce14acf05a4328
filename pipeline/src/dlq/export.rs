use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use serde::Serialize;
use volley_core::inspect::Text;

use super::{DlqError, Letter, letter::Original};
use crate::kafka::FetchedMessage;

/// What lies beside a value, as JSON.
#[derive(Serialize)]
struct Beside<'a> {
    #[serde(flatten)]
    letter: &'a Letter,
    key: Option<Text>,
    /// Of the original message, in order.
    headers: Vec<(&'a str, Option<Text>)>,
}

/// Writes a letter into `folder`: its value to `TOPIC-PARTITION-OFFSET.arrow`, where the letter lies,
/// and what is known beside it to the same name with `.json`. Files that are there already are
/// replaced only if `is_forced`.
///
/// # Errors
///
/// [`DlqError::Exists`], [`DlqError::Write`].
pub(crate) fn export(
    folder: &Path,
    topic: &str,
    letter: &Letter,
    message: FetchedMessage,
    is_forced: bool,
) -> Result<(), DlqError> {
    // A topic's name has no character that means something in a path.
    let stem = format!("{topic}-{}-{}", letter.id.partition, letter.id.offset);
    let original = Original::of(message);
    let headers = original.headers.iter();
    let beside = Beside {
        letter,
        key: original.key.as_deref().map(Text::from),
        headers: headers.map(|(name, value)| (&**name, value.as_deref().map(Text::from))).collect(),
    };
    let beside_path = folder.join(format!("{stem}.json"));
    let mut json = serde_json::to_vec_pretty(&beside)
        .map_err(|error| DlqError::Write { path: beside_path.clone(), source: error.into() })?;
    json.push(b'\n');
    if let Some(value) = &original.value {
        write(&folder.join(format!("{stem}.arrow")), value, is_forced)?;
    }
    write(&beside_path, &json, is_forced)
}

fn write(path: &Path, bytes: &[u8], is_forced: bool) -> Result<(), DlqError> {
    let written = (|| {
        if is_forced {
            // Not written through: it may be a link to a file elsewhere.
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        File::create_new(path)?.write_all(bytes)
    })();
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => DlqError::Exists { path: path.to_owned() },
        _ => DlqError::Write { path: path.to_owned(), source },
    })
}
