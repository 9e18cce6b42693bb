//! Whether what is shipped beside the binary works: each file is given to the program that will read it, as far as that
//! program runs here, and the binary is started the way the file would start it.

mod compose;
mod server;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::dockerfile::Image;
use crate::run::{captured, command, said};
use crate::{image, repo, settings, test, tools};
use server::Server;

/// Above this (of 100) systemd calls a unit's exposure more than "OK"; ours stays below on purpose.
const MAX_EXPOSURE: &str = "35";

/// All checks of shipped files.
pub fn run() -> Result<()> {
    let example = read(".env.example")?;
    let problems = settings::problems(&example);
    ensure!(problems.is_empty(), ".env.example: {}", problems.join("; "));
    for name in settings::DOCUMENTS {
        let problems = settings::table_problems(&read(name)?);
        ensure!(problems.is_empty(), "{name}: {}", problems.join("; "));
    }
    println!(
        ".env.example: {} variables, all at their defaults",
        settings::SETTINGS.len()
    );

    compose::check(&read("compose.yaml")?).context("compose.yaml")?;
    println!("compose.yaml: parsed, both services boxed and ordered");

    systemd_unit()?;
    nginx_block()?;

    let (image, ignore) = image::shipped()?;
    println!("Dockerfile: stages, paths, user, environment and command are right");
    let binary = test::debug_binary()?;
    image::holds_all_that_is_built(&image, &ignore, &binary)?;
    start_as_copied(&example, &binary)?;
    start_as_in_the_image(&image, &binary)
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(repo::root().join(name)).with_context(|| format!("{name} is missing"))
}

/// `cp .env.example .env` and start: it must listen, answer and end well.
fn start_as_copied(example: &str, binary: &Path) -> Result<()> {
    let dir = repo::scratch("as-copied")?;
    fs::write(dir.join(".env"), example)?;
    let server = Server::start(binary, &dir, &[])?;
    let health = server.get("/health")?;
    ensure!(health.starts_with("HTTP/1.1 200"), "/health answers {health}");
    server.stop()?;
    println!(".env.example copied as it is: starts, answers /health, ends on SIGTERM");
    Ok(())
}

/// Starts with the Dockerfile's environment (another data folder, a free port) and runs its health check as written.
pub fn start_as_in_the_image(image: &Image, binary: &Path) -> Result<()> {
    let dir = repo::scratch("as-image")?;
    let data = dir.join("data");
    let data = data.to_str().context("the target folder's path is not UTF-8")?;
    let env: Vec<(&str, &str)> = image
        .env
        .iter()
        .filter(|(name, _)| name != "MIRA_PORT")
        .map(|(name, value)| {
            (
                name.as_str(),
                if name == "MIRA_DATA_DIR" { data } else { value.as_str() },
            )
        })
        .collect();
    let server = Server::start(binary, &dir, &env)?;
    let (program, args) = image.health.split_first().context("the health check is empty")?;
    let check = captured(command(program).args(args).env("MIRA_PORT", server.port.to_string()))?;
    ensure!(
        check.status.success(),
        "the image's health check fails on a healthy server: {}",
        said(&check)
    );
    server.stop()?;
    println!("Dockerfile: its environment starts the server and its health check passes");
    Ok(())
}

/// systemd's own verdict, on a copy whose program exists here.
fn systemd_unit() -> Result<()> {
    let analyze = tools::from_apt("systemd-analyze", "systemd")?;
    let shipped = read("deploy/mira.service")?;
    let program = "ExecStart=/opt/mira/mira-backend\n";
    ensure!(shipped.contains(program), "mira.service: {program} is missing");
    let copy = repo::scratch("systemd")?.join("mira.service");
    fs::write(&copy, shipped.replace(program, "ExecStart=/bin/true\n"))?;

    let verify = captured(command(&analyze).args(["verify", "--man=no"]).arg(&copy))?;
    // The user is made at installation; everything else systemd has to say is a finding.
    let text = said(&verify);
    let findings: Vec<&str> = text.lines().filter(|line| line.contains("mira.service")).collect();
    if !verify.status.success() || !findings.is_empty() {
        bail!("mira.service: systemd-analyze verify: {text}");
    }
    let security = captured(
        command(&analyze)
            .args(["security", "--offline=true", "--no-pager", "--threshold", MAX_EXPOSURE])
            .arg(&copy),
    )?;
    let text = said(&security);
    let verdict = text
        .lines()
        .next_back()
        .unwrap_or_default()
        .trim_start_matches(['→', ' ']);
    ensure!(
        security.status.success(),
        "mira.service is less hardened than it was: {verdict}"
    );
    println!("mira.service: verified, {verdict}");
    Ok(())
}

/// nginx's own verdict, on a copy with a certificate, ports and folders that are there.
fn nginx_block() -> Result<()> {
    let nginx = tools::nginx()?;
    let openssl = tools::from_apt("openssl", "openssl")?;
    let dir = repo::scratch("nginx")?;
    let path = |name: &str| dir.join(name).display().to_string();
    let made = captured(
        command(openssl)
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "1",
            ])
            .args([
                "-subj",
                "/CN=mira.example.org",
                "-keyout",
                &path("key.pem"),
                "-out",
                &path("cert.pem"),
            ]),
    )?;
    ensure!(made.status.success(), "openssl: {}", said(&made));

    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let shipped = read("deploy/nginx.conf")?;
    let lines: Vec<&str> = shipped
        .lines()
        .filter(|line| has_ipv6 || !line.contains("listen [::]"))
        .collect();
    let block = lines
        .join("\n")
        .replace(
            "/etc/letsencrypt/live/mira.example.org/fullchain.pem",
            &path("cert.pem"),
        )
        .replace("/etc/letsencrypt/live/mira.example.org/privkey.pem", &path("key.pem"))
        .replace(":80;", ":18080;")
        .replace("listen 80;", "listen 18080;")
        .replace(":443 ", ":18443 ")
        .replace("listen 443 ", "listen 18443 ");
    fs::write(dir.join("mira.conf"), block)?;
    let temp = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("  {kind}_temp_path {};\n", path(kind)))
        .concat();
    let main = format!(
        "pid {};\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n{temp}  include {};\n}}\n",
        path("nginx.pid"),
        path("mira.conf")
    );
    fs::write(dir.join("nginx.conf"), main)?;
    let verdict = captured(
        command(nginx)
            .args(["-t", "-e", "stderr", "-p"])
            .arg(&dir)
            .arg("-c")
            .arg(dir.join("nginx.conf")),
    )?;
    let text = said(&verdict);
    // Newer versions call `listen ... http2` deprecated; the older ones that Debian ships know no other way.
    let warned = text
        .lines()
        .any(|line| line.contains("[warn]") && !line.contains("http2"));
    ensure!(verdict.status.success() && !warned, "deploy/nginx.conf: {text}");
    println!("nginx.conf: nginx accepts it");
    Ok(())
}
