//! The embedder in the binary: what it finds that words alone do not, and what it makes of odd texts.

use mira_llm::embeddings::{Embedder, LocalEmbedder, Vector};
use std::collections::HashSet;

/// Facts, and a question about each that shares no content word with any of them.
const GAPS: &[(&str, &str)] = &[
    (
        "We took in a stray kitten and named her Pepper.",
        "Which pets live with me?",
    ),
    ("Shellfish makes my throat swell up.", "What am I allergic to?"),
    ("I drive a little blue hatchback from 2009.", "What car do I own?"),
    (
        "My sister gave birth to twins in March.",
        "Did somebody in the family become a mother?",
    ),
    (
        "I play the cello in an amateur orchestra.",
        "Which musical instrument can I perform?",
    ),
    ("I start at the bank at seven every morning.", "When does my job begin?"),
    (
        "Grandpa was a carpenter all his life.",
        "What was the old man's profession?",
    ),
    (
        "I cannot stand cilantro, it tastes like soap.",
        "Which herbs do I hate to eat?",
    ),
    (
        "Our flat is on the fourth floor without an elevator.",
        "What is my apartment like?",
    ),
    (
        "I ran the half marathon in under two hours.",
        "Did I finish a long race?",
    ),
    ("The dentist pulled two of my wisdom teeth.", "Have I had oral surgery?"),
    (
        "We honeymooned on a Greek island.",
        "Where did my spouse and I travel after the wedding?",
    ),
    ("I gave up cigarettes three years ago.", "Did I quit smoking?"),
    (
        "My eyesight is so bad that I need glasses for reading.",
        "What is wrong with my vision?",
    ),
    (
        "I am writing a novel about a lighthouse keeper.",
        "What book do I work on as an author?",
    ),
    ("Dad lost his hearing in one ear.", "Is my father deaf?"),
    (
        "I studied chemistry in Leeds.",
        "What science degree did university teach me?",
    ),
    (
        "We grow tomatoes and beans behind the house.",
        "Which vegetables come from our garden?",
    ),
    (
        "I fainted when the nurse drew blood.",
        "Am I afraid of needles at the hospital?",
    ),
    (
        "My laptop crashed and all the photos are gone.",
        "What happened to the computer and its pictures?",
    ),
    (
        "The landlord raised what we pay by ten percent.",
        "Did our rent increase?",
    ),
    (
        "I met Laura at a climbing gym and we have been dating since.",
        "Who is my girlfriend?",
    ),
    ("Every Sunday I call Mum in Lisbon.", "How often do I phone my mother?"),
    (
        "I sleep badly whenever it is full moon.",
        "When do I suffer from insomnia at night?",
    ),
    ("The boy next door mows our lawn.", "Who cuts the grass for us?"),
    (
        "I collect old coins from the Roman empire.",
        "What ancient money is my hobby?",
    ),
    (
        "We watched the penguins being fed.",
        "What birds did we see at the zoo?",
    ),
    ("I baked a sourdough loaf today.", "What kind of bread did I make?"),
    (
        "My boss promoted me to team leader.",
        "Did my career advance at the company?",
    ),
    (
        "The plane was delayed because of fog.",
        "Why did the flight leave late, bad weather?",
    ),
    (
        "I sprained my ankle playing football.",
        "Which sports injury hurt my foot?",
    ),
    (
        "I owe the bank forty thousand for the house.",
        "How large is my mortgage debt?",
    ),
    (
        "Our daughter is scared of thunder.",
        "What frightens my child during a storm?",
    ),
    (
        "I swim twenty laps before breakfast.",
        "What exercise do I do in the pool?",
    ),
    (
        "We drank far too much red wine at the party.",
        "What alcohol did I consume at the celebration?",
    ),
    (
        "I prefer the mountains to the beach.",
        "Would I rather hike or lie on the sand by the sea on vacation?",
    ),
    (
        "I am learning to speak Korean.",
        "Which foreign language do I practise?",
    ),
    (
        "My nephew turned six and wanted a dinosaur cake.",
        "How old is my brother's son, what did he get for his birthday?",
    ),
    (
        "Somebody stole my bicycle outside the library.",
        "Was I robbed by a thief, is the bike missing?",
    ),
    ("I pray at the mosque on Fridays.", "What is my religion, Islam?"),
    (
        "The surgeon replaced her left knee.",
        "Which joint operation did she undergo?",
    ),
    (
        "I paint landscapes in watercolour.",
        "What art do I create with a brush?",
    ),
    (
        "It snowed so hard that school was closed.",
        "Why did pupils stay home last winter?",
    ),
    (
        "I vote for the Greens.",
        "Which political party do I support in elections?",
    ),
    ("My shoes size is forty-three.", "How large are my feet for boots?"),
    (
        "The baby finally sleeps through.",
        "Does the infant still wake up at night?",
    ),
    (
        "I invested my savings in shares.",
        "Which stock market funds did I buy, financially?",
    ),
    (
        "He proposed to me on a bridge in Prague.",
        "Where did we become engaged to marry?",
    ),
];

const RECALL_BAR: f64 = 0.9;
const TOP: usize = 5;

const STOP_WORDS: &str = "a about after all am an and any are as at be been before being by can cannot did do does during \
    every finally for from gave get had has have he her his how i in is it its like me my of often old on or our rather \
    s she so somebody still that the their this through to took under up us was we what when whenever where which who \
    why will with would you your behind because far too much every one two last since make wanted turned become come";

/// The words that carry meaning, cut to their stems.
fn content_words(text: &str) -> HashSet<String> {
    let stop: HashSet<&str> = STOP_WORDS.split_whitespace().collect();
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty() && !stop.contains(word))
        .map(|word| {
            let ending = ["ing", "ed", "es", "s"]
                .into_iter()
                .find_map(|ending| word.strip_suffix(ending));
            ending.filter(|stem| stem.len() > 2).unwrap_or(word).to_owned()
        })
        .collect()
}

fn cosine(a: &Vector, b: &Vector) -> f32 {
    a.iter().zip(b.iter()).map(|(a, b)| a * b).sum()
}

/// Among how many questions the fact is one of the best by `score`.
fn found(score: impl Fn(usize, usize) -> f32) -> usize {
    (0..GAPS.len())
        .filter(|&question| {
            let own = score(question, question);
            let better = (0..GAPS.len()).filter(|&fact| score(question, fact) > own).count();
            own > 0.0 && better < TOP
        })
        .count()
}

#[tokio::test]
async fn meaning_is_found_where_no_word_is_shared() {
    assert_eq!(GAPS.len(), 48);
    let embedder = LocalEmbedder::new();
    let side = |take: fn(&(&str, &str)) -> String| GAPS.iter().map(take).collect::<Vec<_>>();
    let facts = embedder.embed(side(|(fact, _)| (*fact).to_owned())).await.unwrap();
    let questions = embedder
        .embed(side(|(_, question)| (*question).to_owned()))
        .await
        .unwrap();

    let shared: Vec<_> = GAPS
        .iter()
        .filter(|(fact, question)| !content_words(fact).is_disjoint(&content_words(question)))
        .collect();
    assert!(shared.is_empty(), "no gap: {shared:#?}");
    #[expect(clippy::cast_precision_loss, reason = "a handful of words")]
    let by_words = found(|question, fact| {
        let asked = content_words(GAPS[question].1);
        content_words(GAPS[fact].0).intersection(&asked).count() as f32
    });
    assert_eq!(by_words, 0);

    let by_meaning = found(|question, fact| cosine(&questions[question], &facts[fact]));
    let recall = f64::from(u32::try_from(by_meaning).unwrap()) / 48.0;
    assert!(recall >= RECALL_BAR, "recall@{TOP} is {recall:.3}");
}

#[tokio::test]
async fn inline_and_handed_over_are_the_same() {
    let embedder = LocalEmbedder::new();
    assert_eq!(embedder.embed(vec![]).await.unwrap(), Vec::<Vector>::new());
    let one = || vec!["The kettle is on the stove.".to_owned()];
    let first = embedder.embed(one()).await.unwrap();
    let second = embedder.clone().embed(one()).await.unwrap();
    assert_eq!(first, second);
    let mut many = vec!["something else".to_owned(); 200];
    many.extend(one());
    assert_eq!(embedder.embed(many).await.unwrap()[200], first[0]);
    assert_eq!(
        (embedder.model(), embedder.dimension()),
        ("mira-english-256@1-1a6f7510", 256)
    );
    assert!(embedder.is_local());
}

#[tokio::test]
async fn odd_texts_have_a_vector_too() {
    let embedder = LocalEmbedder::new();
    let huge = "word ".repeat(2_000_000);
    let texts = [
        "",
        "   ",
        "🙂🙂",
        "日本語のテキスト",
        "\0\u{1}",
        huge.as_str(),
        "a\u{301}\u{302}",
        "(((",
        "ﷺ",
    ];
    let vectors = embedder
        .embed(texts.iter().map(|text| (*text).to_owned()).collect())
        .await
        .unwrap();
    for (text, vector) in texts.iter().zip(&vectors) {
        let length = cosine(vector, vector);
        let start: String = text.chars().take(12).collect();
        assert!(
            vector.len() == 256 && (length == 0.0 || (length - 1.0).abs() < 1e-4),
            "{start:?}"
        );
    }
    assert!(
        vectors[..3]
            .iter()
            .all(|vector| vector.iter().all(|value| *value == 0.0)),
        "nothing known"
    );
    assert!(cosine(&vectors[5], &vectors[5]) > 0.5);
}
