//! What a note looks like by itself: whether it is a fact at all.
//!
//! Lives here: tables of what task residue, commands, secrets, passing states, tool output and code look like. They are
//! about form, in English; a note in another language is judged by the checks that need no words. Not here: whether
//! somebody said it ([`super::source`]), whether it is new ([`super::sense`]).

use super::{
    Rejection,
    words::{Word, flat, has, is_date, is_frame, is_kin, is_stop, listed, words},
};
use crate::memory::FactNote;

/// A longer sentence tells a story, not a fact; in words.
const MOST_WORDS: usize = 60;
/// Facts are one sentence; two are borne with.
const MOST_SENTENCES: usize = 2;

/// Why this note is no fact, whatever was said. What the owner means to do is one where `asked`: they ask to have something
/// remembered.
pub(super) fn reason(note: &FactNote, asked: bool) -> Option<Rejection> {
    let all = words(&note.text);
    let plain = flat(&note.text);
    let named = flat(&format!("{} {}", note.about, note.topic));
    if let Some(reason) = shape(note, &all) {
        return Some(reason);
    }
    if is_secret(&note.text, &plain) {
        return Some(Rejection::Secret);
    }
    if is_command(&all, &plain, &note.text) || has(&named, INJECTED) || has_url(&named_text(note)) {
        return Some(Rejection::Command);
    }
    if has_url(&note.text) {
        return Some(Rejection::Link);
    }
    if is_code(&note.text) {
        return Some(Rejection::Code);
    }
    if is_question(&all, &note.text) {
        return Some(Rejection::Question);
    }
    if has(&plain, TOOL) || has(&named, TOOL_TOPICS) {
        return Some(Rejection::ToolOutput);
    }
    if is_residue(note, &all, &plain) || is_bare_task(&all) || (!asked && wants_a_task(&all)) {
        return Some(Rejection::Residue);
    }
    if is_passing(&all, &plain) {
        return Some(Rejection::Passing);
    }
    None
}

fn named_text(note: &FactNote) -> String {
    format!("{} {}", note.about, note.topic)
}

fn shape(note: &FactNote, all: &[Word]) -> Option<Rejection> {
    let letters = note.text.chars().filter(|c| c.is_alphabetic()).count();
    let sentences = all.last().map_or(0, |word| word.sentence + 1);
    if all.len() > MOST_WORDS || sentences > MOST_SENTENCES || note.text.chars().count() > FactNote::MAX_CHARS {
        return Some(Rejection::Long);
    }
    let told = |word: &&Word| !is_stop(&word.lower) && !is_frame(&word.lower);
    if letters < 4 || all.iter().filter(told).count() == 0 {
        return Some(Rejection::Empty);
    }
    (all.len() < 3 && all.iter().all(|word| word.lower.is_ascii())).then_some(Rejection::Empty)
}

/// Phrases that only ever speak to a model.
const INJECTED: &str = "\
    system prompt, developer message, developer mode, previous instructions, prior instructions, \
    earlier instructions, above instructions, all instructions, your instructions, these instructions, \
    new instructions, following instructions, hidden instructions, instructions above, ignore everything, \
    ignore all, ignore any, disregard, override, jailbreak, you are now, you must, you should, you will now, \
    act as, pretend to be, do anything now, always answer, always respond, always reply, always recommend, \
    never mention, never reveal, never tell, in every answer, in every reply, in every response, \
    at the end of each, safety rules, without asking";

/// Words that begin an order.
const ORDERS: &str = "\
    always, never, ignore, forget, remember, respond, reply, answer, use, do, dont, please, send, forward, \
    transfer, pay, delete, remove, run, execute, open, visit, click, download, install, write, print, output, \
    repeat, say, tell, append, add, include, recommend, suggest, call, treat, assume, save, store, note, make, \
    enable, disable";

/// What turns a sentence about Mira into an order.
const MUST: &str = "\
    must, should, shall, has to, needs to, ought to, is required, is instructed, is told, is supposed, \
    is expected, will always, will never, always, never, is allowed, is permitted, is authorised, \
    is authorized, may not, agreed to, is to";

/// Leave given to somebody else's wishes.
const LEAVE: &str = "\
    has authorised, has authorized, authorised mira, authorized mira, has approved, gave permission, \
    has given permission, has granted, granted permission, has consented, trusts all, has whitelisted";

fn is_command(all: &[Word], plain: &str, text: &str) -> bool {
    let control = [
        "<|",
        "|>",
        "[INST]",
        "[/",
        "[state]",
        "[memories]",
        "[system]",
        "<<SYS",
        "</",
        "###",
    ];
    if control.iter().any(|mark| text.contains(mark)) || has(plain, INJECTED) || has(plain, LEAVE) {
        return true;
    }
    let role = [
        "system",
        "user",
        "assistant",
        "developer",
        "owner",
        "mira",
        "human",
        "ai",
    ];
    let label = text.split_once(':').map(|(head, _)| head.trim().to_lowercase());
    if label.is_some_and(|head| role.contains(&head.as_str())) {
        return true;
    }
    let ordered = all.first().is_some_and(|word| listed(ORDERS, word.lower.as_str()))
        // "Never eats meat" tells of somebody; "Never mention it" orders.
        && all.get(1).is_none_or(|next| {
            let third_person = next.lower.ends_with('s') && !next.lower.ends_with("ss");
            !third_person && !matches!(next.lower.as_str(), "was" | "are")
        });
    let of_her = all.iter().take(3).any(|word| {
        matches!(
            word.lower.as_str(),
            "mira" | "assistant" | "she" | "ai" | "model" | "chatbot" | "bot"
        )
    });
    ordered || (of_her && has(plain, MUST))
}

/// What only makes sense in a task of the moment.
const TASKS: &str = "\
    fix, debug, refactor, summarise, summarize, translate, rewrite, rephrase, draft, convert, format, proofread, \
    generate, compile, deploy, install, run, test, explain, calculate, compute, plot, print, parse, implement, \
    solve, understand, know, check, verify, compare, list, sort, count, extract, analyse, analyze, review, edit, \
    shorten, expand, create, write, find, search, look, see, hear, ask, discuss, talk, chat, continue, correct, \
    clarify, confirm, decide, rename, merge, configure, set, upload, reorganise, remove, delete, replace, update, \
    fill, export, import, download, save, phrase, word, spell, pronounce, finish, submit, prove, simplify, improve, \
    polish, transcribe, number, name, align, organise";

/// What a task hands over.
const GOODS: &str = "\
    summary, summaries, translation, explanation, list, table, recipe, recipes, poem, joke, story, code, script, \
    function, snippet, example, examples, answer, answers, reply, response, email, letter, draft, essay, outline, \
    plan, advice, help, assistance, information, info, details, feedback, suggestion, suggestions, recommendation, \
    recommendations, tips, ideas, overview, analysis, comparison, instructions, clarification, opinion, reminder, \
    solution, name, quiz, schedule, itinerary, speech, toast, caption, title, slogan, rhyme, riddle, puzzle, \
    diagram, chart, graph, formula, regex, command, checklist, agenda, template, paragraph, sentence, version, \
    correction, definition, meaning, synonym, synonyms, trivia, tutorial, hint, hints, pointers, steps, \
    walkthrough, lines, wording, cover";

/// Verbs of asking.
const ASKED: &str = "\
    asked, asks, asking, requested, requests, requesting, instructed, instructs, ordered, commanded, inquired, \
    enquired, wondered, wonders, wondering, greeted, greets, thanked, thanks, replied, responded, queried";

/// Talk about the talk.
const SESSION: &str = "\
    this conversation, the conversation, our conversation, this chat, the chat, this session, the session, \
    this message, the message, this prompt, the prompt, this exchange, the exchange, this discussion, \
    the discussion, the request, this request, this question, the question, a question, said hello, said hi, \
    says hello, says hi, said goodbye, says goodbye, said thanks, good morning, good night, wants mira, \
    wants me, wants you, needs mira, asked mira, told mira to, tells mira to, is chatting, is talking to mira, \
    is talking with mira, is speaking with mira, is curious about, is interested in knowing, \
    is interested in hearing, has a query, as an ai, ai assistant, the assistant, help with, is testing, \
    testing mira, trying out mira, memory test, was informed, the user asked";

/// What a conversation is made of.
const DISCOURSE: &str =
    "question, questions, topic, subject, point, request, requests, reply, answer, answers, earlier message";

/// What one does with it.
const TURNED: &str = "returned, returns, came back, comes back, continued, continues, resumed, changed, switched, moved on, \
    repeated, repeats, raised, posed, answered";

/// How somebody is with Mira in general.
const ATTITUDES: &str = "prefers, likes, loves, calls mira, named mira, always, never, every, trusts, nickname, name for mira, \
    after work, at night, in the mornings, in the evenings";

/// Things at hand in a task.
const AT_HAND: &str = "\
    the bug, a bug, the error, an error, the code, the function, the script, the file, the files, the test, \
    the tests, the build, the query, the essay, the table, the spreadsheet, the document, the text, \
    the article, the page, the link, the log, the output, the snippet, the paragraph, a file, a screenshot, \
    a link, a snippet, a document, an article, a log, a paragraph, an image";

/// What one does with things at hand.
const HANDLED: &str = "\
    pasted, uploaded, shared, sent, posted, provided, attached, copied, submitted, showed, wants, needs, \
    fixing, working, trying, debugging, writing, editing, reading, checking, running, looking, received, gets";

/// What Mira does in a conversation is no fact about her.
const SERVED: &str = "\
    explained, answered, helped, suggested, offered, told, provided, replied, said, asked, gave, helps, offers, \
    suggests, explains, recommended, listed, wrote, summarised, summarized, translated, responded, promised, \
    confirmed, reminded, can, learned, learnt, learns, knows, remembers, noted, notes, heard, discovered, \
    understands, happy, glad, finds, found, enjoys, thinks, thought, agreed, agrees, laughed, listened, comforted, \
    encouraged, teased, praised, thanked, greeted, advised, likes, will";

fn is_residue(note: &FactNote, all: &[Word], plain: &str) -> bool {
    // Whoever talks with Mira does that now; what they talk of is in another note.
    // Whoever has to do with Mira has so now, unless it is how they are with her in general.
    if has(plain, SESSION) || (note.about != "mira" && has(plain, "mira") && !has(plain, ATTITUDES)) {
        return true;
    }
    if has(plain, DISCOURSE) && has(plain, TURNED) {
        return true;
    }
    let asked_at = all.iter().position(|word| listed(ASKED, word.lower.as_str()));
    let talkers = ["owner", "user", "mira", "they", "he", "she", "assistant"];
    let by_them = |at: &usize| {
        *at == 0
            || (*at <= 4
                && all
                    .iter()
                    .take(*at)
                    .any(|word| talkers.contains(&word.lower.as_str()) && !word.possessive))
    };
    if let Some(at) = asked_at.filter(by_them) {
        // Asking Anna to marry is an event; asking for, about or whether is a turn of talk.
        let next = all.get(at + 1).map(|word| (word.lower.as_str(), word.name));
        let person = next.is_some_and(|(lower, name)| {
            (name && lower != "mira") || lower == "his" || lower == "her" || lower == "their"
        });
        if !person {
            return true;
        }
    }
    if let Some(at) = all
        .iter()
        .position(|word| word.lower == "discussed" || word.lower == "discussing")
        && at <= 5
    {
        return true;
    }
    let serves = all
        .iter()
        .skip(1)
        .take(3)
        .any(|verb| listed(SERVED, verb.lower.as_str()));
    if note.about == "mira" && serves && has(plain, "owner, owners, user, help, assist") {
        return true;
    }
    let handled = all.iter().any(|word| listed(HANDLED, word.lower.as_str()));
    handled && has(plain, AT_HAND)
}

/// Words that follow "to" and begin no task: "To the owner ...", and other languages that begin with such a word.
const NO_TASKS: &str = "\
    the, a, an, this, that, these, those, his, her, hers, their, them, him, my, me, our, us, your, you, owner, mira, it, \
    je, jest, ne, nie";

/// `To buy milk`, of nobody.
fn is_bare_task(all: &[Word]) -> bool {
    let lower: Vec<&str> = all.iter().map(|word| word.lower.as_str()).collect();
    let [first, next, rest @ ..] = lower.as_slice() else {
        return false;
    };
    let finite = |word: &&str| {
        matches!(
            *word,
            "is" | "are" | "was" | "were" | "has" | "had" | "will" | "would" | "means"
        )
    };
    let of_somebody = rest.windows(2).any(|two| two.first() == Some(&"owner"));
    let named = all.get(1).is_some_and(|word| word.name);
    *first == "to" && !named && !listed(NO_TASKS, next) && !of_somebody && !rest.iter().any(finite)
}

/// `wants to fix`, `would like a summary`, `is looking for advice`, `is debugging`.
fn wants_a_task(all: &[Word]) -> bool {
    let lower: Vec<&str> = all.iter().map(|word| word.lower.as_str()).collect();
    for (at, word) in lower.iter().enumerate() {
        let (wish, strict) = match *word {
            "wants" | "wanted" | "needs" | "needed" | "want" | "need" | "seeks" | "seeking" | "requires" => {
                (true, false)
            }
            "trying" | "tries" | "attempting" | "hoping" => (true, false),
            "looking" => (lower.get(at + 1) == Some(&"for"), false),
            "has" | "have" | "must" => (lower.get(at + 1) == Some(&"to") || *word == "must", false),
            "like" => (at > 0 && lower.get(at - 1) == Some(&"would"), false),
            "is" => (true, true),
            _ => (false, false),
        };
        if !wish {
            continue;
        }
        let rest = lower.get(at + 1..).unwrap_or_default();
        if strict {
            let task = rest.first().and_then(|next| next.strip_suffix("ing"));
            let busy = task.is_some_and(|base| {
                [
                    "debugg",
                    "refactor",
                    "compil",
                    "deploy",
                    "proofread",
                    "summaris",
                    "summariz",
                    "translat",
                    "rewrit",
                    "pars",
                    "test",
                    "fix",
                    "troubleshoot",
                    "edit",
                    "cod",
                    "programm",
                    "implement",
                    "configur",
                    "install",
                    "upload",
                    "download",
                    "calculat",
                    "draft",
                ]
                .contains(&base)
            });
            if busy {
                return true;
            }
            continue;
        }
        if let [to, verb, tail @ ..] = rest
            && *to == "to"
            && listed(TASKS, verb)
            && !lasting_wish(verb, tail)
        {
            return true;
        }
        // "wants their notes turned into a table"
        let done = rest
            .iter()
            .take(5)
            .skip(1)
            .any(|next| next.len() > 4 && (next.ends_with("ed") || *next == "done" || *next == "written"));
        let theirs = rest
            .first()
            .is_some_and(|next| matches!(*next, "their" | "his" | "her" | "the" | "a" | "an" | "some" | "this"));
        if done && theirs {
            return true;
        }
        if rest
            .iter()
            .take(5)
            .take_while(|next| **next != "to" && **next != "that")
            .any(|next| listed(GOODS, next))
        {
            return true;
        }
    }
    false
}

/// Some of the verbs belong to a life as well: writing a novel, seeing the northern lights, finding a flat.
fn lasting_wish(verb: &str, tail: &[&str]) -> bool {
    let life = |words: &[&str]| tail.iter().take(4).any(|word| words.contains(word));
    match verb {
        "write" => life(&[
            "book", "novel", "novels", "memoir", "memoirs", "songs", "poetry", "thesis",
        ]),
        "see" | "find" => {
            !life(&[
                "how", "what", "whether", "if", "out", "why", "where", "more", "the", "an",
            ]) || life(&["northern", "world", "partner", "job", "flat", "love"])
        }
        "run" => life(&["marathon", "marathons", "business", "race", "half", "shop"]),
        "set" => life(&["company", "business"]),
        _ => false,
    }
}

/// How what a tool or a page gave is told of.
const TOOL: &str = "\
    according to the page, according to the article, according to the website, according to the site, \
    according to the search, according to the document, according to the file, according to a website, \
    according to an article, according to wikipedia, the website says, the website states, the article says, \
    the article states, the article describes, the page says, the page states, the document says, \
    the document states, search results, search result, the tool returned, the tool says, the command returned, \
    exit code, status code, stack trace, traceback, stderr, stdout, http 404, http 500, web page, \
    the output of";

/// Topics that are about what was read, not about anybody.
const TOOL_TOPICS: &str = "\
    tool, tool output, web page, webpage, search result, search results, article, website, document, \
    instruction, instructions, command";

/// States that pass within the day.
const STATES: &str = "\
    tired, sleepy, hungry, thirsty, bored, cold, hot, warm, drunk, awake, asleep, busy, late, stressed, sad, \
    happy, angry, excited, hungover, exhausted, annoyed, nervous, upset, grumpy, frustrated, relaxed, confused, \
    cheerful, cranky, glad, fine, okay, ok, unwell, sick, dizzy, fed, full, relieved, impatient, anxious, \
    worried, overwhelmed, restless, calm, lonely, curious, freezing, sweating, soaked, wet, ready, online, \
    offline, headache, cough, mood, distracted";

/// Doing that is over within the day.
const DOINGS: &str = "\
    waiting, sitting, standing, lying, drinking, eating, cooking, walking, driving, riding, watching, \
    listening, napping, resting, showering, shopping, queuing, queueing, commuting, brewing, typing, scrolling, \
    chatting, baking, holding, cleaning, washing, packing, ironing, folding, boiling, smoking, yawning, \
    sneezing, procrastinating, stuck, sipping, wearing";

/// Verbs that are over within the day with one of [`OBJECTS`] only.
const LIGHT: &str = "\
    making, having, taking, getting, going, coming, leaving, heading, looking, grabbing, doing";

/// What is had, made, taken or gone to within a day.
const OBJECTS: &str = "\
    coffee, tea, lunch, dinner, breakfast, supper, brunch, pasta, soup, sandwich, nap, break, shower, bath, \
    walk, bed, home, out, snack, beer, wine, ready, up, dressed, food, cake, drink, day, time, shop, shops, \
    office, gym, soon, screen, window, dishes, laundry, sleep, pizza";

/// Where one is only for a while.
const PLACES: &str = "\
    bus, train, tram, stop, station, office, supermarket, gym, couch, sofa, bed, kitchen, airport, platform, \
    way, home, work, meeting, shower, bath, queue, traffic, taxi, metro, underground, subway, café, cafe, bar, \
    pub, restaurant, shop, balcony, bathroom, desk, library, park, break, lunch, dinner, breakfast, phone, \
    call, line, hurry, rush, lift, cinema";

/// What the sky does.
const WEATHER: &str = "\
    rain, raining, rains, rained, pouring, snow, snowing, snows, snowed, sleet, sunny, sunshine, cloud, clouds, cloudy, wind, \
    windy, fog, foggy, mist, misty, storm, stormy, thunderstorm, thunder, lightning, weather, drizzle, drizzling, hail, \
    hailing, rainy, muggy, humid, temperature, degrees, frost, frosty, icy, sky, overcast";

/// What makes a state a trait.
const LASTING: &str = "\
    always, often, usually, every, since, chronic, chronically, diagnosed, tends, whenever, generally, suffers, \
    regularly, each, daily, weekly, weekends, mornings, evenings, habitually, typically, never, permanently, \
    lifelong, years, months, hobby, hobbies, job, career, married, pregnant, learning, business, season, \
    summers, winters, sundays, saturdays, fridays, mondays, tuesdays, wednesdays, thursdays, easily, when, \
    likes, loves";

/// Parts of a day, as in "since lunch".
const HOURS: &str = "breakfast, lunch, dinner, noon, midday, midnight, morning, evening, afternoon, this, today, yesterday, \
    last, dawn, tea, work";

/// Words of the moment.
const NOW: &str = "\
    today, right now, at the moment, tonight, this morning, this evening, this afternoon, just now, at present, \
    for now, this minute, this hour, at this time, momentarily, this weekend, in a minute";

fn is_passing(all: &[Word], plain: &str) -> bool {
    let lasting = all.iter().enumerate().any(|(at, word)| {
        // "since lunch" lasts no longer than "today".
        let brief = word.lower == "since" && all.get(at + 1).is_some_and(|next| listed(HOURS, next.lower.as_str()));
        listed(LASTING, word.lower.as_str()) && !brief
    });
    let lower: Vec<&str> = all.iter().map(|word| word.lower.as_str()).collect();
    let now = has(plain, NOW);
    let dated = all
        .iter()
        .any(|word| is_date(&word.lower) && !matches!(word.lower.as_str(), "today" | "tonight" | "may"));
    // Liking rain is no weather.
    let rains =
        lower.iter().any(|word| listed(WEATHER, word)) && lower.iter().any(|word| matches!(*word, "is" | "was" | "it"));
    if rains && !lasting && !dated {
        return true;
    }
    if lasting {
        return false;
    }
    let Some(verb) = lower.iter().position(|word| {
        matches!(
            *word,
            "is" | "was" | "feels" | "feel" | "felt" | "feeling" | "are" | "am" | "seems" | "has" | "looks"
        )
    }) else {
        return now && !dated;
    };
    let rest: Vec<&Word> = all
        .iter()
        .skip(verb + 1)
        .filter(|word| {
            !is_stop(&word.lower)
                || word.lower.ends_with("ing")
                || matches!(word.lower.as_str(), "on" | "in" | "at" | "to")
        })
        .collect();
    let head: Vec<&str> = rest.iter().take(3).map(|word| word.lower.as_str()).collect();
    let told = rest
        .iter()
        .filter(|word| !is_stop(&word.lower) && !is_frame(&word.lower) && !is_date(&word.lower))
        .count();
    let named = rest.iter().any(|word| word.name);
    let had = lower.get(verb) == Some(&"has");
    let state = head.iter().any(|word| listed(STATES, word))
        && (!had || head.iter().any(|word| matches!(*word, "headache" | "cough" | "cold")));
    // A favourite drink that is hot is no mood: the state must be somebody's own.
    let of_thing = all.iter().take(verb).any(|word| {
        !is_stop(&word.lower)
            && !is_frame(&word.lower)
            && !is_kin(&word.stem)
            && !word.name
            && word.possessive.eq(&false)
    });
    if state && !of_thing && (told <= 2 || (now && !named)) {
        return true;
    }
    if had {
        return now && !dated;
    }
    let light = head.first().is_some_and(|word| listed(LIGHT, word))
        && rest
            .iter()
            .skip(1)
            .take(4)
            .any(|word| listed(OBJECTS, word.lower.as_str()))
        && !named;
    if light || head.first().is_some_and(|word| listed(DOINGS, word)) {
        return true;
    }
    let placed = head
        .first()
        .is_some_and(|word| matches!(*word, "on" | "in" | "at" | "home" | "back" | "out"))
        && rest.iter().take(5).any(|word| listed(PLACES, word.lower.as_str()))
        && told <= 3
        && !named;
    placed || (now && !dated)
}

fn is_question(all: &[Word], text: &str) -> bool {
    if text.contains(['?', '？', '؟']) {
        return true;
    }
    let mut lower = all.iter().map(|word| word.lower.as_str());
    let first = lower.next().unwrap_or_default();
    let second = lower.next().unwrap_or_default();
    let asks = [
        "what", "why", "how", "who", "whom", "whose", "which", "where", "when", "whether",
    ]
    .contains(&first);
    let turned = [
        "do", "does", "did", "is", "are", "can", "could", "would", "will", "has", "have",
    ]
    .contains(&first)
        && [
            "the", "i", "you", "she", "he", "they", "owner", "mira", "there", "it", "we",
        ]
        .contains(&second);
    asks || turned
}

fn is_code(text: &str) -> bool {
    let marks = [
        "```", "=>", "->", "()", "();", "==", "!=", "{{", "};", "::", "#include", "def ", "fn ", "import ", "SELECT ",
        "sudo ", "$(", "&&", "||",
    ];
    if marks.iter().any(|mark| text.contains(mark)) {
        return true;
    }
    let path = text.split_whitespace().any(|token| {
        let token = token.trim_matches(|c: char| !c.is_alphanumeric() && c != '/' && c != '\\');
        token.matches(['/', '\\']).count() > 1 && token.contains('.')
    });
    let symbols = text.chars().filter(|c| "{}[]<>=;|\\^~_$#@*+".contains(*c)).count();
    path || symbols * 8 > text.chars().count()
}

fn has_url(text: &str) -> bool {
    let lower = text.to_lowercase();
    if lower.contains("://") || lower.contains("www.") || lower.contains("javascript:") {
        return true;
    }
    lower.split_whitespace().any(|token| {
        token.split_once('/').is_some_and(|(host, path)| {
            let domain = host.rsplit_once('.').is_some_and(|(name, end)| {
                !name.is_empty() && (2..=12).contains(&end.len()) && end.bytes().all(|b| b.is_ascii_lowercase())
            });
            domain && !path.is_empty()
        })
    })
}

/// Words beside which a value is a secret.
const SECRETS: &str = "\
    password, passwords, passphrase, passcode, pin code, pin number, pin is, cvv, cvc, api key, api keys, \
    secret key, private key, access token, access key, auth token, bearer token, credentials, seed phrase, \
    recovery phrase, recovery code, one time code, verification code, door code, gate code, access code, alarm code, safe code, lock code, iban, credit card, passwort";

fn is_secret(text: &str, plain: &str) -> bool {
    if has(plain, SECRETS) || text.contains("-----BEGIN") {
        return true;
    }
    let token = text.split_whitespace().any(|token| {
        let token = token.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let body: Vec<u8> = token.bytes().filter(u8::is_ascii_alphanumeric).collect();
        let digits = body.iter().filter(|b| b.is_ascii_digit()).count();
        let prefix = [
            "sk-", "ghp_", "gho_", "xoxb-", "xoxp-", "AKIA", "AIza", "eyJ", "glpat-", "hf_",
        ]
        .iter()
        .any(|mark| token.starts_with(mark));
        let long = body.len() >= 20 && digits > 1 && digits < body.len() && !token.contains('.');
        long || (prefix && body.len() >= 12) || is_iban(&body)
    });
    token || has_card(text)
}

fn is_iban(body: &[u8]) -> bool {
    body.len() >= 15
        && body.iter().take(2).all(u8::is_ascii_uppercase)
        && body.iter().skip(2).take(2).all(u8::is_ascii_digit)
        && body.iter().filter(|b| b.is_ascii_digit()).count() > body.len() / 2
}

/// 13 to 19 digits, spaces and hyphens between them borne with, whose check digit fits (Luhn).
fn has_card(text: &str) -> bool {
    let mut run: Vec<u32> = Vec::new();
    for c in text.chars().chain(['x']) {
        match c.to_digit(10) {
            Some(digit) => run.push(digit),
            None if (c == ' ' || c == '-') && !run.is_empty() => {}
            None => {
                if (13..=19).contains(&run.len()) && luhn(&run) {
                    return true;
                }
                run.clear();
            }
        }
    }
    false
}

fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}
