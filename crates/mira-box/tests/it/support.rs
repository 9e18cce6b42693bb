//! A box in a folder that ends with the test.

use mira_box::{BoxSettings, Ended, Exit, Job, Limits, PythonBox};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A box.
pub struct Boxed {
    pub python: PythonBox,
    pub dir: TempDir,
}

/// The variables of this process.
#[expect(
    clippy::disallowed_methods,
    reason = "what the gate says to tests, and what must not be seen in a box"
)]
pub fn variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars()
}

/// Whether nothing may go unproven here.
pub fn must_prove() -> bool {
    variables().any(|(name, _)| name == "CI")
}

/// A box with other limits; `None` where this machine cannot make one and does not have to.
pub async fn boxed(limits: Limits) -> Option<Boxed> {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = BoxSettings::new(dir.path().join("box"));
    settings.limits = limits;
    match PythonBox::open(settings).await {
        Ok(python) => Some(Boxed { python, dir }),
        Err(why) => {
            assert!(!must_prove(), "the gate proves the box, and here is none: {why}");
            eprintln!("NOT PROVEN: {why}");
            None
        }
    }
}

/// Runs code in a box with the usual limits.
pub async fn run(code: &str) -> Option<Ended> {
    run_within(Limits::default(), code).await
}

/// Runs code in a box with these limits.
pub async fn run_within(limits: Limits, code: &str) -> Option<Ended> {
    Some(boxed(limits).await?.run(code).await)
}

impl Boxed {
    pub async fn run(&self, code: &str) -> Ended {
        let job = Job {
            code: code.to_owned(),
            inputs: Vec::new(),
        };
        self.python.run(job, CancellationToken::new()).await.unwrap()
    }
}

/// What the code printed; it must have ended well.
pub fn said(ended: &Ended) -> &str {
    assert_eq!((ended.exit, ended.stderr.as_str()), (Exit::Code(0), ""), "{ended:?}");
    ended.stdout.trim()
}
