//! What the box is for: code, files in, output, plots and files out.

use crate::support::{boxed, must_prove, run, run_within, said};
use mira_box::{BoxError, Exit, Input, Job, Limits, SafeName};
use std::{fs, path::Path, time::Duration};
use tokio_util::sync::CancellationToken;

async fn check(code: &str, exit: Exit, stdout: &str, stderr: &str) {
    let Some(ended) = run(code).await else { return };
    assert_eq!(ended.exit, exit, "{ended:?}");
    assert_eq!(ended.stdout, stdout);
    assert!(ended.stderr.contains(stderr), "{ended:?}");
    assert!(!stderr.is_empty() || ended.stderr.is_empty(), "{ended:?}");
}

#[tokio::test]
async fn code_runs_as_in_a_notebook() {
    check("a = 6\na * 7", Exit::Code(0), "42\n", "").await;
    check("print('ä', 1)\nNone", Exit::Code(0), "ä 1\n", "").await;
    check("x = 1", Exit::Code(0), "", "").await;
    check("", Exit::Code(0), "", "").await;
    check("'\\udc80'", Exit::Code(0), "'\\udc80'\n", "").await;
    check(
        "if __name__ == '__main__':\n    print(__name__)",
        Exit::Code(0),
        "__main__\n",
        "",
    )
    .await;
    check("input()", Exit::Code(1), "", "EOFError").await;
    check("import sys\nsys.exit(3)", Exit::Code(3), "", "").await;
    check("import os\nos.abort()", Exit::Signal(6), "", "").await;
    check(
        "def f():\n    return 1 / 0\nf()",
        Exit::Code(1),
        "",
        "line 2, in f\n    return 1 / 0",
    )
    .await;
    check("def f(:", Exit::Code(1), "", "SyntaxError").await;
    check(
        "import sys\nprint('bad', file=sys.stderr)\n1",
        Exit::Code(0),
        "1\n",
        "bad\n",
    )
    .await;
}

#[tokio::test]
async fn a_traceback_shows_nothing_of_the_runner() {
    let Some(ended) = run("1 / 0").await else { return };
    assert!(
        ended
            .stderr
            .starts_with("Traceback (most recent call last):\n  File \"code.py\", line 1"),
        "{ended:?}"
    );
    assert!(
        !ended.stderr.contains("runner") && !ended.stderr.contains("<string>"),
        "{ended:?}"
    );
}

#[tokio::test]
async fn files_go_in_and_new_or_changed_ones_come_out() {
    let Some(boxed) = boxed(Limits::default()).await else {
        return;
    };
    let input = |name: &str, bytes: &str| {
        let path = boxed.dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        Input {
            name: SafeName::of(name),
            path,
        }
    };
    let job = Job {
        code: "import os\nprint(sorted(os.listdir()), open('/mnt/data/in.csv').read())\nopen('changed.txt', 'a').write('more')\n\
            os.makedirs('sub')\nopen('sub/out.bin', 'wb').write(bytes(range(256)))\nopen('.hidden', 'w').write('x')\n\
            open('/tmp/temporary', 'w').write('x')\nopen('/mnt/data/last.txt', 'w').write('')"
            .to_owned(),
        inputs: vec![input("in.csv", "a;b"), input("changed.txt", "some ")],
    };
    let ended = boxed.python.run(job, CancellationToken::new()).await.unwrap();
    assert!(
        said(&ended).starts_with("['.tmp', 'changed.txt', 'in.csv'] a;b"),
        "{ended:?}"
    );
    let files: Vec<(&str, Vec<u8>)> = ended
        .files
        .iter()
        .map(|file| (file.name.as_str(), fs::read(&file.path).unwrap()))
        .collect();
    let bytes: Vec<u8> = (0..=255).collect();
    assert_eq!(
        files,
        [
            ("changed.txt", b"some more".to_vec()),
            ("sub_out.bin", bytes),
            ("last.txt", Vec::new())
        ]
    );
    assert_eq!(
        fs::read_to_string(boxed.dir.path().join("changed.txt")).unwrap(),
        "some ",
        "the original stays"
    );
    let path = ended.files[0].path.clone();
    drop(ended);
    assert!(!path.exists(), "what was not taken is removed");
}

#[tokio::test]
async fn files_beyond_the_limits_are_counted() {
    let limits = Limits {
        files_out: 3,
        files_out_bytes: 1000,
        ..Limits::default()
    };
    let code = "for n in range(5):\n    open(f'{n}', 'w').write('x' * 10)\nopen('big', 'w').write('x' * 2000)";
    let Some(ended) = run_within(limits, code).await else {
        return;
    };
    assert_eq!(
        (ended.exit, ended.files.len(), ended.left_out),
        (Exit::Code(0), 3, 3),
        "{ended:?}"
    );
}

#[tokio::test]
async fn inputs_are_checked_before_anything_runs() {
    let limits = Limits {
        input_bytes: 4,
        ..Limits::default()
    };
    let Some(boxed) = boxed(limits).await else { return };
    let path = boxed.dir.path().join("five");
    fs::write(&path, "12345").unwrap();
    let job = |inputs: Vec<(&str, &Path)>| Job {
        code: "print(1)".to_owned(),
        inputs: inputs
            .into_iter()
            .map(|(name, path)| Input {
                name: SafeName::of(name),
                path: path.to_owned(),
            })
            .collect(),
    };
    let run = |job| boxed.python.run(job, CancellationToken::new());
    let empty = boxed.dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    assert!(matches!(run(job(vec![("a", &path)])).await, Err(BoxError::TooMuch(4))));
    assert!(matches!(
        run(job(vec![("a", &empty), ("a", &empty)])).await,
        Err(BoxError::SameName(_))
    ));
    let nowhere = boxed.dir.path().join("nowhere");
    assert!(matches!(
        run(job(vec![("a", &nowhere)])).await,
        Err(BoxError::Input { .. })
    ));
    let long = Job {
        code: " ".repeat(2 * 1024 * 1024),
        inputs: Vec::new(),
    };
    assert!(matches!(run(long).await, Err(BoxError::TooLong)));
}

#[tokio::test]
async fn figures_left_open_come_out_and_saved_ones_once() {
    let Some(boxed) = boxed(Limits::default()).await else {
        return;
    };
    let ended = boxed
        .run("import importlib.util as u\nprint(u.find_spec('matplotlib') is not None)")
        .await;
    if said(&ended) != "True" {
        assert!(!must_prove(), "the gate plots, and here is no matplotlib");
        eprintln!("NOT PROVEN: plots, for want of matplotlib");
        return;
    }
    boxed.python.warm().await;
    let ended = boxed
        .run(
            "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.savefig('mine.png')\nplt.figure()\nplt.plot([1, 2])\n\
             plt.title('Größe')\nplt.show()",
        )
        .await;
    said(&ended);
    let names: Vec<&str> = ended.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["mine.png", "figure-1.png"]);
    for file in &ended.files {
        assert!(fs::read(&file.path).unwrap().starts_with(b"\x89PNG\r\n"), "{file:?}");
    }
}

#[tokio::test]
async fn a_cancelled_run_ends_at_once_and_leaves_nothing() {
    let Some(boxed) = boxed(Limits::default()).await else {
        return;
    };
    let cancel = CancellationToken::new();
    let job = Job {
        code: "import time\ntime.sleep(50)".to_owned(),
        inputs: Vec::new(),
    };
    let run = boxed.python.run(job, cancel.clone());
    tokio::pin!(run);
    // Long enough for the code to run; the test holds without it too.
    let early = tokio::time::timeout(Duration::from_millis(300), &mut run).await;
    assert!(early.is_err());
    cancel.cancel();
    assert!(matches!(run.await, Err(BoxError::Cancelled)));
    assert_eq!(fs::read_dir(boxed.dir.path().join("box")).unwrap().count(), 0);
}

#[tokio::test]
async fn runs_together_do_not_see_each_other() {
    let Some(boxed) = boxed(Limits::default()).await else {
        return;
    };
    let code = "import os\nopen('mine', 'x').write('x')\nopen('/dev/shm/mine', 'x').write('x')\n\
        print(sum(name.isdigit() for name in os.listdir('/proc')))";
    let ended = tokio::join!(boxed.run(code), boxed.run(code), boxed.run(code));
    for ended in [&ended.0, &ended.1, &ended.2] {
        assert_eq!(said(ended), "2");
    }
}
