//! `multipart/form-data`: how clients send a query with parameters too long for a URL.

use std::io::{self, Read};

use crate::chdb::Exception;
use crate::clickhouse::request::{Request, unsupported};

/// The boundary, if the content type is a form's.
pub(crate) fn boundary(content_type: &str) -> Option<&str> {
    let (kind, rest) = content_type.split_once(';')?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return None;
    }
    let boundary = rest.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?;
    Some(boundary.trim_matches('"')).filter(|boundary| !boundary.is_empty())
}

/// Reads a form of up to `max_bytes` as if its fields were parameters of the URL.
pub(crate) fn read(
    body: impl Read,
    boundary: &str,
    max_bytes: usize,
    request: &mut Request,
) -> Result<(), FormError> {
    let mut text = Vec::new();
    body.take(max_bytes as u64 + 1).read_to_end(&mut text)?;
    if text.len() > max_bytes {
        return Err(malformed("it is too long").into());
    }
    let delimiter = [b"\r\n--", boundary.as_bytes()].concat();
    // The first delimiter has no line end before it.
    let text = [b"\r\n", &text[..]].concat();
    let mut rest = find(&text, &delimiter).map(|at| &text[at + delimiter.len()..]);
    while let Some(part) = rest.filter(|rest| !rest.starts_with(b"--")) {
        let end = find(part, &delimiter).ok_or_else(|| malformed("a part has no end"))?;
        let (name, value) = field(&part[..end])?;
        request.set_param(name, value)?;
        rest = Some(&part[end + delimiter.len()..]);
    }
    rest.map(|_| ()).ok_or_else(|| malformed("its boundary is not in it").into())
}

/// Why a form was not read.
pub(crate) enum FormError {
    Read(io::Error),
    Refused(Exception),
}

impl From<io::Error> for FormError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Exception> for FormError {
    fn from(exception: Exception) -> Self {
        Self::Refused(exception)
    }
}

fn field(part: &[u8]) -> Result<(String, Vec<u8>), Exception> {
    let end = find(part, b"\r\n\r\n").ok_or_else(|| malformed("a part has no headers"))?;
    let headers = String::from_utf8_lossy(&part[..end]);
    if headers.contains("filename=") {
        return Err(unsupported("external tables"));
    }
    let name = headers
        .split_once("name=\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .ok_or_else(|| malformed("a part has no name"))?;
    Ok((name, part[end + 4..].to_vec()))
}

fn malformed(why: &str) -> Exception {
    Exception::new(36, "BAD_ARGUMENTS", &format!("cannot read the form: {why}"))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_form(form: &str) -> Result<Request, String> {
        let mut request = Request::default();
        match read(form.as_bytes(), "XX", 200, &mut request) {
            Ok(()) => Ok(request),
            Err(FormError::Refused(exception)) => Err(exception.message),
            Err(FormError::Read(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn fields_become_parameters() {
        let part = "Content-Disposition: form-data; name=";
        let request = read_form(&format!(
            "--XX\r\n{part}\"query\"\r\n\r\nSELECT\r\n1\r\n--XX\r\n{part}\"param_a\"\r\n\r\n\r\n--XX--\r\n"
        ));
        let request = request.unwrap();
        assert_eq!(request.query, b"SELECT\r\n1");
        assert_eq!(request.params, [(b"a".to_vec(), Vec::new())]);
    }

    #[test]
    fn damaged_forms_are_refused() {
        let long = "x".repeat(300);
        for form in ["", "--XX", "--XX\r\nname=\"a\"", "--XX\r\n\r\n\r\n\r\n--XX--", &long] {
            let error = read_form(form).err().unwrap_or_else(|| panic!("{form:?} was read"));
            assert!(error.contains("cannot read the form"), "{form:?}: {error}");
        }
        let file = "--XX\r\nname=\"t\"; filename=\"t\"\r\n\r\n1\r\n--XX--";
        assert!(read_form(file).is_err_and(|error| error.contains("external tables")));
    }

    #[test]
    fn only_forms_have_a_boundary() {
        assert_eq!(boundary("multipart/form-data; boundary=\"a b\""), Some("a b"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x; boundary=ab"), Some("ab"));
        assert_eq!(boundary("text/plain; boundary=ab"), None);
        assert_eq!(boundary("multipart/form-data; boundary="), None);
        assert_eq!(boundary("multipart/form-data"), None);
    }
}
