//! git's own `http-backend` on loopback: a bridge from HTTP to CGI, with Basic auth if asked for, and ways to be slow or
//! odd. One thread per connection.

use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    collections::HashMap,
    ffi::OsStr,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    thread,
};

/// How the server treats its callers.
#[derive(Clone, Default)]
pub struct Manners {
    /// The value of `Authorization` it wants.
    pub wants: Option<String>,
    /// After that many bytes of a pack it says nothing more.
    pub stalls_after: Option<usize>,
    /// Requests below the first are redirected to below the second.
    pub moved: Option<(String, String)>,
    /// Answers everything with a web page.
    pub is_a_page: bool,
}

impl Manners {
    /// Lets in the one user of the tests.
    pub fn guarded() -> Self {
        let basic = STANDARD.encode(format!("me:{}", super::support::PASSWORD));
        Self {
            wants: Some(format!("Basic {basic}")),
            ..Self::default()
        }
    }
}

/// A running server; it ends with the test process.
pub struct HttpPeer {
    pub address: SocketAddr,
    /// Method, path, transfer coding, and whether credentials came along.
    pub seen: Arc<Mutex<Vec<String>>>,
}

impl HttpPeer {
    pub fn serve(root: &Path, manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Arc<Mutex<Vec<String>>> = Arc::default();
        let (log, root) = (Arc::clone(&seen), root.to_owned());
        thread::spawn(move || {
            for socket in listener.incoming() {
                let Ok(socket) = socket else { return };
                let call = Call {
                    root: root.clone(),
                    manners: manners.clone(),
                    log: Arc::clone(&log),
                };
                // A caller that hangs up in the middle is no failure of the test.
                thread::spawn(move || call.answer(socket).ok());
            }
        });
        Self { address, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

struct Call {
    root: PathBuf,
    manners: Manners,
    log: Arc<Mutex<Vec<String>>>,
}

impl Call {
    fn answer(&self, mut socket: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(socket.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(());
        };
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let body = read_body(&mut reader, &headers)?;
        let credentials = headers.get("authorization");
        let coding = headers.get("transfer-encoding").map_or("-", String::as_str);
        let shown = if credentials.is_some() {
            "with credentials"
        } else {
            "without"
        };
        self.log
            .lock()
            .unwrap()
            .push(format!("{method} {target} {coding} {shown}"));

        if let Some((from, to)) = &self.manners.moved
            && let Some(rest) = target.strip_prefix(from.as_str())
        {
            return write!(
                socket,
                "HTTP/1.1 302 Found\r\nLocation: {to}{rest}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        if self.manners.is_a_page {
            return write!(
                socket,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n<p>hello"
            );
        }
        if self.manners.wants.is_some() && self.manners.wants.as_ref() != credentials {
            return write!(
                socket,
                "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            );
        }
        self.cgi(socket, reader, &method, &target, &headers, body)
    }

    fn cgi(
        &self,
        mut socket: TcpStream,
        mut reader: BufReader<TcpStream>,
        method: &str,
        target: &str,
        headers: &HashMap<String, String>,
        body: Vec<u8>,
    ) -> std::io::Result<()> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut child = Command::new("git")
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("REQUEST_METHOD", method)
            .env("PATH_INFO", OsStr::from_bytes(&decoded(path)))
            .env("QUERY_STRING", query)
            .env("CONTENT_TYPE", headers.get("content-type").map_or("", String::as_str))
            .env("CONTENT_LENGTH", body.len().to_string())
            .env("REMOTE_USER", "me")
            .env("REMOTE_ADDR", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut input = child.stdin.take().unwrap();
        let feeding = thread::spawn(move || input.write_all(&body).ok());
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut status, mut head) = ("200 OK".to_owned(), String::new());
        loop {
            let mut line = String::new();
            output.read_line(&mut line)?;
            let line = line.trim_end();
            match line.strip_prefix("Status: ") {
                Some(found) => found.clone_into(&mut status),
                None if line.is_empty() => break,
                None => head.extend([line, "\r\n"]),
            }
        }
        write!(socket, "HTTP/1.1 {status}\r\n{head}Connection: close\r\n\r\n")?;
        let mut sent = 0;
        let mut piece = [0; 16 * 1024];
        loop {
            let mut length = output.read(&mut piece)?;
            if length == 0 {
                break;
            }
            let stall = self.manners.stalls_after.filter(|_| method == "POST");
            if let Some(limit) = stall {
                length = length.min(limit.saturating_sub(sent).max(1));
            }
            socket.write_all(&piece[..length])?;
            sent += length;
            if stall.is_some_and(|limit| sent >= limit) {
                // Until the other side hangs up.
                reader.read_to_end(&mut Vec::new())?;
                break;
            }
        }
        child.kill().ok();
        child.wait()?;
        feeding.join().unwrap();
        Ok(())
    }
}

/// What a web server makes of a path before it hands it on.
fn decoded(path: &str) -> Vec<u8> {
    let mut parts = path.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        bytes.push(u8::from_str_radix(hex, 16).unwrap());
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

fn read_body(reader: &mut impl BufRead, headers: &HashMap<String, String>) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if headers
        .get("transfer-encoding")
        .is_some_and(|coding| coding == "chunked")
    {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).unwrap_or(0);
            reader.take(size).read_to_end(&mut body)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                return Ok(body);
            }
        }
    }
    let length = headers
        .get("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    reader.take(length).read_to_end(&mut body)?;
    Ok(body)
}
