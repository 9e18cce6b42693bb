//! One run, from its files to its files.

use crate::{
    Ended, Exit, Job, PythonBox,
    command::command,
    filter,
    live::Live,
    settings::Limits,
    watch,
    wire::{self, Opened, Report},
};
use std::{
    collections::HashSet,
    future::pending,
    io,
    os::{fd::OwnedFd, unix::net},
    process::Stdio,
    time::Duration,
};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt},
    net::UnixStream,
    process::{ChildStderr, ChildStdout},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long the files and the rest of the output may take to come out, once the code has ended.
const COMING_OUT: Duration = Duration::from_secs(20);
/// Longest code, in bytes.
const CODE_BYTES: usize = 1024 * 1024;
/// The signal of a processor's time that is used up.
const SIGXCPU: i32 = 24;
const SIGKILL: i32 = 9;

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum BoxError {
    /// It was not wanted any more.
    #[error("the run was cancelled")]
    Cancelled,
    /// The code is too long.
    #[error("the code is longer than {CODE_BYTES} bytes")]
    TooLong,
    /// Two inputs of one name.
    #[error("two files are called {0:?}")]
    SameName(String),
    /// More goes in than may.
    #[error("the files are larger than {0} bytes together")]
    TooMuch(u64),
    /// A file that should go in cannot be read.
    #[error("{name:?} cannot be read: {source}")]
    Input {
        /// The file.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// The folder for what comes out fails.
    #[error("the folder for files of runs fails: {0}")]
    Scratch(io::Error),
    /// bubblewrap does not start.
    #[error("the box does not start: {0}")]
    Start(io::Error),
    /// The box ended before its report; with what it printed as errors.
    #[error("the box broke: {0}")]
    Broke(String),
    /// The socket into the box failed.
    #[error("the box cannot be talked to: {0}")]
    Talk(io::Error),
    /// The box said something that it was not allowed to say.
    #[error("the box reported something impossible")]
    Forged,
}

/// What was printed, up to a cap.
#[derive(Debug, Default)]
struct Printed {
    out: Vec<u8>,
    err: Vec<u8>,
    truncated: bool,
}

impl Printed {
    fn room(&self, cap: usize) -> usize {
        cap.saturating_sub(self.out.len() + self.err.len())
    }
}

/// Runs a job in a box of its own.
pub(crate) async fn run(around: &PythonBox, job: Job, cancel: &CancellationToken) -> Result<Ended, BoxError> {
    let limits = around.settings.limits;
    if job.code.len() > CODE_BYTES {
        return Err(BoxError::TooLong);
    }
    let mut inputs = open_inputs(&job, &limits).await?;
    inputs.extend(fonts(around).await);
    let scratch = around.scratch.run_folder().map_err(BoxError::Scratch)?;
    let room = limits.disk_bytes + inputs.iter().map(|input| input.bytes).sum::<u64>();

    let (ours, theirs) = net::UnixStream::pair().map_err(BoxError::Start)?;
    ours.set_nonblocking(true).map_err(BoxError::Start)?;
    let mut control = UnixStream::from_std(ours).map_err(BoxError::Start)?;
    let command = command(&around.settings, room, Stdio::from(OwnedFd::from(theirs)));
    let mut live = around.launcher.launch(command).await.map_err(BoxError::Start)?;
    let Some((mut out, mut err)) = live.streams() else {
        return Err(BoxError::Start(io::ErrorKind::BrokenPipe.into()));
    };

    let mut printed = Printed::default();
    let outcome = {
        let talk = until_report(&mut live, &mut control, &job.code, &limits, inputs);
        tokio::select! {
            report = talk => report,
            () = overflow(&mut out, &mut err, limits.output_bytes, &mut printed) => Ok(Err(Exit::Output)),
            () = sleep(limits.wall) => Ok(Err(Exit::WallTime)),
            () = cancel.cancelled() => Err(BoxError::Cancelled),
        }
    };
    let done = match outcome {
        Ok(Ok(report)) => {
            let (exit, left_out) = (exit_of(&report, &limits), report.left_out);
            let taken = timeout(COMING_OUT, wire::take_files(&mut control, report.files, &scratch)).await;
            taken
                .unwrap_or(Err(BoxError::Forged))
                .map(|files| (exit, files, left_out))
        }
        Ok(Err(exit)) => Ok((exit, Vec::new(), 0)),
        Err(error) => Err(error),
    };
    live.end().await.map_err(BoxError::Talk)?;
    rest(&mut out, &mut err, limits.output_bytes, &mut printed).await;
    let (exit, files, left_out) = done.map_err(|error| match error {
        // It ended by itself and said why on its way.
        BoxError::Talk(error) if !printed.err.is_empty() => {
            tracing::warn!(%error, "a box broke");
            BoxError::Broke(text(&printed.err).trim().to_owned())
        }
        other => other,
    })?;
    Ok(Ended {
        exit,
        stdout: text(&printed.out),
        stderr: text(&printed.err),
        truncated: printed.truncated,
        files,
        left_out,
        _scratch: scratch,
    })
}

/// Opens what goes in, so that its size is known and stays.
async fn open_inputs(job: &Job, limits: &Limits) -> Result<Vec<Opened>, BoxError> {
    let (mut opened, mut names, mut total) = (Vec::new(), HashSet::new(), 0);
    for input in &job.inputs {
        let name = input.name.as_str();
        if !names.insert(name) {
            return Err(BoxError::SameName(name.to_owned()));
        }
        let failed = |source| BoxError::Input {
            name: name.to_owned(),
            source,
        };
        let file = File::open(&input.path).await.map_err(failed)?;
        let bytes = file.metadata().await.map_err(failed)?.len();
        total += bytes;
        if total > limits.input_bytes {
            return Err(BoxError::TooMuch(limits.input_bytes));
        }
        opened.push(Opened {
            path: name.to_owned(),
            bytes,
            file,
        });
    }
    Ok(opened)
}

/// The list of fonts, if there is one.
async fn fonts(around: &PythonBox) -> Option<Opened> {
    let path = around.fonts.get()?;
    let name = path.file_name()?.to_str()?;
    let file = File::open(path).await.ok()?;
    let bytes = file.metadata().await.ok()?.len();
    Some(Opened {
        path: format!(".tmp/mpl/{name}"),
        bytes,
        file,
    })
}

/// Ends with the report, or with what the box took too much of.
async fn until_report(
    live: &mut Live,
    control: &mut UnixStream,
    code: &str,
    limits: &Limits,
    inputs: Vec<Opened>,
) -> Result<Result<Report, Exit>, BoxError> {
    wire::ready(control).await.map_err(BoxError::Talk)?;
    let init = live.find_init().map_err(BoxError::Talk)?;
    let filter = filter::program().ok_or(BoxError::Forged)?;
    wire::hand_in(control, code, &filter, limits, inputs)
        .await
        .map_err(BoxError::Talk)?;
    tokio::select! {
        report = wire::report(control, limits) => report.map(Ok),
        exit = watch::excess(init, *limits) => Ok(Err(exit)),
    }
}

fn exit_of(report: &Report, limits: &Limits) -> Exit {
    match (report.signal, report.code) {
        (Some(SIGXCPU), _) => Exit::CpuTime,
        (Some(SIGKILL), _) if report.cpu_ms >= limits.cpu_seconds * 1000 => Exit::CpuTime,
        (Some(signal), _) => Exit::Signal(signal),
        (None, code) => Exit::Code(code.unwrap_or(0)),
    }
}

/// Reads both streams; ends when more was printed than is kept, and never otherwise.
async fn overflow(out: &mut ChildStdout, err: &mut ChildStderr, cap: usize, printed: &mut Printed) {
    if read_both(out, err, cap, printed).await.is_err() {
        return;
    }
    pending::<()>().await;
}

/// Takes what is still in the pipes of a box that has ended.
async fn rest(out: &mut ChildStdout, err: &mut ChildStderr, cap: usize, printed: &mut Printed) {
    // What does not come in time is left; more than is kept is marked already.
    drop(timeout(COMING_OUT, read_both(out, err, cap, printed)).await);
}

/// More than is kept.
struct Overflow;

async fn read_both(
    out: &mut ChildStdout,
    err: &mut ChildStderr,
    cap: usize,
    printed: &mut Printed,
) -> Result<(), Overflow> {
    let (mut first, mut second) = (Box::new([0; 16 * 1024]), Box::new([0; 16 * 1024]));
    let (mut out_open, mut err_open) = (true, true);
    while out_open || err_open {
        let room = printed.room(cap);
        let (open, bytes, into) = tokio::select! {
            read = read(out, &mut *first), if out_open => (&mut out_open, read.and_then(|n| first.get(..n)), &mut printed.out),
            read = read(err, &mut *second), if err_open => (&mut err_open, read.and_then(|n| second.get(..n)), &mut printed.err),
        };
        match bytes {
            None | Some([]) => *open = false,
            Some(bytes) if bytes.len() > room => {
                into.extend_from_slice(bytes.get(..room).unwrap_or_default());
                printed.truncated = true;
                return Err(Overflow);
            }
            Some(bytes) => into.extend_from_slice(bytes),
        }
    }
    Ok(())
}

async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> Option<usize> {
    // A pipe that fails has nothing more to say.
    stream.read(buffer).await.ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_told_from_code_signal_and_time() {
        let limits = Limits::default();
        let check = |code, signal, cpu_ms, expected| {
            let report = Report {
                code,
                signal,
                cpu_ms,
                left_out: 0,
                files: Vec::new(),
            };
            assert_eq!(exit_of(&report, &limits), expected);
        };
        check(Some(0), None, 10, Exit::Code(0));
        check(Some(3), None, 10, Exit::Code(3));
        check(None, Some(11), 10, Exit::Signal(11));
        check(None, Some(24), 30_010, Exit::CpuTime);
        check(None, Some(9), 31_000, Exit::CpuTime);
        check(None, Some(9), 500, Exit::Signal(9));
    }

    #[tokio::test]
    async fn output_is_kept_up_to_the_cap() {
        async fn check(script: &str, cap: usize, out: &str, err: &str, truncated: bool) {
            let mut child = tokio::process::Command::new("sh")
                .args(["-c", script])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
            let mut printed = Printed::default();
            let whole = read_both(&mut stdout, &mut stderr, cap, &mut printed).await.is_ok();
            assert_eq!((text(&printed.out).as_str(), text(&printed.err).as_str()), (out, err));
            assert_eq!((printed.truncated, whole), (truncated, !truncated));
            child.kill().await.unwrap();
        }
        check("printf hello", 100, "hello", "", false).await;
        check("printf hello; printf wrong >&2", 100, "hello", "wrong", false).await;
        check("printf hello", 5, "hello", "", false).await;
        check("printf hello", 4, "hell", "", true).await;
        check("printf wrong >&2; yes", 5, "", "wrong", true).await;
    }
}
