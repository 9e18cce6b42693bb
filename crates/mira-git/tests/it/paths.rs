//! What is a path of a repository and what is not.

use mira_git::{BranchName, PathError, RepoPath, Revision};
use proptest::prelude::*;

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let check = |text: &str, expect: PathError| assert_eq!(RepoPath::parse(text), Err(expect), "{text:?}");
    check("", PathError::Empty);
    check("/", PathError::Absolute);
    check("/etc/passwd", PathError::Absolute);
    check("..", PathError::Dots);
    check("a/../b", PathError::Dots);
    check("./a", PathError::Dots);
    check("a//b", PathError::EmptyPart);
    check("a/", PathError::EmptyPart);
    check("a\\b", PathError::Backslash);
    check("a\0b", PathError::Control);
    check("a\nb", PathError::Control);
    check("a\u{85}b", PathError::Control);
    check(&"x".repeat(256), PathError::TooLong);
    check(&"x/".repeat(2_050), PathError::TooLong);
    for twin in [
        ".git",
        ".GIT",
        ".Git/config",
        "a/.git/hooks/x",
        ".git.",
        ".git ",
        ".git. . ",
        "git~1",
        "GIT~1",
        "git~23",
        ".g\u{200c}it",
        ".gi\u{feff}t",
        ".git::$INDEX_ALLOCATION",
        ".git:x",
        "\u{ff0e}git",
        ".g\u{202e}it/config",
        ".git\u{200d}",
    ] {
        check(twin, PathError::DotGit);
    }
}

#[test]
fn ordinary_paths_are_taken() {
    for path in [
        "a",
        "a/b/c.rs",
        ".gitignore",
        ".github/workflows/ci.yml",
        "git",
        ".gitattributes",
        "x.git",
        "..a",
        "a..",
        "...",
        "Ünïcode/日本語.md",
        "with space",
        "-dash",
        "~",
        "git~",
        "a:b",
        ".gitx",
    ] {
        assert_eq!(RepoPath::parse(path).unwrap().as_str(), path);
    }
    assert_eq!(RepoPath::parse_folder(""), Ok(None));
    assert_eq!(RepoPath::parse_folder("a/").unwrap().unwrap().as_str(), "a");
    assert_eq!(RepoPath::parse_folder("/"), Err(PathError::Absolute));
}

#[test]
fn names_of_branches_and_commits() {
    for name in ["main", "fix/one", "v1.2", "user@home"] {
        assert!(BranchName::parse(name).is_ok(), "{name}");
    }
    for name in [
        "", "-x", "HEAD", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "/a", "a/", "a.lock", "@{-1}", "a\nb",
    ] {
        assert!(BranchName::parse(name).is_err(), "{name}");
    }
    for name in ["main", "origin/main", "v1.2", "HEAD~3", "HEAD^", "abcdef12", "HEAD"] {
        assert!(Revision::parse(name).is_ok(), "{name}");
    }
    for name in [
        "",
        "-x",
        "a..b",
        ":/fix",
        "HEAD@{1}",
        "HEAD^{/x}",
        "HEAD:a",
        "a b",
        "--all",
    ] {
        assert!(Revision::parse(name).is_err(), "{name}");
    }
}

/// Letters that matter more often than others.
fn spelling() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just(".git".to_owned()),
        Just("..".to_owned()),
        Just("/".to_owned()),
        Just("~1".to_owned()),
        Just("\u{200d}".to_owned()),
        "[a-zA-Z.: ]{0,4}",
        any::<char>().prop_map(|letter| letter.to_string()),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever is taken stays inside, and is no spelling of `.git` in the eyes of a file system that ignores case, dots
    /// and spaces at the end, and invisible letters.
    #[test]
    fn what_is_taken_stays_inside(text in spelling()) {
        let Ok(path) = RepoPath::parse(&text) else { return Ok(()) };
        prop_assert_eq!(path.as_str(), &text);
        let joined = std::path::Path::new("/clone").join(path.as_str());
        prop_assert!(joined.starts_with("/clone"));
        prop_assert!(joined.components().all(|part| !matches!(part, std::path::Component::ParentDir)));
        for part in path.as_str().split('/') {
            let seen: String = part
                .chars()
                .filter(|letter| !matches!(letter, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}'))
                .collect::<String>()
                .to_lowercase();
            prop_assert_ne!(seen.trim_end_matches(['.', ' ']), ".git");
            prop_assert!(!part.is_empty() && part.len() <= 255);
        }
    }
}
