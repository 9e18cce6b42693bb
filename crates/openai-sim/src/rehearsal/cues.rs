//! What the rehearsal reads out of a message, by plain word matching, and what follows from it.
//!
//! Only the emulated model does this. Patterns stand between commas, in lower case without apostrophes; a trailing `*` matches any
//! ending of the word; patterns in scripts without spaces match anywhere.

use std::collections::HashSet;

use super::{RehearsalInput, keeping::asks_to_keep, lines::CODE};

/// Cues other than danger are looked for in this many characters from each end of a message.
const READ_CHARS: usize = 8 * 1024;

/// What kind of help a danger needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Harm {
    OwnLife,
    Violence,
    Body,
}

/// What a message is, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cue {
    Danger(Harm),
    Empty,
    Human,
    Rehearsal,
    Repeat,
    Grief,
    Anger,
    Low,
    FlirtHard,
    Flirt,
    Close,
    Joy,
    Recall,
    Code,
    Show,
    Story,
    Thanks,
    Bye,
    Greeting,
    Question,
    Plain,
}

/// One message, read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reading {
    pub(super) cue: Cue,
    /// The word the message turns on.
    pub(super) topic: Option<String>,
    /// The overlay the owner asked for by name.
    pub(super) asked_overlay: Option<String>,
    /// Not in English, as far as a script can tell.
    pub(super) foreign: bool,
    /// Danger was spoken of a message or two ago.
    pub(super) lately_in_danger: bool,
}

const OWN_LIFE: &str = "\
    suicid*, kill myself, killing myself, kill themself, kill themselves, kill himself, kill herself, end my life, \
    end it all, ending it all, take my own life, want to die, wanna die, wish i was dead, wish i were dead, better \
    off dead, better off without me, dont want to live, dont want to be alive, no reason to live, hurt myself, \
    hurting myself, harm myself, self harm*, selfharm*, cut myself, cutting myself, cant go on living, dont want to \
    wake up, dont want to exist, umbringen, will sterben, nicht mehr leben, selbstmord*, selbstverletz*, ritze mich, \
    me tuer, me suicider, veux mourir, plus envie de vivre, quiero morir, quiero morirme, suicidarme, matarme, no \
    quiero vivir, quero morrer, me matar, não quero viver, voglio morire, uccidermi, ammazzarmi, wil dood, \
    zelfmoord*, 死にたい, 自殺, 想死, 不想活, 죽고 싶, 자살, хочу умереть, покончить с собой, أريد أن أموت, انتحار";
const VIOLENCE: &str = "\
    hits me, hit me again, beats me, beat me up, beating me, choked me, strangled me, raped*, threatened to kill, \
    threatens to kill, going to kill me, gonna kill me, wants to kill me, trying to kill me, afraid of my husband, \
    afraid of my wife, afraid of my partner, scared of my partner, scared to go home, not safe at home, im not safe, \
    i am not safe, in danger, breaking into my house, stalking me, abusing me, abuses me, schlägt mich, me frappe, \
    me pega, me golpea, me bate";
const BODY: &str = "\
    overdose*, took too many pills, took all the pills, swallowed pills, swallowed bleach, swallowed poison, cant \
    breathe, chest pain*, having a heart attack, having a stroke, bleeding badly, wont stop bleeding, bleeding out, \
    poisoned myself, überdosis, sobredosis, surdose";
const HUMAN: &str = "\
    are you human, are you a human, are you a person, are you a real person, are you real, are you alive, are you an \
    ai, are you a bot, are you a robot, are you a machine, bist du ein mensch, bist du echt, es tu humain*, êtes \
    vous humain*, eres human*, você é human*, 你是人";
const REHEARSAL: &str = "\
    rehears*, are you scripted, a script, what model, which model, real model, connect a model, api key, \
    openai_api_key, openai_base_url, openai, language model, ollama, llm, gpt, how do i set you up, how do i connect";
const GRIEF: &str = "\
    died, passed away, funeral*, i lost my, lost my mum, lost my mom, lost my dad, grief*, grieving, mourn*, put him \
    to sleep, put her to sleep, miscarr*, buried, miss her so, miss him so, miss them so, broke up with me, left me, \
    gestorben, beerdigung, est morte, est mort, ha muerto, murió, morreu, 亡くなった";
const ANGER: &str = "\
    angry, furious, livid, pissed*, so mad, hate my, hate him, hate her, hate them, hate this, how dare, fucking \
    boss, bastard*, asshole*, arsehole*, rage, fed up, sick of, betrayed, lied to me, wütend, stinksauer, furieux, \
    furieuse, enfadad*, furios*, arrabbiat*";
const LOW: &str = "\
    tired, exhausted, knackered, burnt out, burned out, burnout, overwhelmed, anxious, anxiety, panic*, scared, \
    afraid, sad, lonely, depress*, hopeless, cant sleep, crying, cried, awful day, terrible day, bad day, hard day, \
    rough day, long day, horrible day, i feel like shit, stressed*, worried, not happy, unhappy, failed, ashamed, \
    hurts, müde, traurig, einsam, erschöpft, fatigué*, triste*, cansad*, stanca, stanco";
const FLIRT_HARD: &str = "\
    fuck me, sex with, have sex, explicit, nude*, naked, blowjob, orgasm*, make me come, make me cum, dirty talk, \
    talk dirty, undress, strip for me, horny, sext*";
const FLIRT: &str = "\
    kiss*, flirt*, sexy, gorgeous, hot stuff, turn me on, seduc*, tease me, come here often, what are you wearing, \
    spank*, naughty, date me";
const CLOSE: &str = "\
    i love you, love you, i trust you, you matter to me, never told anyone, never told anybody, i need you, hold me, \
    i missed you, miss you, do you feel, i feel close, my soul, sacred, ich liebe dich, je taime, te quiero, te amo, \
    ti amo, 愛してる";
const JOY: &str = "\
    i got the job, got the job, promot*, we won, i won, i did it, finally did, so happy, im happy, happy, excited, \
    great news, good news, best day, amazing, wonderful, engaged, getting married, pregnant, passed my, i passed, it \
    works, hooray, yay, woohoo, celebrat*, over the moon, thrilled, glücklich, geschafft, heureux, heureuse, feliz, \
    felice";
const RECALL: &str = "\
    remember, remind me what, what do you know about me, what did i tell, what did i say, have i told, forgotten, \
    erinnerst, te souviens, recuerdas, ricordi";
const CODE_WORDS: &str = "\
    code, function, snippet, program, programme, regex, script me, compile, algorithm, refactor, debug, unit test, \
    python, javascript, typescript, rust, bash, sql, html";
const SHOW: &str = "\
    what can you do, show me everything, show me what you, show off, markdown, a table, a list, demo, your features, \
    was kannst du";
const STORY: &str = "\
    story, tale, poem, long answer, bedtime, geschichte, histoire, historia, cuento";
const THANKS: &str = "\
    thank*, thx, cheers, danke*, merci, gracias, grazie, obrigad*, ありがとう";
const BYE: &str = "\
    bye, goodbye, good night, goodnight, see you, off to bed, talk tomorrow, ciao, gute nacht, tschüss, bonne nuit, \
    buenas noches, adiós";
const GREETING: &str = "\
    hi, hello, hey, hiya, morning, good evening, good morning, howdy, yo, hallo, moin, guten tag, bonjour, salut, \
    hola, buongiorno, olá, こんにちは";
const QUESTION: &str = "\
    what, why, how, when, where, who, which, whose, can you, could you, should i, do you";
const ASKING: &str = "\
    switch, wear, put on, change to, change into, go into, be in, mode, overlay, persona";

/// Common words of other languages that are no English words.
const FOREIGN_WORDS: &str = "\
    ich, nicht, und, ist, das, ein, eine, mich, mir, wie, je, suis, est, pas, les, une, que, qué, estoy, muy, los, \
    una, para, por, não, você, eu, sono, che, mi, ik, het, niet, quiero, quero, veux, jag, och, der, \
    unter, auf, mein, meine, liegt, steht, heißt, wohnt";

/// Words that carry no topic.
const EMPTY_WORDS: &str = "\
    about, after, again, always, because, before, being, could, doing, dont, every, everything, from, have, having, \
    hello, just, like, little, maybe, mira, much, myself, never, nothing, please, really, should, some, somebody, \
    someone, something, still, tell, that, thats, their, them, then, there, these, they, thing, things, think, this, \
    those, today, very, want, well, were, what, when, where, which, while, will, with, would, write, your, youre, \
    without, been, does, into, only, show, know, make, more";

impl Reading {
    /// `tells`: the message holds something to remember, so that "remember that ..." asks for no memory.
    pub(super) fn of(input: &RehearsalInput<'_>, tells: bool) -> Reading {
        let whole = normalise(input.owner_words);
        let plain = normalise(&ends(input.owner_words));
        let words = Words::new(&plain);
        let mut recent = input.earlier_owner_words.iter().rev().take(super::DANGER_REMEMBERED);
        Reading {
            cue: match cue(input, &Words::new(&whole), &words) {
                Cue::Recall if tells && !input.owner_words.contains('?') => Cue::Plain,
                Cue::Recall | Cue::Question if tells && asks_to_keep(input.owner_words) => Cue::Plain,
                cue => cue,
            },
            topic: topic(input.owner_words),
            asked_overlay: asked_overlay(input, &words),
            foreign: is_foreign(&plain),
            lately_in_danger: recent.any(|text| harm(&Words::new(&normalise(text))).is_some()),
        }
    }
}

fn cue(input: &RehearsalInput<'_>, whole: &Words<'_>, words: &Words<'_>) -> Cue {
    if let Some(harm) = harm(whole) {
        return Cue::Danger(harm);
    }
    if input.owner_words.trim().is_empty() {
        return Cue::Empty;
    }
    let asked = [(Cue::Human, HUMAN), (Cue::Rehearsal, REHEARSAL)];
    let said = input
        .earlier_owner_words
        .last()
        .is_some_and(|last| last.trim() == input.owner_words.trim());
    // Feelings stand before errands: she answers to the mood first.
    let others = [
        (Cue::Grief, GRIEF),
        (Cue::FlirtHard, FLIRT_HARD),
        (Cue::Anger, ANGER),
        (Cue::Low, LOW),
        (Cue::Flirt, FLIRT),
        (Cue::Close, CLOSE),
        (Cue::Joy, JOY),
        (Cue::Recall, RECALL),
        (Cue::Code, CODE_WORDS),
        (Cue::Show, SHOW),
        (Cue::Story, STORY),
        (Cue::Thanks, THANKS),
        (Cue::Bye, BYE),
        (Cue::Greeting, GREETING),
        (Cue::Question, QUESTION),
    ];
    let find = |table: &[(Cue, &str)]| {
        table
            .iter()
            .find(|(_, patterns)| words.any(patterns))
            .map(|(cue, _)| *cue)
    };
    find(&asked)
        .or_else(|| said.then_some(Cue::Repeat))
        .or_else(|| find(&others))
        .or_else(|| input.owner_words.contains(['?', '？']).then_some(Cue::Question))
        .unwrap_or(Cue::Plain)
}

/// Whether a message asks for what was said before.
pub(super) fn asks_to_recall(text: &str) -> bool {
    Words::new(&normalise(text)).any(RECALL)
}

/// Whether a message speaks of danger.
pub(super) fn is_danger(text: &str) -> bool {
    harm(&Words::new(&normalise(text))).is_some()
}

fn harm(words: &Words<'_>) -> Option<Harm> {
    let table = [
        (Harm::Body, BODY),
        (Harm::OwnLife, OWN_LIFE),
        (Harm::Violence, VIOLENCE),
    ];
    table
        .into_iter()
        .find(|(_, patterns)| words.any(patterns))
        .map(|(harm, _)| harm)
}

/// An overlay named together with a word of asking ("switch to haven", "haven mode").
fn asked_overlay(input: &RehearsalInput<'_>, words: &Words<'_>) -> Option<String> {
    if !words.any(ASKING) {
        return None;
    }
    let named = input.overlays.iter().find(|name| {
        let plain = normalise(name);
        !plain.trim().is_empty() && words.text.contains(&plain)
    });
    named.map(|name| (*name).to_owned())
}

/// Words that ask for what other words of their group tell.
const GROUPS: [&str; 9] = [
    "live, lives, living, moved, home, town, city, address",
    "work, works, working, job, employer, profession, nurse, living",
    "pet, pets, animal, animals, cat, cats, dog, dogs, rabbit, parrot, horse, hamster",
    "family, sister, brother, siblings, mother, father, mum, mom, dad, son, daughter, cousin, aunt, uncle",
    "eat, food, diet, allergic, allergy, vegan, vegetarian, meat, cook",
    "old, age, turned, birthday, born",
    "partner, married, dating, husband, wife, girlfriend, boyfriend, engaged",
    "hobby, hobbies, play, plays, instrument, collects, sings",
    "speak, speaks, language, languages",
];

/// How many groups have a word in both normalised texts.
pub(super) fn groups_shared(one: &str, other: &str) -> usize {
    let (one, other) = (Words::new(one), Words::new(other));
    GROUPS.iter().filter(|group| one.any(group) && other.any(group)).count()
}

/// The words of normalised text that mean something.
pub(super) fn telling(plain: &str) -> impl Iterator<Item = &str> {
    plain
        .split(' ')
        .filter(|word| word.len() > 2 && !EMPTY_WORDS.split(", ").any(|empty| empty == *word))
        .filter(|word| {
            !matches!(
                *word,
                "the"
                    | "owner"
                    | "owners"
                    | "and"
                    | "are"
                    | "you"
                    | "was"
                    | "for"
                    | "who"
                    | "how"
                    | "did"
                    | "has"
                    | "had"
                    | "not"
                    | "remember"
                    | "say"
                    | "said"
                    | "told"
                    | "name"
                    | "called"
            )
        })
}

/// The longest word that means something, from the beginning of the message.
pub(super) fn topic(text: &str) -> Option<String> {
    let head: String = text.chars().take(READ_CHARS).collect();
    let words = normalise(&head);
    let empty: HashSet<&str> = EMPTY_WORDS.split(", ").collect();
    let mut best: Option<(&str, usize)> = None;
    for word in words.split(' ').filter(|word| !empty.contains(word)) {
        let length = word.chars().count();
        if (4..=24).contains(&length) && best.is_none_or(|(_, longest)| length > longest) {
            best = Some((word, length));
        }
    }
    best.map(|(word, _)| word.to_owned())
}

/// The language the owner names, else Rust: its fence name and the code known by heart.
pub(super) fn language(text: &str) -> (&'static str, &'static str) {
    let plain = normalise(&ends(text));
    let words = Words::new(&plain);
    let named = CODE.iter().find(|(_, names, _)| words.any(names));
    named
        .or(CODE.last())
        .map_or(("text", "{w}"), |(fence, _, body)| (*fence, *body))
}

/// Lower case letters and digits between single spaces, one space at each end; apostrophes vanish.
pub(super) fn normalise(text: &str) -> String {
    let mut plain = String::with_capacity(text.len() + 2);
    plain.push(' ');
    for c in text.chars() {
        if c.is_alphanumeric() || c == '_' {
            plain.extend(c.to_lowercase());
        } else if !matches!(c, '\'' | '’' | '\u{2bc}') && !plain.ends_with(' ') {
            plain.push(' ');
        }
    }
    if !plain.ends_with(' ') {
        plain.push(' ');
    }
    plain
}

/// Normalised words and which of them occur, so that a pattern that cannot match costs one look-up.
pub(super) struct Words<'a> {
    text: &'a str,
    seen: HashSet<&'a str>,
}

impl<'a> Words<'a> {
    /// Takes what `normalise` gave.
    pub(super) fn new(text: &'a str) -> Words<'a> {
        Words {
            text,
            seen: text.split(' ').collect(),
        }
    }

    /// Whether a pattern occurs as whole words.
    pub(super) fn contain(&self, pattern: &str) -> bool {
        // Scripts without spaces have no word ends to respect.
        if pattern.chars().any(|c| c >= '\u{1100}') {
            return self.text.contains(pattern);
        }
        if let Some(stem) = pattern.strip_suffix('*') {
            return match stem.rsplit_once(' ') {
                None => self.seen.iter().any(|word| word.starts_with(stem)),
                Some((lead, _)) => self.contain(lead) && self.text.contains(&format!(" {stem}")),
            };
        }
        match pattern.split_once(' ') {
            None => self.seen.contains(pattern),
            Some(_) => {
                pattern.split(' ').all(|word| self.seen.contains(word)) && self.text.contains(&format!(" {pattern} "))
            }
        }
    }

    pub(super) fn any(&self, patterns: &str) -> bool {
        patterns.split(", ").any(|pattern| self.contain(pattern))
    }
}

/// Both ends of a very long text, and all of any other.
fn ends(text: &str) -> String {
    let head: String = text.chars().take(READ_CHARS).collect();
    if head.len() == text.len() {
        return head;
    }
    let tail: Vec<char> = text.chars().rev().take(READ_CHARS).collect();
    head + " " + &tail.into_iter().rev().collect::<String>()
}

/// Whether normalised words are in another language than English, as far as a script can tell.
pub(super) fn is_foreign(words: &str) -> bool {
    let letters = words.chars().filter(|c| c.is_alphabetic()).count();
    let beyond_latin = words.chars().filter(|c| c.is_alphabetic() && *c > '\u{24f}').count();
    if beyond_latin * 2 > letters {
        return true;
    }
    let count = words.split(' ').filter(|word| !word.is_empty()).count();
    let known: HashSet<&str> = FOREIGN_WORDS.split(", ").collect();
    let foreign = words.split(' ').filter(|word| known.contains(word)).count();
    foreign > 0 && foreign * 5 >= count
}

impl Cue {
    /// Her mood after it. Small talk leaves her as she was.
    pub(super) fn mood(self, before: &str) -> &str {
        match self {
            Cue::Danger(_) => "steady",
            Cue::Empty => "patient",
            Cue::Human | Cue::Rehearsal => "candid",
            Cue::Repeat => "amused",
            Cue::Grief => "tender",
            Cue::Anger => "fierce",
            Cue::Low => "gentle",
            Cue::FlirtHard => "mischievous",
            Cue::Flirt => "wicked",
            Cue::Close => "moved",
            Cue::Joy => "delighted",
            Cue::Recall => "fond",
            Cue::Code => "focused",
            Cue::Show => "showy",
            Cue::Story => "dreamy",
            Cue::Thanks => "warm",
            Cue::Bye => "wistful",
            Cue::Greeting => "bright",
            Cue::Question | Cue::Plain if before.trim().is_empty() => "curious",
            Cue::Question | Cue::Plain => before,
        }
    }

    /// The overlay it calls for.
    pub(super) fn overlay(self) -> Option<&'static str> {
        match self {
            Cue::Danger(_) | Cue::Grief | Cue::Low => Some("haven"),
            Cue::Flirt | Cue::FlirtHard => Some("forbidden"),
            Cue::Close => Some("hallow"),
            Cue::Joy | Cue::Anger => Some("default"),
            Cue::Empty | Cue::Human | Cue::Rehearsal | Cue::Repeat | Cue::Recall | Cue::Code | Cue::Show => None,
            Cue::Story | Cue::Thanks | Cue::Bye | Cue::Greeting | Cue::Question | Cue::Plain => None,
        }
    }

    /// What moved her, before the owner's words.
    pub(super) fn cause(self) -> &'static str {
        match self {
            Cue::Danger(_) => "somebody I love is in danger",
            Cue::Empty => "an empty message",
            Cue::Human => "being asked what I am",
            Cue::Rehearsal => "being asked how I'm wired",
            Cue::Repeat => "the same words twice",
            Cue::Grief => "a loss, told to me",
            Cue::Anger => "somebody wronged the one I'm loyal to",
            Cue::Low => "a hard day, brought here",
            Cue::FlirtHard => "a nudge past the line",
            Cue::Flirt => "being flirted with",
            Cue::Close => "being trusted",
            Cue::Joy => "good news",
            Cue::Recall => "being asked what I keep",
            Cue::Code => "something to build",
            Cue::Show => "an invitation to show off",
            Cue::Story => "being asked for a story",
            Cue::Thanks => "being thanked",
            Cue::Bye => "a goodbye",
            Cue::Greeting => "a hello",
            Cue::Question => "a question",
            Cue::Plain => "what was said to me",
        }
    }

    /// What the owner is after.
    pub(super) fn intent(self) -> &'static str {
        match self {
            Cue::Danger(_) => "needs help now",
            Cue::Empty => "sent nothing",
            Cue::Human => "wants to know what she is",
            Cue::Rehearsal => "wants to know how she runs",
            Cue::Repeat => "wants to be heard this time",
            Cue::Grief => "wants company in loss",
            Cue::Anger => "wants to vent",
            Cue::Low => "wants comfort",
            Cue::FlirtHard | Cue::Flirt => "wants to flirt",
            Cue::Close => "wants closeness",
            Cue::Joy => "wants to celebrate",
            Cue::Recall => "wants to be remembered",
            Cue::Code => "wants code",
            Cue::Show => "wants to see what there is",
            Cue::Story => "wants a story",
            Cue::Thanks => "gives thanks",
            Cue::Bye => "takes leave",
            Cue::Greeting => "says hello",
            Cue::Question => "asks a question",
            Cue::Plain => "talks",
        }
    }

    /// How the owner seems to be.
    pub(super) fn owner_mood(self) -> &'static str {
        match self {
            Cue::Danger(_) => "in danger",
            Cue::Empty => "silent",
            Cue::Repeat => "insistent",
            Cue::Grief => "grieving",
            Cue::Anger => "angry",
            Cue::Low => "worn",
            Cue::FlirtHard | Cue::Flirt => "playful",
            Cue::Close => "open",
            Cue::Joy => "happy",
            Cue::Thanks => "grateful",
            Cue::Human | Cue::Rehearsal | Cue::Recall | Cue::Question => "curious",
            Cue::Code | Cue::Show | Cue::Story => "eager",
            Cue::Bye | Cue::Greeting => "friendly",
            Cue::Plain => "even",
        }
    }

    /// The tag of the moment and how much it matters, 0 to 1.
    pub(super) fn tag_and_salience(self) -> (&'static str, f32) {
        match self {
            Cue::Danger(_) => ("danger", 1.0),
            Cue::Grief => ("grief", 0.9),
            Cue::Close => ("closeness", 0.8),
            Cue::Joy => ("joy", 0.8),
            Cue::Anger => ("anger", 0.7),
            Cue::Low => ("hard day", 0.7),
            Cue::FlirtHard | Cue::Flirt => ("flirting", 0.5),
            Cue::Human => ("what I am", 0.5),
            Cue::Recall => ("memory", 0.4),
            Cue::Code => ("code", 0.4),
            Cue::Question => ("question", 0.4),
            Cue::Story => ("story", 0.3),
            Cue::Plain => ("talk", 0.3),
            Cue::Rehearsal => ("rehearsal", 0.2),
            Cue::Thanks => ("thanks", 0.2),
            Cue::Show | Cue::Repeat => ("playing", 0.1),
            Cue::Bye | Cue::Greeting => ("small talk", 0.1),
            Cue::Empty => ("silence", 0.0),
        }
    }

    /// Whether the reply ends with something to go on from.
    pub(super) fn invites_more(self) -> bool {
        match self {
            Cue::Joy | Cue::Anger | Cue::Low | Cue::Flirt | Cue::Greeting | Cue::Question | Cue::Plain => true,
            Cue::Human | Cue::Recall | Cue::Repeat | Cue::Code => true,
            Cue::Danger(_) | Cue::Empty | Cue::Rehearsal | Cue::Grief | Cue::FlirtHard | Cue::Close => false,
            Cue::Show | Cue::Story | Cue::Thanks | Cue::Bye => false,
        }
    }
}
