//! What Mira and the runner say to each other, over one socket: the runner says `R`; a job goes in (four bytes of length,
//! little-endian, JSON; then the inputs' bytes one after the other); a report comes out in the same form, then the bytes
//! of the files it names. Whatever comes out may be forged by the code, so each number is held against the limits.

use crate::{MadeFile, filter::Step, name::cleaned, run::BoxError, scratch::RunFolder, settings::Limits};
use serde::{Deserialize, Serialize};
use std::io;
use tokio::{
    fs::{File, OpenOptions},
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
};

/// The longest report, in bytes: twenty names of files and a few numbers.
const REPORT_BYTES: u32 = 256 * 1024;
/// How much less than others a run gets of a busy processor.
const NICE: u8 = 10;

/// A file on its way in, already open.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Below the work folder.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) file: File,
}

/// What came out.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) cpu_ms: u64,
    pub(crate) left_out: u64,
    /// The files whose bytes follow.
    pub(crate) files: Vec<Announced>,
}

/// A file the box wants to hand back.
#[derive(Debug, Deserialize)]
pub(crate) struct Announced {
    /// As the box wrote it.
    pub(crate) name: String,
    pub(crate) bytes: u64,
}

#[derive(Serialize)]
struct JobOut<'a> {
    code: &'a str,
    filter: &'a [Step],
    nice: u8,
    inputs: Vec<InputOut<'a>>,
    limits: LimitsOut,
}

#[derive(Serialize)]
struct InputOut<'a> {
    path: &'a str,
    bytes: u64,
}

#[derive(Serialize)]
struct LimitsOut {
    cpu_seconds: u64,
    memory_bytes: u64,
    processes: u64,
    descriptors: u64,
    file_bytes: u64,
    files_out: usize,
    files_out_bytes: u64,
}

/// Waits for the runner.
pub(crate) async fn ready(control: &mut UnixStream) -> io::Result<()> {
    match control.read_u8().await? {
        b'R' => Ok(()),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Hands the job in.
pub(crate) async fn hand_in(
    control: &mut UnixStream,
    code: &str,
    filter: &[Step],
    limits: &Limits,
    inputs: Vec<Opened>,
) -> io::Result<()> {
    let job = JobOut {
        code,
        filter,
        nice: NICE,
        inputs: inputs
            .iter()
            .map(|input| InputOut {
                path: &input.path,
                bytes: input.bytes,
            })
            .collect(),
        limits: LimitsOut {
            cpu_seconds: limits.cpu_seconds,
            memory_bytes: limits.memory_bytes,
            processes: limits.processes,
            descriptors: limits.descriptors,
            file_bytes: limits.file_bytes,
            files_out: limits.files_out,
            files_out_bytes: limits.files_out_bytes,
        },
    };
    let text = serde_json::to_vec(&job)?;
    let length = u32::try_from(text.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
    control.write_all(&length.to_le_bytes()).await?;
    control.write_all(&text).await?;
    for input in inputs {
        let sent = tokio::io::copy(&mut input.file.take(input.bytes), control).await?;
        if sent != input.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    control.flush().await
}

/// Takes the report, without its files.
pub(crate) async fn report(control: &mut UnixStream, limits: &Limits) -> Result<Report, BoxError> {
    let length = control.read_u32_le().await.map_err(BoxError::Talk)?;
    if length > REPORT_BYTES {
        return Err(BoxError::Forged);
    }
    let mut text = Vec::new();
    let read = control.take(u64::from(length)).read_to_end(&mut text).await;
    read.map_err(BoxError::Talk)?;
    let report: Report = serde_json::from_slice(&text).map_err(|_| BoxError::Forged)?;
    let sizes = report.files.iter().map(|file| file.bytes);
    let total = sizes.into_iter().try_fold(0_u64, u64::checked_add);
    if report.files.len() > limits.files_out || total.is_none_or(|total| total > limits.files_out_bytes) {
        return Err(BoxError::Forged);
    }
    Ok(report)
}

/// Takes the files that a report announces; their names are made fit to be shown.
pub(crate) async fn take_files(
    control: &mut UnixStream,
    announced: Vec<Announced>,
    folder: &RunFolder,
) -> Result<Vec<MadeFile>, BoxError> {
    let mut files = Vec::new();
    for (number, Announced { name, bytes }) in announced.into_iter().enumerate() {
        let path = folder.file(number);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        let mut file = options.open(&path).await.map_err(BoxError::Scratch)?;
        let taken = tokio::io::copy(&mut (&mut *control).take(bytes), &mut file).await;
        file.flush().await.map_err(BoxError::Scratch)?;
        if taken.map_err(BoxError::Talk)? != bytes {
            return Err(BoxError::Talk(io::ErrorKind::UnexpectedEof.into()));
        }
        files.push(MadeFile {
            name: cleaned(&name),
            path,
            bytes,
        });
    }
    Ok(files)
}
