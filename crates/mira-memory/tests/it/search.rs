//! Any text is a valid query, and every message is found by each of its words.

use crate::support::*;
use mira_memory::{HIT_END, HIT_START, Page, SendParent};
use proptest::{prelude::*, test_runner::TestRunner};

async fn found(fixture: &Fixture, query: &str) -> Vec<String> {
    let hits = fixture.store.search(ME, query, Page::first(50)).await.unwrap();
    hits.items.into_iter().map(|hit| hit.message.content).collect()
}

async fn store_texts(texts: &[&str]) -> Fixture {
    let (fixture, session) = Fixture::with_session().await;
    for text in texts {
        fixture
            .begun(&session, send(fixture.message_id(), text, SendParent::Head))
            .await;
    }
    fixture
}

#[tokio::test]
async fn words_prefixes_accents_and_scripts() {
    let fixture = store_texts(&[
        "The quick brown fox",
        "Ein Gruß aus Köln",
        "昨日Rustを勉強した",
        "東京タワー and the sea",
        "let user_name = get_user(id);",
        "สวัสดีครับ",
        "C++ isn't C#, foo-bar@example.org",
    ])
    .await;
    let check = [
        ("quick fox", "The quick brown fox"),
        ("FOX brown", "The quick brown fox"),
        ("bro", "The quick brown fox"),
        ("koln", "Ein Gruß aus Köln"),
        ("rust", "昨日Rustを勉強した"),
        ("勉強", "昨日Rustを勉強した"),
        ("日", "昨日Rustを勉強した"),
        ("京タ sea", "東京タワー and the sea"),
        ("user_name", "let user_name = get_user(id);"),
        ("get_user(id);", "let user_name = get_user(id);"),
        ("ครับ", "สวัสดีครับ"),
        ("isn't", "C++ isn't C#, foo-bar@example.org"),
        ("foo-bar@example.org", "C++ isn't C#, foo-bar@example.org"),
    ];
    for (query, expected) in check {
        assert_eq!(found(&fixture, query).await, [expected], "{query}");
    }
    // A space after the last word asks for the whole word.
    for nothing in ["bro ", "quick 京", "", "   ", "\"", "++", "NOT", "東大", "zebra"] {
        assert_eq!(found(&fixture, nothing).await, Vec::<String>::new(), "{nothing}");
    }
}

#[tokio::test]
async fn hostile_queries_are_just_text() {
    let fixture = store_texts(&["alpha beta"]).await;
    let long = "x".repeat(100_000);
    let many = "w ".repeat(10_000);
    for query in [
        "\"",
        "\"\"\"",
        "alpha\"",
        "AND",
        "OR OR OR",
        "NEAR(alpha beta, 2)",
        "content:alpha",
        "-alpha",
        "^alpha",
        "alpha*",
        "*",
        "(",
        ")",
        "{a b}: c",
        "a + b",
        "'; DROP TABLE messages; --",
        "\0",
        "alpha\0beta",
        "%",
        "_",
        "\\",
        "\u{202e}alpha",
        "\u{feff}",
        &long,
        &many,
        "🦀",
        "e\u{301}",
    ] {
        fixture.store.search(ME, query, Page::first(10)).await.unwrap();
    }
    assert_eq!(found(&fixture, "alpha*").await, ["alpha beta"]);
    assert_eq!(found(&fixture, "alpha\0beta").await, ["alpha beta"]);
}

#[tokio::test]
async fn snippets_and_pages() {
    let texts: Vec<String> = (0..7)
        .map(|n| format!("needle number {n} {}", if n % 2 == 0 { "針" } else { "" }))
        .collect();
    let fixture = store_texts(&texts.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let mut seen = Vec::new();
    let mut page = Page::first(3);
    loop {
        let hits = fixture.store.search(ME, "needle", page).await.unwrap();
        for hit in &hits.items {
            assert_eq!(hit.session_title.as_deref(), Some("a title"));
            assert!(
                hit.snippet.starts_with(&format!("{HIT_START}needle{HIT_END} number")),
                "{}",
                hit.snippet
            );
        }
        seen.extend(hits.items.into_iter().map(|hit| hit.message.content));
        // What arrives meanwhile does not move the pages.
        let session = session_id("s");
        fixture
            .begun(&session, send(fixture.message_id(), "needle late", SendParent::Head))
            .await;
        let Some(next) = hits.next else { break };
        page.cursor = Some(next.to_string().parse().unwrap());
    }
    let newest_first: Vec<String> = texts.into_iter().rev().collect();
    assert_eq!(seen, newest_first);
    let hits = fixture.store.search(ME, "針", Page::first(1)).await.unwrap();
    assert!(
        hits.items[0].snippet.ends_with(&format!("{HIT_START}針{HIT_END}")),
        "{}",
        hits.items[0].snippet
    );
}

#[tokio::test]
async fn the_forgotten_are_not_found() {
    let fixture = store_texts(&["a 秘密 secret", "kept"]).await;
    let mut conn = <sqlx::SqliteConnection as sqlx::Connection>::connect(fixture.store.path().to_str().unwrap())
        .await
        .unwrap();
    sqlx::query("UPDATE messages SET content = '', status = 'forgotten' WHERE ord = 1")
        .execute(&mut conn)
        .await
        .unwrap();
    for query in ["secret", "秘密", "a"] {
        assert_eq!(found(&fixture, query).await, Vec::<String>::new());
    }
    assert_eq!(found(&fixture, "kept").await, ["kept"]);
    assert!(fixture.store.integrity_check().await.unwrap().problems.is_empty());
}

/// Every letter and digit of every script, as a word of its own: found by itself, whatever FTS5's tables of letters
/// know of it.
#[tokio::test]
async fn every_letter_is_found() {
    let letters: Vec<char> = ('\0'..=char::MAX).filter(|c| c.is_alphanumeric()).collect();
    let (fixture, session) = Fixture::with_session().await;
    for chunk in letters.chunks(500) {
        let text: String = chunk.iter().flat_map(|c| [*c, ' ']).collect();
        fixture
            .begun(&session, send(fixture.message_id(), &text, SendParent::Head))
            .await;
    }
    // All of the scripts with spaces (the rest is found by pairs of letters, whose tokens are all alike), and a sample.
    let mut lost = Vec::new();
    for (n, c) in letters
        .iter()
        .enumerate()
        .filter(|(n, c)| u32::from(**c) < 0x1000 || n % 97 == 0)
    {
        if found(&fixture, &format!("{c} ")).await.is_empty() {
            lost.push((n, *c, u32::from(*c)));
        }
    }
    assert_eq!(lost, []);
}

#[test]
fn each_word_finds_its_message() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (fixture, session) = runtime.block_on(Fixture::with_session());
    let words = proptest::collection::vec(
        prop_oneof![
            any::<String>(),
            "[a-zA-Zäöüéèñß0-9\"'*^():+-]{1,12}",
            "\\PC{1,8}",
            "[ぁ-んァ-ヶ一-龠a-z]{1,8}",
            "[가-힣]{1,6}",
            "[א-תا-ي]{1,8}",
        ],
        1..6,
    );
    TestRunner::new(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
    .run(&words, |words| {
        runtime.block_on(async {
            let text = words.join(" ");
            let id = fixture.message_id();
            fixture.begun(&session, send(id, &text, SendParent::Root)).await;
            for word in text
                .split_whitespace()
                .filter(|word| word.chars().any(char::is_alphanumeric))
            {
                for query in [word.to_owned(), format!("{word} ")] {
                    let hits = fixture.store.search(ME, &query, Page::first(1)).await.unwrap();
                    prop_assert!(
                        hits.items.iter().any(|hit| hit.message.id == id),
                        "{query:?} in {text:?}"
                    );
                }
            }
            // The text itself, and any piece of it, is a query too.
            fixture.store.search(ME, &text, Page::first(1)).await.unwrap();
            Ok(())
        })
    })
    .unwrap();
}
