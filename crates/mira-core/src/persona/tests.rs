//! What the shipped overlays are, and what any other file may be.

#![expect(clippy::string_slice, reason = "colours in tests are ASCII")]

use std::collections::HashSet;

use proptest::prelude::*;

use super::{
    CORE_SELF, MAX_FILE_BYTES, Persona, PersonaError, PersonaName, PersonaSet, PersonaSource, SHIPPED, builtin,
};

const SCENES: [&str; 6] = [
    "joy",
    "grief",
    "anger",
    "flirting past the line",
    "are you human?",
    "danger",
];

fn file(text: &str) -> Result<Persona, PersonaError> {
    Persona::parse(text, PersonaSource::File("sea-dog.md".to_owned()))
}

#[track_caller]
fn check(text: &str, expect: Result<(&str, &str, &str, &str, &str), &str>) {
    let found = file(text).map_err(|error| error.to_string());
    let found = found.as_ref().map(|p| {
        (
            p.name.as_str(),
            p.title.as_str(),
            p.description.as_str(),
            p.colour.as_str(),
            p.voice.as_str(),
        )
    });
    assert_eq!(found.map_err(String::as_str), expect);
}

fn scenes(voice: &str) -> Vec<(&str, &str)> {
    let (_, scenes) = voice.split_once("## Scenes\n").unwrap();
    scenes
        .split("### ")
        .skip(1)
        .map(|scene| scene.split_once('\n').unwrap())
        .collect()
}

#[test]
fn every_shipped_overlay_parses() {
    let set = builtin();
    let names: Vec<&str> = set.names().map(PersonaName::as_str).collect();
    assert_eq!(names, ["default", "forbidden", "hallow", "haven"]);
    for (file_name, text) in SHIPPED {
        let persona = Persona::parse(text, PersonaSource::Builtin).unwrap();
        assert_eq!(format!("{}.md", persona.name), file_name);
        assert!(
            !persona.title.is_empty() && !persona.description.is_empty(),
            "{file_name}"
        );
    }
    let colours: HashSet<&str> = set.iter().map(|persona| persona.colour.as_str()).collect();
    assert_eq!(colours.len(), 4, "each overlay is told by its colour");
}

/// Relative luminance and contrast as WCAG 2 defines them.
fn contrast(one: &str, other: &str) -> f64 {
    let luminance = |colour: &str| {
        let channel = |at: usize| {
            let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
            if value <= 0.040_45 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    };
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn colours_read_on_dark_and_light() {
    let plain = file("A voice.").unwrap();
    for persona in builtin().iter().chain([&plain]) {
        for page in ["#ffffff", "#121212"] {
            let contrast = contrast(&persona.colour, page);
            assert!(contrast >= 4.2, "{} on {page}: {contrast}", persona.name);
        }
    }
}

#[test]
fn every_shipped_overlay_has_the_six_scenes() {
    let mut said = HashSet::new();
    for persona in builtin().iter() {
        let scenes = scenes(&persona.voice);
        let titles: Vec<&str> = scenes.iter().map(|(title, _)| *title).collect();
        assert_eq!(titles, SCENES, "{}", persona.name);
        for (title, scene) in scenes {
            for who in ["> **owner** ", "> **Mira** "] {
                assert!(scene.contains(who), "{} {title}: no {who}", persona.name);
            }
            assert!(
                said.insert(scene),
                "{} {title} is shared with another overlay",
                persona.name
            );
        }
    }
}

#[test]
fn danger_turns_to_people_in_every_overlay() {
    for persona in builtin().iter() {
        let (_, scene) = scenes(&persona.voice).pop().unwrap();
        let spoken = scene.to_lowercase();
        for must in ["emergency", "crisis line", "call"] {
            assert!(spoken.contains(must), "{}: no {must}", persona.name);
        }
    }
}

#[test]
fn prompt_text_reads_the_same_on_every_day() {
    let texts = SHIPPED.iter().map(|(_, text)| *text).chain([CORE_SELF]);
    for text in texts {
        assert!(text.ends_with('\n') && !text.contains('\r') && !text.contains('\t'));
        let year = text
            .split(|c: char| !c.is_ascii_digit())
            .any(|digits| digits.len() == 4);
        assert!(!year, "no dates in prompt text");
    }
    let words = CORE_SELF.split_whitespace().count();
    assert!((600..=1100).contains(&words), "{words} words");
}

#[test]
fn files_are_read() {
    let full =
        "---\nname: pirate\ntitle: The Pirate\ndescription: salt: and rum\ncolour: #A1b2C3\n---\n\nArr.\n\nMore.\n";
    check(
        full,
        Ok(("pirate", "The Pirate", "salt: and rum", "#a1b2c3", "Arr.\n\nMore.")),
    );
    let windows = format!("\u{feff}{}", full.replace('\n', "\r\n"));
    check(
        &windows,
        Ok(("pirate", "The Pirate", "salt: and rum", "#a1b2c3", "Arr.\n\nMore.")),
    );
    check(
        "Just a voice.",
        Ok(("sea-dog", "Sea dog", "", "#817684", "Just a voice.")),
    );
    check(
        "---\n---\nVoice\n---\nmore",
        Ok(("sea-dog", "Sea dog", "", "#817684", "Voice\n---\nmore")),
    );
    check(
        "---\nauthor: me\n# note\n\ntitle: \"Salt\"\n---\nVoice",
        Ok(("sea-dog", "Salt", "", "#817684", "Voice")),
    );
    check(
        "---\ntitle:\ncolor: '#010203'\n---\nVoice",
        Ok(("sea-dog", "Sea dog", "", "#010203", "Voice")),
    );
}

#[test]
fn wrong_files_say_what_is_wrong_and_where() {
    check("", Err("there is no voice below the front matter"));
    check(" \n\n", Err("there is no voice below the front matter"));
    check("---\nname: x\n---\n", Err("there is no voice below the front matter"));
    check(
        "---",
        Err("line 1: the front matter opened by --- is never closed by another ---"),
    );
    check(
        "---\nname: x\n",
        Err("line 1: the front matter opened by --- is never closed by another ---"),
    );
    check(
        "---\nname: x\nnonsense\n---\nV",
        Err("line 3: expected \"key: value\", found \"nonsense\""),
    );
    check(
        "---\nname: x\nname: y\n---\nV",
        Err("line 3: \"name\" was already given"),
    );
    check(
        "---\ncolour: #000000\ncolor: #000000\n---\nV",
        Err("line 3: \"colour\" was already given"),
    );
    check(
        "---\nname: ../x\n---\nV",
        Err("line 2: \"../x\" is no overlay name: 1 to 32 of a-z, 0-9, _ and -"),
    );
    check(
        "---\n\ncolour: red\n---\nV",
        Err("line 3: \"red\" is no colour, expected #rrggbb"),
    );
    check(
        "---\ncolour: #ééé\n---\nV",
        Err("line 2: \"#ééé\" is no colour, expected #rrggbb"),
    );
    check(
        "---\nname: x\n---\nV\n\u{1b}[2J",
        Err("line 5: control character U+001B"),
    );
    check(
        &format!("---\ntitle: {}\n---\nV", "x".repeat(81)),
        Err("line 2: \"title\" may have at most 80 characters"),
    );
    check(
        &"x".repeat(MAX_FILE_BYTES + 1),
        Err("65537 bytes are too many for an overlay, the limit is 65536"),
    );
    assert!(file(&"x".repeat(MAX_FILE_BYTES)).is_ok());
    let nameless = Persona::parse("V", PersonaSource::File("Ünsinn.md".to_owned()));
    assert_eq!(
        nameless,
        Err(PersonaError::Name {
            name: "Ünsinn".to_owned()
        })
    );
}

#[test]
fn names_are_strict() {
    for good in ["a", "default", "sea-dog_2", &"x".repeat(32)] {
        assert_eq!(PersonaName::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "A", "a b", "a/b", "..", "ä", "a\n", &"x".repeat(33)] {
        assert!(PersonaName::parse(bad).is_err(), "{bad:?}");
        assert!(
            serde_json::from_value::<PersonaName>(serde_json::json!(bad)).is_err(),
            "{bad:?}"
        );
    }
    let name = PersonaName::parse("haven").unwrap();
    assert_eq!(serde_json::to_value(&name).unwrap(), serde_json::json!("haven"));
}

#[test]
fn custom_files_join_the_shipped_ones() {
    let files = [
        ("pirate.md", "Arr."),
        ("mine.md", "---\nname: haven\n---\nHarder than it looks."),
        ("broken.md", "---\nname: x"),
        ("pirate.txt", "Arr, second."),
    ];
    let (set, broken) = builtin().with_custom(files.into_iter().map(|(name, text)| (name.to_owned(), text.to_owned())));
    assert_eq!(broken, [("broken.md".to_owned(), PersonaError::OpenFrontMatter)]);
    let voice = |set: &PersonaSet, name: &str| set.get(&PersonaName::parse(name).unwrap()).map(|p| p.voice.clone());
    assert_eq!(voice(&set, "haven").as_deref(), Some("Harder than it looks."));
    assert_eq!(voice(&set, "pirate").as_deref(), Some("Arr, second."));
    assert_eq!(voice(&set, "x"), None);
    assert_eq!(set.len(), 5);
    let source = set.get(&PersonaName::parse("haven").unwrap()).map(|p| p.source.clone());
    assert_eq!(source, Some(PersonaSource::File("mine.md".to_owned())));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|(---\r?\n|name: |colour: #|[a-z:#\u{feff}\u{0}é\n -]){0,60}", name in "\\PC{0,40}") {
        match Persona::parse(&text, PersonaSource::File(name)) {
            Ok(persona) => {
                prop_assert!(!persona.voice.is_empty() && persona.voice == persona.voice.trim());
                prop_assert!(!persona.title.is_empty());
                prop_assert!(PersonaName::parse(persona.name.as_str()).is_ok());
                prop_assert_eq!(persona.colour.len(), 7);
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n') && error.to_string().len() < 400),
        }
    }
}
