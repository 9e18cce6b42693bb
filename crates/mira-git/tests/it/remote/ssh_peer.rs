//! A real `sshd` on loopback, run as the present user with keys and a configuration of its own.

use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

/// Where systems put it; it is rarely in PATH, and it wants to be called by its full name.
const PLACES: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"];

/// A running sshd; ends with the value.
pub struct SshPeer {
    child: Child,
    pub port: u16,
    dir: PathBuf,
}

impl Drop for SshPeer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The program, or none where the system has none. The gate installs it, so there it always runs.
#[expect(clippy::print_stdout, reason = "a test that did not run says so")]
pub fn sshd() -> Option<&'static Path> {
    let found = PLACES.into_iter().map(Path::new).find(|path| path.is_file());
    if found.is_none() {
        println!("NOT RUN: there is no sshd here; install the package openssh-server");
    }
    found
}

/// A new key pair; what ssh-keygen wrote, private and public.
pub fn key(dir: &Path, name: &str, passphrase: &str) -> (String, String) {
    let path = dir.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", name, "-N", passphrase, "-f"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    (read(&path), read(&path.with_extension("pub")))
}

impl SshPeer {
    /// Lets in whoever has a key of `authorized`; shows the host key of that name, made when first named.
    pub fn serve(program: &Path, dir: &Path, host_key: &str, authorized: &str, port: Option<u16>) -> Self {
        fs::create_dir_all(dir).unwrap();
        if !dir.join(host_key).is_file() {
            key(dir, host_key, "");
        }
        fs::write(dir.join("authorized"), authorized).unwrap();
        // Run by root, it insists on a folder that a service manager makes otherwise.
        let separation = Path::new("/run/sshd");
        if !separation.exists() {
            fs::create_dir(separation).ok();
        }
        loop {
            let chosen = port.unwrap_or_else(free_port);
            if let Some(child) = start(program, dir, host_key, chosen) {
                return Self {
                    child,
                    port: chosen,
                    dir: dir.to_owned(),
                };
            }
        }
    }

    /// The same place with another host key, as somebody in the middle would have it.
    pub fn impostor(mut self, program: &Path) -> Self {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let authorized = fs::read_to_string(self.dir.join("authorized")).unwrap();
        Self::serve(program, &self.dir, "impostor", &authorized, Some(self.port))
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// `None` if the port was taken meanwhile.
fn start(program: &Path, dir: &Path, host_key: &str, port: u16) -> Option<Child> {
    let git = Command::new("git").arg("--exec-path").output().unwrap();
    let git = String::from_utf8(git.stdout).unwrap();
    let at = |name: &str| dir.join(name).display().to_string();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\n\
         UsePAM no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
         SetEnv PATH={}:/usr/local/bin:/usr/bin:/bin\nLogLevel VERBOSE\n",
        at(host_key),
        at("authorized"),
        git.trim()
    );
    fs::write(dir.join("config"), config).unwrap();
    let mut child = Command::new(program)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    loop {
        let mut line = String::new();
        if log.read_line(&mut line).unwrap() == 0 {
            child.wait().unwrap();
            assert!(said.contains("Address already in use"), "sshd: {said}");
            return None;
        }
        if line.contains("Server listening on") {
            break;
        }
        said.push_str(&line);
    }
    // It must never wait for somebody to read its log.
    thread::spawn(move || log.read_to_end(&mut Vec::new()).ok());
    Some(child)
}
