//! Libraries of Python and JavaScript: each is used by a script that ends with 0 when all holds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::bench::Bench;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// How long a script may take on a machine that is busy compiling.
const WITHIN: Duration = Duration::from_mins(2);

#[tokio::test]
async fn requests_oauthlib_does_every_flow_it_knows() {
    run("python", "use_requests_oauthlib.py").await;
}

#[tokio::test]
async fn authlib_does_every_flow_it_knows() {
    run("python", "use_authlib.py").await;
}

#[tokio::test]
async fn an_eve_program_that_reads_redis_lets_in_who_bears_a_live_token_of_a_user() {
    run("python", "use_eve.py").await;
}

#[tokio::test]
async fn oauth4webapi_does_every_flow_it_knows() {
    run("javascript", "use_oauth4webapi.mjs").await;
}

#[tokio::test]
async fn openid_client_does_every_flow_it_knows() {
    run("javascript", "use_openid_client.mjs").await;
}

#[tokio::test]
async fn simple_oauth2_does_every_flow_it_knows() {
    run("javascript", "use_simple_oauth2.mjs").await;
}

async fn run(language: &str, script: &str) {
    let libraries = libraries().await;
    let mut bench = Bench::start().await;
    let server = bench.describe().await.to_string();
    let place = &mut bench.place;
    // Beside the libraries, since that is where modules of JavaScript are looked for.
    for file in fs::read_dir(Path::new(FOLDER).join(language)).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        place.write(name, fs::read(&path).unwrap());
    }
    symlink(libraries.join("node_modules"), place.path("node_modules")).unwrap();
    place.write("server.json", server);
    place.set("PYTHONPATH", libraries.join("python").to_str().unwrap());
    let authority = place.path("ca.pem");
    for variable in ["REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"] {
        place.set(variable, authority.to_str().unwrap());
    }
    let program = match language {
        "python" => "python3 -s -B".to_owned(),
        _ => format!("'{}'", libraries.join("bin/node").display()),
    };
    let running = place.start_shell(&format!("exec {program} {script}"));
    let ended = running.ended(WITHIN).await;
    assert_eq!(ended.code, Some(0), "\n{}{}", ended.out, ended.err);
}

/// Where the libraries are, installed if they are not.
async fn libraries() -> &'static Path {
    static LIBRARIES: OnceCell<Result<PathBuf, String>> = OnceCell::const_new();
    let install = || async { spawn_blocking(install).await.unwrap() };
    let installed = LIBRARIES.get_or_init(install).await;
    installed.as_ref().unwrap_or_else(|told| panic!("{told}"))
}

fn install() -> Result<PathBuf, String> {
    let mut command = Command::new(Path::new(FOLDER).join("install"));
    let done = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    if done.status.success() {
        Ok(text(done.stdout).trim_end().into())
    } else {
        Err(text(done.stderr))
    }
}
