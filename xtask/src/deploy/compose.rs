//! compose.yaml, read as YAML: that it parses, and that no service has lost its box. There is no engine here to start it.

use anyhow::{Context, Result, ensure};
use yaml_rust2::{Yaml, YamlLoader};

/// Parses and checks.
pub fn check(text: &str) -> Result<()> {
    let documents = YamlLoader::load_from_str(text)?;
    let [file] = documents.as_slice() else {
        anyhow::bail!("one document expected")
    };
    for name in ["mira", "qdrant"] {
        let service = &file["services"][name];
        ensure!(!service.is_badvalue(), "there is no service `{name}`");
        boxed(service, &file["volumes"]).with_context(|| format!("service `{name}`"))?;
    }
    let (mira, qdrant) = (&file["services"]["mira"], &file["services"]["qdrant"]);
    ensure!(
        mira["depends_on"]["qdrant"]["condition"].as_str() == Some("service_healthy"),
        "mira waits for a healthy qdrant"
    );
    let ports = strings(&mira["ports"]);
    ensure!(
        !ports.is_empty() && ports.iter().all(|port| port.starts_with("127.0.0.1:")),
        "mira is published on 127.0.0.1 only"
    );
    ensure!(qdrant["ports"].is_badvalue(), "qdrant is not published");
    let image = qdrant["image"].as_str().unwrap_or_default();
    ensure!(
        image
            .rsplit_once(":v")
            .is_some_and(|(_, tag)| tag.split('.').count() == 3),
        "`{image}` is not pinned"
    );
    ensure!(
        !strings(&qdrant["healthcheck"]["test"]).is_empty(),
        "qdrant has no health check"
    );
    Ok(())
}

fn boxed(service: &Yaml, volumes: &Yaml) -> Result<()> {
    ensure!(
        service["read_only"].as_bool() == Some(true),
        "the root file system is writable"
    );
    ensure!(strings(&service["cap_drop"]) == ["ALL"], "it keeps capabilities");
    ensure!(
        strings(&service["security_opt"]) == ["no-new-privileges:true"],
        "it may gain privileges"
    );
    let mounted = strings(&service["volumes"]);
    ensure!(!mounted.is_empty(), "it has nowhere to write");
    for mount in mounted {
        let name = mount.split(':').next().unwrap_or_default();
        let declared = volumes
            .as_hash()
            .is_some_and(|volumes| volumes.contains_key(&Yaml::String(name.to_owned())));
        ensure!(declared, "the volume `{name}` is not declared");
    }
    Ok(())
}

fn strings(list: &Yaml) -> Vec<&str> {
    list.as_vec()
        .map(|list| list.iter().filter_map(Yaml::as_str).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::repo;
    use crate::run::{captured, command};

    fn shipped() -> String {
        std::fs::read_to_string(repo::root().join("compose.yaml")).unwrap()
    }

    #[test]
    fn each_lost_protection_is_named() {
        check(&shipped()).unwrap();
        for (from, to, says) in [
            (
                "read_only: true",
                "read_only: false",
                "service `mira`: the root file system is writable",
            ),
            (
                "cap_drop: [ALL]",
                "cap_drop: []",
                "service `mira`: it keeps capabilities",
            ),
            (
                "no-new-privileges:true",
                "no-new-privileges:false",
                "service `mira`: it may gain privileges",
            ),
            (
                "127.0.0.1:8080:8080",
                "8080:8080",
                "mira is published on 127.0.0.1 only",
            ),
            ("service_healthy", "service_started", "mira waits for a healthy qdrant"),
            (
                "qdrant/qdrant:v1.18.0",
                "qdrant/qdrant:latest",
                "`qdrant/qdrant:latest` is not pinned",
            ),
            (
                "- mira-data:/data",
                "- mira-date:/data",
                "service `mira`: the volume `mira-date` is not declared",
            ),
        ] {
            let text = shipped();
            assert!(text.contains(from), "{from}");
            assert_eq!(format!("{:#}", check(&text.replacen(from, to, 1)).unwrap_err()), says);
        }
        assert!(check("services: [").is_err());
    }

    /// Runs a health check's words against a listener that answers with this status (or, with `None`, is gone).
    fn health(words: &[String], status: Option<u16>, port_in: &str) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let words: Vec<String> = words.iter().map(|word| word.replace(port_in, &port)).collect();
        let peer = status.map(|status| {
            std::thread::spawn(move || {
                let (mut socket, _) = listener.accept().unwrap();
                let lines = BufReader::new(socket.try_clone().unwrap())
                    .lines()
                    .map_while(Result::ok);
                let request: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
                write!(socket, "HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n").unwrap();
                request
            })
        });
        let (program, args) = words.split_first().unwrap();
        let healthy = captured(command(program).args(args).env("MIRA_PORT", &port))
            .unwrap()
            .status
            .success();
        if let Some(peer) = peer {
            let request = peer.join().unwrap();
            assert!(request[0].starts_with("GET /"), "{request:?}");
            assert_eq!(request[1..], ["Host: 127.0.0.1", "Connection: close"]);
        }
        healthy
    }

    #[test]
    fn health_checks_tell_well_from_ill() {
        let (image, _) = crate::image::shipped().unwrap();
        let file = YamlLoader::load_from_str(&shipped()).unwrap();
        let test = strings(&file[0]["services"]["qdrant"]["healthcheck"]["test"]);
        // Compose keeps `CMD` for itself and writes a dollar as two.
        let qdrant: Vec<String> = test.iter().skip(1).map(|word| word.replace("$$", "$")).collect();
        for words in [image.health, qdrant] {
            assert!(health(&words, Some(200), "6333"));
            assert!(!health(&words, Some(503), "6333"));
            assert!(!health(&words, None, "6333"));
        }
    }
}
