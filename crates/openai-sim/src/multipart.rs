//! Forms with files, as `POST /files` takes them (RFC 7578). Strict about the frame, deaf to headers it does not need.

use bytes::Bytes;

use crate::error::ApiError;

/// One field of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub name: String,
    pub filename: Option<String>,
    pub bytes: Bytes,
}

fn broken(why: &str) -> ApiError {
    ApiError::invalid("", format!("Could not parse multipart form: {why}.")).no_param()
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// The value of a parameter of a header line: `name="value"`.
fn parameter(line: &str, name: &str) -> Option<String> {
    let (_, rest) = line.split_once(&format!("; {name}=\""))?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The fields of a form of this content type.
pub(crate) fn fields(content_type: &str, body: &Bytes) -> Result<Vec<Field>, ApiError> {
    let boundary = content_type
        .strip_prefix("multipart/form-data")
        .and_then(|rest| rest.split_once("boundary="))
        .map(|(_, boundary)| boundary.trim_matches('"'))
        .ok_or_else(|| broken("no boundary"))?;
    let delimiter = format!("--{boundary}");
    let mut fields = Vec::new();
    if !body.starts_with(delimiter.as_bytes()) {
        return Err(broken("it does not begin with its boundary"));
    }
    let mut rest = body.slice(delimiter.len()..);
    loop {
        if rest.starts_with(b"--") {
            return Ok(fields);
        }
        if !rest.starts_with(b"\r\n") {
            return Err(broken("a boundary without an end of line"));
        }
        let part = rest.slice(2..);
        let head_end = find(&part, b"\r\n\r\n").ok_or_else(|| broken("a part without a head"))?;
        let head = String::from_utf8_lossy(part.get(..head_end).unwrap_or_default()).into_owned();
        let body = part.slice(head_end + 4..);
        let end = find(&body, format!("\r\n{delimiter}").as_bytes()).ok_or_else(|| broken("a part without an end"))?;
        let is_disposition = |line: &&str| line.to_ascii_lowercase().starts_with("content-disposition: form-data");
        let line = head
            .lines()
            .find(is_disposition)
            .ok_or_else(|| broken("a part without a name"))?;
        fields.push(Field {
            name: parameter(line, "name").ok_or_else(|| broken("a part without a name"))?,
            filename: parameter(line, "filename"),
            bytes: body.slice(..end),
        });
        rest = body.slice(end + 2 + delimiter.len()..);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expect: Option<&[(&str, Option<&str>, &str)]>) {
        let read = fields("multipart/form-data; boundary=x", &Bytes::from(body.to_owned())).ok();
        let expect = expect.map(|fields| {
            let field = |(name, filename, bytes): &(&str, Option<&str>, &str)| Field {
                name: (*name).to_owned(),
                filename: filename.map(str::to_owned),
                bytes: Bytes::from((*bytes).to_owned()),
            };
            fields.iter().map(field).collect::<Vec<_>>()
        });
        assert_eq!(read, expect, "{body:?}");
    }

    #[test]
    fn forms() {
        check(
            "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"n\"\r\ncontent-type: t\r\n\r\n\r\n--y\r\n--x--\r\n",
            Some(&[("a", None, "1"), ("f", Some("n"), "\r\n--y")]),
        );
        check("--x--\r\n", Some(&[]));
        check("", None);
        check("--x\r\n\r\n\r\n--x--", None);
        check("--x\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1", None);
    }
}
